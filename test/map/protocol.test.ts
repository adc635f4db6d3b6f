// The protocol of a Map for every type of map there is, one row a type: what is set is there, listed, counted and removed;
// what a type cannot do is refused by words, not by an errno alone.

import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder } from "../../src/btf/index.js";
import {
  ArgumentError,
  BpfMap,
  BpfObject,
  BtfError,
  type CreateMapOptions,
  type MapTypeName,
  UnsupportedError,
} from "../../src/index.js";
import { MapType } from "../../src/object/index.js";
import { possibleCpuCount } from "../../src/syscall/index.js";
import { withBpfFs } from "../support/bpffs.js";
import { withCgroup } from "../support/cgroup.js";
import type { FeatureName } from "../support/features.js";
import { fixturePath } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

type Value = string | number | bigint | readonly bigint[] | { readonly [name: string]: number | string };
/** What a test does with a map, whatever is in it. */
type Loose = BpfMap<Value, Value, unknown, unknown>;

interface Row {
  readonly needs?: readonly FeatureName[];
  readonly options: Omit<CreateMapOptions, "type">;
  /** Keys, what is set, and what is read then (by default the same). */
  readonly elements?: readonly (readonly [key: Value, value: unknown, read?: unknown])[];
  /** The protocol that the type has; by default all of it. */
  readonly protocol?: "fixed" | "queue" | "stack" | "filter" | "storage" | "ring" | "slots" | "empty";
  /** The kernel removes from empty slots, too. */
  readonly removesNothing?: true;
  /** Values cannot be read from user space. */
  readonly writeOnly?: true;
}

const cpus = possibleCpuCount();
const perCpu = (value: bigint): bigint[] => new Array<bigint>(cpus).fill(value);
const hash = { key: "u32", value: "u64", maxEntries: 64 } as const;
/** Far more than is set: each CPU takes 128 free elements at once, and one that gets none evicts what was just set. */
const evicting = { ...hash, maxEntries: 16_384 } as const;
const numbers = [
  [1, 10n],
  [2, 1n << 63n],
  [0xffff_ffff, 0n],
] as const;
const many = [
  [1, perCpu(10n)],
  [2, perCpu(1n << 63n)],
] as const;
const types = prefixTypes();
const route = (length: number, address: number): Value => ({ length, address });

/** Types by name that no fixture has. */
function prefixTypes(): Btf {
  const builder = new BtfBuilder();
  const u32 = builder.addInt("unsigned int", 4);
  const char = builder.addInt("char", 1, { signed: true });
  const index = builder.addInt("__ARRAY_SIZE_TYPE__", 4);
  const member = (name: string, type: number, byte: number) => ({ name, type, bitOffset: byte * 8, bitSize: 0 });
  builder.addStruct("prefix", 8, [member("length", u32, 0), member("address", u32, 4)]);
  builder.addStruct("message", 4, [member("id", u32, 0), member("text", builder.addArray(char, index, 0), 4)]);
  return Btf.parse(builder.build());
}

