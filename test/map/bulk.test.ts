// Many elements at once, and what JavaScript's Map has besides single elements.

import { expect, it } from "vitest";
import {
  ArgumentError,
  BpfMap,
  type BpfObject,
  SystemCallError,
  UnsupportedError,
  ValueError,
} from "../../src/index.js";
import { MapAccess } from "../../src/map/access.js";
import { clear, count, deleteMany, setAll } from "../../src/map/bulk.js";
import { runFilter, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

const noEdit = (): void => {};
const large = (obj: BpfObject): void => {
  for (const name of ["flows", "recent", "counters", "routes"]) obj.map(name).maxEntries = 20_000;
};
const key = (source: number) => ({ source, target: 1, port: 2, protocol: 3, padding: 0 });
const numbers = (length: number): number[] => Array.from({ length }, (_, i) => i);

kernelDescribe("many elements", { needs: ["socket_filter", "ringbuf"] }, () => {
  it("are set, read, counted and removed", async () => {
    await withLoaded("maps", large, (obj) => {
      const flows = obj.map("flows");
      const entries = numbers(10_000).map((i) => [key(i), { packets: BigInt(i), bytes: 0n, last: `n${i}` }] as const);
      expect(flows.setAll(entries)).toBe(flows);
      expect([flows.count(), flows.size]).toEqual([10_000, undefined]);
      const some = [0, 4095, 4096, 9999].map(key);
      expect(flows.getMany([...some, key(10_000)])).toEqual([
        ...[0, 4095, 4096, 9999].map((i) => ({ packets: BigInt(i), bytes: 0n, last: `n${i}` })),
        undefined,
      ]);
      // Absent keys among them, also at the beginning and at the end.
      const removed = [20_000, 1, 2, 20_001, 20_002, 3, 9998, 30_000].map(key);
      expect(flows.deleteMany(removed)).toBe(4);
      expect(flows.deleteMany(removed)).toBe(0);
      expect([flows.count(), flows.has(key(2)), flows.has(key(4))]).toEqual([9996, false, true]);
      flows.setAll(new Map(entries.slice(0, 5)));
      flows.setAll(
        (function* () {
          yield [key(50_000), {}] as const;
        })(),
      );
      expect([flows.count(), flows.get(key(2))]).toEqual([10_000, { packets: 2n, bytes: 0n, last: "n2" }]);
      flows.clear();
      expect([flows.count(), [...flows]]).toEqual([0, []]);
      flows.clear();
      // Programs see it, too.
      flows.setAll([[{ source: 0x0a000001, target: 0x0a000002, port: 443, protocol: 6 }, { packets: 10n }]]);
      runFilter(obj, "touch_maps");
      expect([...flows.values()]).toEqual([{ packets: 11n, bytes: 1500n, last: "" }]);
    });
  });

  it("of arrays, tries and per-CPU maps", async () => {
    await withLoaded("maps", large, (obj) => {
      const counters = obj.map<number, bigint>("counters");
      counters.setAll(numbers(20_000).map((i) => [i, BigInt(i)]));
      expect([counters.size, counters.count(), counters.get(19_999)]).toEqual([20_000, 20_000, 19_999n]);
      expect([...counters.values()].reduce((sum, each) => sum + each)).toBe(199_990_000n);
      counters.clear();
      expect([...counters.values()].every((each) => each === 0n)).toBe(true);
      expect(() => counters.deleteMany([1])).toThrow(SystemCallError);

      const routes = obj.map("routes");
      const prefix = (i: number) => ({ length: 32, address: new Uint8Array([10, i >> 8, i & 255, 1]) });
      routes.setAll(numbers(3000).map((i) => [prefix(i), i]));
      expect([routes.count(), routes.get(prefix(2999))]).toEqual([3000, 2999]);
      expect([...routes.values()].sort((a, b) => Number(a) - Number(b))).toEqual(numbers(3000));
      expect(routes.deleteMany(numbers(2999).map(prefix))).toBe(2999);
      routes.clear();
      expect(routes.count()).toBe(0);

      const queue = obj.map("waiting");
      queue.push(1).push(2);
      queue.clear();
      expect(queue.peek()).toBeUndefined();
      expect(() => queue.setAll([])).toThrow(UnsupportedError);
    });
  });

  it("do the same one by one, where the kernel has no batches", async () => {
    await withLoaded("maps", large, (obj) => {
      const flows = obj.map("flows");
      const elements = new MapAccess(flows).elements();
      setAll(
        flows,
        {},
        elements,
        numbers(500).map((i) => [key(i), { packets: BigInt(i) }] as const),
        0n,
      );
      expect([count(flows, {}), flows.get(key(499))]).toEqual([500, { packets: 499n, bytes: 0n, last: "" }]);
      expect(deleteMany(flows, {}, elements, [key(7), key(1000), key(8)])).toBe(2);
      expect(flows.count()).toBe(498);
      clear(flows, {});
      expect(flows.count()).toBe(0);
    });
  });

  it("say what they want when they are given something else", async () => {
    await withLoaded("maps", large, (obj) => {
      const flows = obj.map("flows");
      const wrong = (use: (map: { [method: string]: (given: unknown) => unknown }) => unknown) => () =>
        use(flows as never);
      for (const given of [5, null, undefined, {}]) {
        expect(wrong((map) => map.setAll!(given))).toThrow(/map flows: the entries must be an array or something else/);
        expect(wrong((map) => map.getMany!(given))).toThrow(/map flows: the keys must be an array or something else/);
        expect(wrong((map) => map.deleteMany!(given))).toThrow(
          /map flows: the keys must be an array or something else/,
        );
      }
      expect(wrong((map) => map.setAll!([key(1)]))).toThrow(/map flows: an entry must be a pair: \[key, value\]/);
      expect(wrong((map) => map.setAll!([[key(1)]]))).toThrow(/map flows: value: expected an object/);
      expect(flows.count()).toBe(0);
    });
  });

  it("are not replaced by options that are none", () => {
    using map = BpfMap.create<number, number>({ type: "hash", key: "u32", value: "u32", maxEntries: 4 });
    map.set(1, 1);
    for (const wrong of ["noexist", true, 1] as never[]) {
      expect(() => map.set(1, 2, wrong)).toThrow(
        /the options must be an object, not .*\(for example \{ flags: "noexist" \}\)/,
      );
      expect(() => map.setAll([[1, 2]], wrong)).toThrow(ArgumentError);
      expect(() => map.get(1, wrong)).toThrow(ArgumentError);
    }
    expect(() => map.set(1, 2, { flags: -1n })).toThrow(/flags of a map element/);
    expect(() => map.setAll([[1, 2]], null as never)).toThrow(ArgumentError);
    expect(() => map.forEach(5 as never)).toThrow(/map without a name: forEach\(\) wants a function/);
    expect(map.get(1)).toBe(1);
  });

  it("maps for one direction only say so", () => {
    const BPF_F_WRONLY = 16;
    using map = BpfMap.create<number, number>({
      type: "hash",
      key: "u32",
      value: "u32",
      maxEntries: 4,
      flags: BPF_F_WRONLY,
    });
    map.set(1, 2);
    expect(() => map.get(1)).toThrow(/map without a name: .*EPERM.*for one direction only/);
    expect(() => [...map]).toThrow(/map without a name: .*EPERM.*for one direction only/);
  });

  it("stop at the first that fails, and say which", async () => {
    const edit = (obj: BpfObject): void => {
      obj.map("flows").maxEntries = 3;
    };
    await withLoaded("maps", edit, (obj) => {
      const flows = obj.map("flows");
      expect(() => flows.setAll(numbers(6).map((i) => [key(i), {}]))).toThrow(
        /map flows: bpf\(BPF_MAP_UPDATE_BATCH\) of entry 3 of 6 failed: E2BIG/,
      );
      expect(flows.count()).toBe(3);
      flows.clear();
      expect(() =>
        flows.setAll([
          [key(1), {}],
          [key(2), { packets: -1n }],
        ]),
      ).toThrow(ValueError);
      expect(() =>
        flows.setAll(
          [
            [key(1), {}],
            [key(1), {}],
          ],
          { flags: "noexist" },
        ),
      ).toThrow(/EEXIST/);
      expect(flows.count()).toBe(1);
      expect(() => flows.setAll([], { flags: 16n })).toThrow(ArgumentError);
    });
  });

  kernelIt("are taken out one by one in one step", { needs: ["hash_lookup_delete"] }, async () => {
    await withLoaded("maps", noEdit, (obj) => {
      const recent = obj.map<bigint, number>("recent");
      recent.set(5n, 50);
      expect([recent.lookupAndDelete(5n), recent.lookupAndDelete(5n), recent.has(5n)]).toEqual([50, undefined, false]);
    });
  });

  it("are visited by keys(), values(), forEach()", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      const recent = obj.map<bigint, number>("recent");
      recent.set(1n, 10).set(2n, 20);
      expect([[...recent.keys()].sort(), [...recent.values()].sort()]).toEqual([
        [1n, 2n],
        [10, 20],
      ]);
      const seen: unknown[] = [];
      recent.forEach(function (this: unknown, value, each, map) {
        seen.push([value, each, map === recent, this]);
      }, "self");
      expect(seen.sort()).toEqual([
        [10, 1n, true, "self"],
        [20, 2n, true, "self"],
      ]);
    });
  });

  it("have numbers for 64-bit integers when told so", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      const recent = obj.map("recent");
      recent.set(1n, 10);
      recent.int64 = "number";
      expect([...recent]).toEqual([[1, 10]]);
      recent.set(2 ** 40, 5);
      expect(recent.get(2 ** 40)).toBe(5);
      runFilter(obj, "touch_maps");
      const counters = obj.map("counters");
      counters.int64 = "number";
      expect([counters.get(1), counters.int64]).toEqual([1, "number"]);
      const flows = obj.map("flows");
      flows.int64 = "number";
      expect([...flows.values()]).toEqual([{ packets: 1, bytes: 1500, last: "first" }]);
      expect(obj.bss.runs).toBe(1n);
      obj.map(".bss").int64 = "number";
      expect(obj.bss.runs).toBe(1);
      obj.map(".bss").int64 = "bigint";
      expect(obj.bss.runs).toBe(1n);
      expect(() => {
        recent.int64 = "string" as never;
      }).toThrow(ArgumentError);
    });
  });

  it("are described by the kernel", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      const info = obj.map("flows").info();
      expect(info).toMatchObject({
        type: "hash",
        name: "flows",
        keySize: 12,
        valueSize: 32,
        maxEntries: 1024,
        flags: 0,
      });
      expect([info.frozen, info.id > 0, (info.memoryBytes ?? 0) > 1024 * 44]).toEqual([false, true, true]);
      obj.map("flows").freeze();
      expect(obj.map("flows").info().frozen).toBe(true);
    });
  });
});
