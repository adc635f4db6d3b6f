// Map elements with decoded keys and values, u32 → u64, one hundred thousand keys in order, as the C loop does it: lookup,
// update, and iteration. Beside them the bare call: what a lookup costs whoever makes system calls through koffi, before
// bpfkit has done anything; and the lookup beside a C program in the circumstances of any runtime (map-loops.c): among
// threads, and as many calls deep as koffi and Node.js are (`backtrace` called through koffi counts them).
import koffi from "koffi";
import { figure, type Subject, time } from "./measure.js";
import type { References } from "./reference.js";
import { type loadBpfkit, pathOf } from "./target.js";

const KEYS = 100_000;
const CAPACITY = 131_072;
const RUNS = 3;
const BPF_MAP_LOOKUP_ELEM = 1;

export function mapSubject(
  bpfkit: Awaited<ReturnType<typeof loadBpfkit>>,
  { libbpf, loops, cilium }: References,
): Subject {
  const minimal = bpfkit.BpfObject.open(pathOf("fixtures/minimal.bpf.o"));
  const maps = bpfkit.BpfObject.open(pathOf("fixtures/maps.bpf.o"));
  const subjects = [
    { kind: "hash", map: minimal.map("syscall_count") },
    { kind: "array", map: maps.map("counters") },
  ].map((subject) => ({
    ...subject,
    update: [] as number[],
    lookup: [] as number[],
    bare: [] as number[],
    iterate: [] as number[],
  }));
  // Made beforehand: the C loop does not allocate its values either.
  const values = Array.from({ length: KEYS }, (_, key) => BigInt(key * 3));
  for (const { map } of subjects) map.maxEntries = CAPACITY;
  minimal.loadSync();
  maps.loadSync();

  return {
    name: "map",
    round() {
      for (const { kind, map, update, lookup, bare, iterate } of subjects) {
        update.push(
          ...time(RUNS, KEYS, () => {
            for (let key = 0; key < KEYS; key++) map.set(key, values[key]!);
          }),
        );
        lookup.push(
          ...time(RUNS, KEYS, () => {
            let found = 0n;
            for (let key = 0; key < KEYS; key++) found = map.get(key) as bigint;
            if (found !== values[KEYS - 1]) throw new Error(`lookup found ${found}`);
          }),
        );
        bare.push(...time(RUNS, KEYS, bareLookups(map.fd)));
        loops?.run([kind, String(RUNS), String(map.info().id), String(KEYS), "lookup", "update", "lookup-as-runtime"]);
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
      return subjects.flatMap(({ kind, update, lookup, bare, iterate }) => [
        {
          subject: `map: lookup, ${kind} u32 → u64`,
          unit: "ns",
          ours: figure(lookup),
          reference: loops?.figure(`${kind} lookup`),
          cilium: cilium?.figure(`map.lookup ${kind} u32->u64`),
          budget: { ratio: 1.15 },
        },
        {
          subject: `map: lookup, ${kind}, C among threads and 8 calls deep`,
          unit: "ns",
          ours: figure(lookup),
          reference: loops?.figure(`${kind} lookup-as-runtime`),
        },
        {
          subject: `map: the bare call of a lookup, ${kind}`,
          unit: "ns",
          ours: figure(bare),
          reference: loops?.figure(`${kind} lookup`),
        },
        {
          subject: `map: update, ${kind} u32 → u64`,
          unit: "ns",
          ours: figure(update),
          reference: loops?.figure(`${kind} update`),
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

/** Looks up every key with koffi alone: attr, key and value lie ready. */
function bareLookups(fd: number): () => void {
  const call = koffi.load(null).func("syscall", "int", ["long", "int", "void *", "uint32_t"]);
  const number = process.arch === "x64" ? 321 : 280;
  const memory = new DataView(new ArrayBuffer(48));
  const attr = koffi.address(memory);
  memory.setInt32(0, fd, true);
  memory.setBigUint64(8, attr + 32n, true);
  memory.setBigUint64(16, attr + 40n, true);
  return () => {
    for (let key = 0; key < KEYS; key++) {
      memory.setUint32(32, key, true);
      if (call(number, BPF_MAP_LOOKUP_ELEM, attr, 32) !== 0) throw new Error(`key ${key} is missing`);
    }
  };
}