const rows: Readonly<Record<Exclude<MapTypeName, "unspec">, Row | "not alone">> = {
  hash: { options: hash, elements: numbers },
  lru_hash: { options: evicting, elements: numbers },
  rhash: { needs: ["rhash"], options: { ...hash, flags: 1 }, elements: numbers },
  percpu_hash: { options: hash, elements: many },
  lru_percpu_hash: { options: evicting, elements: many },
  lpm_trie: {
    options: { btf: types, key: "struct prefix", value: "u64", maxEntries: 16 },
    elements: [
      [route(32, 0x0100_000a), 1n],
      [route(8, 11), 2n],
    ],
  },
  array: {
    protocol: "fixed",
    options: { value: "u64", maxEntries: 4 },
    elements: [
      [3, 7n],
      [0, 1n],
    ],
  },
  percpu_array: { protocol: "fixed", options: { value: "u64", maxEntries: 4 }, elements: [[3, perCpu(7n)]] },
  queue: { protocol: "queue", options: { value: "u32", maxEntries: 4 } },
  stack: { protocol: "stack", options: { value: "u32", maxEntries: 4 } },
  bloom_filter: {
    needs: ["bloom_filter"],
    protocol: "filter",
    options: { value: "u32", maxEntries: 64, mapExtra: 3n },
  },
  ringbuf: { needs: ["ringbuf"], protocol: "ring", options: { maxEntries: 5000 } },
  user_ringbuf: { needs: ["user_ringbuf"], protocol: "ring", options: { maxEntries: 5000 } },
  array_of_maps: { protocol: "slots", options: { maxEntries: 4 } },
  hash_of_maps: { protocol: "slots", options: { key: "u32", maxEntries: 4 } },
  prog_array: { protocol: "slots", options: { maxEntries: 4 } },
  devmap: { removesNothing: true, options: { value: "u32", maxEntries: 4 }, elements: [[1, 1]] },
  devmap_hash: { options: { key: "u32", value: "u32", maxEntries: 4 }, elements: [[77, 1]] },
  cpumap: { removesNothing: true, options: { value: "u32", maxEntries: 1 }, elements: [[0, 192]] },
  cgroup_array: { needs: ["cgroup"], protocol: "slots", writeOnly: true, options: { maxEntries: 4 } },
  perf_event_array: { protocol: "empty", writeOnly: true, options: {} },
  stack_trace: { protocol: "empty", options: { key: "u32", value: 64, maxEntries: 16 } },
  sockmap: { needs: ["sockmap"], protocol: "empty", options: { value: "u64", maxEntries: 4 } },
  sockhash: { needs: ["sockmap"], protocol: "empty", options: { key: "u32", value: "u64", maxEntries: 4 } },
  reuseport_sockarray: { protocol: "empty", options: { value: "u64", maxEntries: 4 } },
  xskmap: { needs: ["af_xdp"], protocol: "empty", writeOnly: true, options: { maxEntries: 4 } },
  sk_storage: { needs: ["sk_storage"], protocol: "storage", options: { value: "u64" } },
  task_storage: { needs: ["task_storage"], protocol: "storage", options: { value: "u64" } },
  inode_storage: { needs: ["inode_storage"], protocol: "storage", options: { value: "u64" } },
  cgrp_storage: { needs: ["cgrp_storage"], protocol: "storage", options: { value: "u64" } },
  cgroup_storage: { protocol: "empty", options: { key: "u64", value: "u64" } },
  percpu_cgroup_storage: { protocol: "empty", options: { key: "u64", value: "u64" } },
  insn_array: { needs: ["insn_array"], protocol: "fixed", options: { key: "u32", value: 16, maxEntries: 4 } },
  // Made of a program's: with an object only (test/loader/arena.test.ts, struct-ops.test.ts).
  arena: "not alone",
  struct_ops: "not alone",
};

const created = (type: MapTypeName, more: Partial<CreateMapOptions> = {}): Loose => {
  const row = rows[type as keyof typeof rows];
  if (row === "not alone") throw new Error("cannot be created");
  return BpfMap.create({ type, ...row.options, ...more }) as unknown as Loose;
};

describe("every type of map", () => {
  it("is in the table", () => {
    expect(Object.keys(rows).sort()).toEqual(
      Object.keys(MapType)
        .filter((name) => name !== "unspec")
        .sort(),
    );
  });
});

const protocols: Readonly<
  Record<NonNullable<Row["protocol"]> | "all", (map: Loose, row: Row) => void | Promise<void>>
