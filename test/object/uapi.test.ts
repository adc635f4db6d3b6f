import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  AttachType,
  MapFlag,
  MapType,
  mapTypeByName,
  mapTypeName,
  ProgramFlag,
  ProgramType,
} from "../../src/object/index.js";
import { programTypeByName } from "../../src/object/uapi.js";

describe("UAPI tables", () => {
  it.each([
    ["program types", ProgramType, 33],
    ["map types", MapType, 36],
    ["attach types", AttachType, 62],
  ])("%s are numbered without a gap, as libbpf lists them", (_, table, count) => {
    expect(Object.values(table)).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  it("has the numbers of well-known types", () => {
    expect(ProgramType).toMatchObject({ kprobe: 2, xdp: 6, tracing: 26, syscall: 31, netfilter: 32 });
    expect(MapType).toMatchObject({ hash: 1, array: 2, ringbuf: 27, arena: 33, rhash: 35 });
    expect(AttachType).toMatchObject({ trace_raw_tp: 23, trace_fentry: 24, xdp: 37, perf_event: 41, tcx_ingress: 46 });
    expect(MapFlag).toMatchObject({ NO_PREALLOC: 1, RDONLY_PROG: 128, MMAPABLE: 1024, RB_OVERWRITE: 1 << 19 });
    expect(ProgramFlag).toMatchObject({ SLEEPABLE: 16, XDP_HAS_FRAGS: 32 });
  });

  it("translates names", () => {
    expect(mapTypeName(5)).toBe("percpu_hash");
    expect(mapTypeName(99)).toBeUndefined();
    expect(mapTypeByName("percpu_hash")).toBe(5);
    expect(mapTypeByName("toString")).toBeUndefined();
    expect(programTypeByName("sched_cls")).toBe(3);
  });
});

// The installed header may be older than the tables, never different.
const header = "/usr/include/linux/bpf.h";
describe.skipIf(!existsSync(header))("against the installed linux/bpf.h", () => {
  it.each([
    ["bpf_prog_type", "BPF_PROG_TYPE_", ProgramType],
    ["bpf_map_type", "BPF_MAP_TYPE_", MapType],
    ["bpf_attach_type", "BPF_", AttachType],
  ])("enum %s", (name, prefix, table) => {
    const known: Readonly<Record<string, number>> = table;
    const values = enumOf(readFileSync(header, "utf8"), name);
    expect(values.size).toBeGreaterThan(25);
    for (const [enumerator, value] of values) {
      const key = enumerator
        .replace(prefix, "")
        .replace(/_DEPRECATED$/, "")
        .toLowerCase();
      expect([key, known[key]]).toEqual([key, value]);
    }
  });

  it("map creation flags", () => {
    const text = readFileSync(header, "utf8");
    let found = 0;
    for (const [name, value] of Object.entries(MapFlag)) {
      const bit = text.match(new RegExp(`\\bBPF_F_${name}\\s*=\\s*\\(1U << (\\d+)\\)`))?.[1];
      if (bit === undefined) continue;
      expect([name, value]).toEqual([name, 1 << Number(bit)]);
      found++;
    }
    expect(found).toBeGreaterThan(10);
  });
});

function enumOf(text: string, name: string): Map<string, number> {
  const body = text.match(new RegExp(`enum ${name} \\{([^}]*)\\}`))?.[1] ?? "";
  const values = new Map<string, number>();
  let next = 0;
  for (const part of body.replace(/\/\*[\s\S]*?\*\//g, "").split(",")) {
    const [, enumerator, given] = part.match(/(\w+)(?:\s*=\s*(\w+))?/) ?? [];
    if (enumerator === undefined || enumerator.startsWith("__MAX")) continue;
    if (given !== undefined) next = values.get(given) ?? Number(given);
    values.set(enumerator, next++);
  }
  return values;
}
