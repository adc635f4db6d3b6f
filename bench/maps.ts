// Map elements with decoded keys and values, u32 → u64, one hundred thousand keys in order, as the C loop does it: lookup,
// update, and iteration.
import { figure, type Subject, time } from "./measure.js";
import type { References } from "./reference.js";
import { type loadBpfkit, pathOf } from "./target.js";

const KEYS = 100_000;
const CAPACITY = 131_072;
const RUNS = 3;

export function mapSubject(bpfkit: Awaited<ReturnType<typeof loadBpfkit>>, { libbpf, cilium }: References): Subject {
  const minimal = bpfkit.BpfObject.open(pathOf("fixtures/minimal.bpf.o"));
  const maps = bpfkit.BpfObject.open(pathOf("fixtures/maps.bpf.o"));
  const subjects = [
    { kind: "hash", map: minimal.map("syscall_count") },
    { kind: "array", map: maps.map("counters") },
  ].map((subject) => ({ ...subject, update: [] as number[], lookup: [] as number[], iterate: [] as number[] }));
  for (const { map } of subjects) map.maxEntries = CAPACITY;
  minimal.loadSync();
  maps.loadSync();

  return {
    name: "map",
    round() {
      for (const { kind, map, update, lookup, iterate } of subjects) {
        update.push(
          ...time(RUNS, KEYS, () => {
            for (let key = 0; key < KEYS; key++) map.set(key, BigInt(key * 3));
          }),
        );
        lookup.push(
          ...time(RUNS, KEYS, () => {
            let found = 0n;
            for (let key = 0; key < KEYS; key++) found = map.get(key) as bigint;
            if (found !== BigInt((KEYS - 1) * 3)) throw new Error(`lookup found ${found}`);
          }),
        );
        if (kind !== "hash") continue;
        iterate.push(
          ...time(RUNS, KEYS, () => {
            let count = 0;
            for (const [key, value] of map) if ((key as number) * 3 === Number(value)) count++;
            if (count !== KEYS) throw new Error(`iterated ${count} entries`);
          }),
        );
      }
      libbpf?.run(["--only", "map"]);
      cilium?.run(["-only", "map"]);
    },
    rows() {
      return subjects.flatMap(({ kind, update, lookup, iterate }) => [
        {
          subject: `map: lookup, ${kind} u32 → u64`,
          unit: "ns",
          ours: figure(lookup),
          reference: libbpf?.figure(`map.lookup ${kind} u32->u64`),
          cilium: cilium?.figure(`map.lookup ${kind} u32->u64`),
          budget: { ratio: 1.15 },
        },
        {
          subject: `map: update, ${kind} u32 → u64`,
          unit: "ns",
          ours: figure(update),
          reference: libbpf?.figure(`map.update ${kind} u32->u64`),
          cilium: cilium?.figure(`map.update ${kind} u32->u64`),
          budget: { ratio: 1.15 },
        },
        ...(kind === "hash"
          ? [
              {
                subject: "map: iterate a hash, per entry",
                unit: "ns",
                ours: figure(iterate),
                reference: libbpf?.figure("map.iterate hash (next_key+lookup) per entry"),
                cilium: cilium?.figure("map.iterate hash (next_key+lookup) per entry"),
              },
            ]
          : []),
      ]);
    },
    close() {
      minimal.close();
      maps.close();
    },
  };
}