> = {
  all: (map, { elements = [], removesNothing = false }) => {
    const sorted = (list: Iterable<unknown>): unknown[] =>
      [...list].sort((a, b) => (JSON.stringify(a, text) < JSON.stringify(b, text) ? -1 : 1));
    const text = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);
    const read = elements.map(([key, value, gives = value]) => [key, gives] as const);
    const keys = read.map(([key]) => key);
    for (const [key] of elements) {
      expect([map.has(key), map.get(key), map.delete(key)]).toEqual([false, undefined, removesNothing]);
    }
    for (const [key, value] of elements) expect(map.set(key, value)).toBe(map);
    for (const [key, value] of read) expect([map.has(key), map.get(key)]).toEqual([true, value]);
    expect(sorted(map)).toEqual(sorted(read));
    expect(sorted(map.keys())).toEqual(sorted(keys));
    expect(sorted(map.values())).toEqual(sorted(read.map(([, value]) => value)));
    const visited: unknown[] = [];
    map.forEach((value, key) => {
      visited.push([key, value]);
    });
    expect(sorted(visited)).toEqual(sorted(read));
    expect([map.count(), map.size]).toEqual([elements.length, undefined]);
    expect(map.getMany(keys)).toEqual(read.map(([, value]) => value));
    expect(JSON.parse(map.dump())).toHaveLength(elements.length);
    expect([map.delete(keys[0]), map.has(keys[0]), map.delete(keys[0])]).toEqual([true, false, removesNothing]);
    map.set(keys[0], elements[0]![1], { flags: "any" });
    expect(map.deleteMany(keys)).toBe(keys.length);
    expect([...map]).toEqual([]);
    map.setAll(elements.map(([key, value]) => [key, value]));
    expect(sorted(map)).toEqual(sorted(read));
    map.clear();
    expect([map.count(), ...map.keys()]).toEqual([0]);
    map.setAll(elements.map(([key, value]) => [key, value]));
    expect(() => map.pop()).toThrow(UnsupportedError);
  },
  fixed: (map, { elements = [] }) => {
    expect([map.size, map.count(), [...map.keys()]]).toEqual([4, 4, [0, 1, 2, 3]]);
    for (const [key, value] of elements) {
      map.set(key, value);
      expect([map.has(key), map.get(key)]).toEqual([true, value]);
    }
    expect([map.has(4), map.get(4)]).toEqual([false, undefined]);
    if (elements.length === 0) return;
    const before = [...map];
    expect(before[3]).toEqual([3, elements[0]![1]]);
    expect(() => map.delete(3)).toThrow(/EINVAL/);
    expect(() => map.set(4, elements[0]![1])).toThrow(/E2BIG/);
    map.clear();
    expect(map.get(3)).toEqual(Array.isArray(elements[0]![1]) ? perCpu(0n) : 0n);
    map.setAll(before as never);
    expect([...map]).toEqual(before);
  },
  queue: (map) => pushAndPop(map, [1, 2, 3]),
  stack: (map) => pushAndPop(map, [3, 2, 1]),
  filter: (map) => {
    expect(map.has(5)).toBe(false);
    map.push(5);
    expect(map.has(5)).toBe(true);
    for (const use of [() => map.get(5), () => map.pop(), () => map.clear(), () => map.delete(5)]) {
      expect(use).toThrow(UnsupportedError);
    }
  },
  ring: (map) => {
    // Whole pages, a power of two of them.
    expect([map.maxEntries, map.info().maxEntries]).toEqual([8192, 8192]);
    expect(() => map.get(1)).toThrow(/have no elements \(read it with a RingBuffer\)/);
    expect(() => [...map]).toThrow(UnsupportedError);
    expect(() => map.clear()).toThrow(UnsupportedError);
  },
  storage: (map) => {
    expect(map.keySize).toBe(4);
    expect(() => [...map.keys()]).toThrow(/does not list the elements/);
    expect(() => map.count()).toThrow(UnsupportedError);
    expect(() => map.clear()).toThrow(UnsupportedError);
    expect(() => map.get(-1)).toThrow(/EBADF/);
  },
  slots: async (map, { writeOnly }) => {
    expect(map.size).toBeUndefined();
    if (writeOnly === true) expectUnseen(map);
    else expect([[...map], map.count()]).toEqual([[], 0]);
    await withHeld(map.type, (held) => {
      map.set(2, held);
      if (writeOnly === true) {
        expect(() => map.get(2)).toThrow(/ENOTSUPP|EOPNOTSUPP/);
      } else {
        const id = map.get(2);
        expect([typeof id, [...map], map.count()]).toEqual(["number", [[2, id]], 1]);
        expect([map.has(2), map.has(1)]).toEqual([true, false]);
        if (map.rule.holds === "map") {
          using inner = (map as unknown as BpfMap<number, number>).openInner(2)!;
          expect(inner.info().id).toBe(id);
        }
      }
      expect(map.delete(2)).toBe(true);
      map.set(3, held.fd);
      map.clear();
      if (writeOnly !== true) expect([...map]).toEqual([]);
      expect(map.delete(3)).toBe(false);
      expect(() => map.set(1, "held")).toThrow(ArgumentError);
    });
  },
  empty: (map, { writeOnly }) => {
    const zero = map.keySize === 8 ? 0n : 0;
    if (writeOnly === true) {
      expectUnseen(map);
    } else {
      expect([[...map], map.count(), map.get(zero), map.has(zero)]).toEqual([[], 0, undefined, false]);
      // What belongs to control groups goes with these.
      if (String(map.type).endsWith("cgroup_storage")) expect(() => map.delete(zero)).toThrow(/EINVAL/);
      else expect(map.delete(zero)).toBe(false);
    }
    map.clear();
  },
};

function expectUnseen(map: Loose): void {
  expect(() => map.get(0)).toThrow(/ENOTSUPP|EOPNOTSUPP/);
  for (const use of [() => [...map], () => [...map.keys()], () => map.count()]) {
    expect(use).toThrow(/does not show what is in maps of this type/);
  }
}

function pushAndPop(map: Loose, popped: readonly number[]): void {
  for (const value of [1, 2, 3]) map.push(value);
  expect([map.peek(), map.pop(), map.pop(), map.pop(), map.pop(), map.peek()]).toEqual([
    popped[0],
    ...popped,
    undefined,
    undefined,
  ]);
  map.push(9).clear();
  expect(map.pop()).toBeUndefined();
  for (const use of [() => map.get(1), () => map.set(1, 1), () => [...map], () => map.count()]) {
    expect(use).toThrow(/have no keys/);
  }
  for (const value of [1, 2, 3, 4]) map.push(value);
  expect(() => map.push(5)).toThrow(/E2BIG/);
}

/** What may be put into a slot of a map of this type. */
async function withHeld(type: string | number, body: (held: { readonly fd: number }) => void): Promise<void> {
  if (type === "cgroup_array") {
    await withCgroup((group) => {
      const fd = openSync(group, "r");
      try {
        body({ fd });
      } finally {
        closeSync(fd);
      }
    });
  } else if (type === "prog_array") {
    using obj = BpfObject.open(fixturePath("map_access"));
    for (const program of obj.programs) program.autoload = program.name === "tail";
    for (const map of obj.maps) map.autocreate = false;
    obj.loadSync();
    body(obj.program("tail"));
  } else {
    using inner = created("hash");
    body(inner);
  }
}

kernelDescribe("the protocol of maps", { needs: ["bpf", "socket_filter"] }, () => {
  for (const [type, row] of Object.entries(rows) as [MapTypeName, Row | "not alone"][]) {
    if (row === "not alone") {
      it(`${type}: not without an object`, () => {
        expect(() => BpfMap.create({ type, maxEntries: 1 })).toThrow(
          /nothing without a program \(declare it in an object\)/,
        );
      });
      continue;
    }
    kernelIt(`${type}: ${row.protocol ?? "all of it"}`, { needs: [...(row.needs ?? [])] }, async () => {
      using example = created("hash");
      const inner = type.endsWith("_of_maps") ? { inner: example } : {};
      using map = created(type, { name: `bpfkit-${type}`, ...inner });
      await protocols[row.protocol ?? "all"](map, row);
      const info = map.info();
      expect([info.type, info.name, info.frozen]).toEqual([
        type,
        `bpfkit-${type}`.slice(0, 15).replace("-", "_"),
        false,
      ]);
      expect([map.type, map.loaded, map.name]).toEqual([type, true, `bpfkit-${type}`]);
      await withBpfFs((root) => {
        const path = join(root, type);
        expect([map.pin(path), map.isPinned]).toEqual([true, true]);
        using found = BpfMap.openPinned(path);
        expect([found.type, found.info().id]).toEqual([type, info.id]);
        map.unpin(path);
        expect(() => BpfMap.openPinned(path)).toThrow(/ENOENT/);
      });
      map.freeze();
      expect(map.info().frozen).toBe(true);
      const [first] = row.elements ?? [];
      if (first !== undefined) {
        expect(() => map.set(first[0], first[1])).toThrow(/EPERM/);
        expect(map.has(first[0])).toBe(true);
      }
    });
  }

  it("a map of one's own has its types, and shows them to others", () => {
    using obj = BpfObject.open(fixturePath("maps"));
    type Flow = { source: number; target: number; port: number };
    using map = BpfMap.create<Flow, { packets: bigint; last: string }>({
      type: "hash",
      btf: obj.btf!,
      key: "struct flow",
      value: "traffic",
      maxEntries: 16,
      name: "own",
    });
    map.set({ source: 1, port: 2 }, { packets: 3, last: "me" });
    expect(map.get({ source: 1, port: 2 })).toEqual({ packets: 3n, bytes: 0n, last: "me" });
    using other = BpfMap.openById(map.info().id, { int64: "number" });
    expect([...other]).toEqual([
      [
        { source: 1, target: 0, port: 2, protocol: 0, padding: 0 },
        { packets: 3, bytes: 0, last: "me" },
      ],
    ]);
    // An object takes it instead of one of its own.
    obj.map("flows").reuse(map);
    for (const program of obj.programs) program.autoload = false;
    obj.loadSync();
    obj.map("flows").clear();
    expect(map.count()).toBe(0);
  });

  it("values that end in a flexible array are as long as the map says", () => {
    const options = { type: "hash", key: "u32", value: "struct message", valueSize: 16, maxEntries: 4 } as const;
    using map = BpfMap.create<number, { id: number; text: string }>({ ...options, btf: types });
    map.set(1, { id: 7, text: "twelve bytes" }).set(2, { text: "a" });
    expect([...map].sort(([a], [b]) => a - b)).toEqual([
      [1, { id: 7, text: "twelve bytes" }],
      [2, { id: 0, text: "a" }],
    ]);
    expect(map.raw.get(new Uint8Array([2, 0, 0, 0]))).toEqual(Uint8Array.of(0, 0, 0, 0, 97, ...new Array(11).fill(0)));
    expect(() => map.set(1, { text: "thirteen byte" })).toThrow(/value\.text: .* does not fit in char\[12\]/);
  });

  it("what is missing or misspelt is said", () => {
    const create = (options: object) => () => BpfMap.create({ type: "hash", ...options } as CreateMapOptions).close();
    expect(create({ maxEntries: 1 })).toThrow(/a map of type hash needs a key: a C type, or its size/);
    expect(create({ key: "u32", maxEntries: 1 })).toThrow(/needs a value/);
    expect(create({ key: "u33", value: 4, maxEntries: 1 })).toThrow(BtfError);
    expect(create({ key: "struct flow", value: 4, maxEntries: 1 })).toThrow(/looked up in the option btf/);
    expect(create({ key: "u32", value: 4, maxEntires: 1 })).toThrow(/no option maxEntires; did you mean maxEntries\?/);
    expect(create({ key: "u32", value: 4, maxEntries: -1 })).toThrow(ArgumentError);
    expect(create({ key: "u32", value: 4 })).toThrow(/EINVAL/);
    expect(create({ type: "hush" })).toThrow(ArgumentError);
  });
});
