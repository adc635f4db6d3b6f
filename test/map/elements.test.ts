// Maps as users see them: JavaScript's Map protocol over the kernel's elements.

import { expect, it } from "vitest";
import { ArgumentError, type BpfObject, SystemCallError, UnsupportedError, ValueError } from "../../src/index.js";
import { possibleCpuCount } from "../../src/syscall/index.js";
import { runFilter, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

const noEdit = (): void => {};
const flow = { source: 0x0a000001, target: 0x0a000002, port: 443, protocol: 6, padding: 0 };

kernelDescribe("maps", { needs: ["socket_filter", "ringbuf"] }, () => {
  it("see what a program wrote, with struct keys and values", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      runFilter(obj, "touch_maps");
      runFilter(obj, "touch_maps");
      const flows = obj.map("flows");
      expect(flows.get(flow)).toEqual({ packets: 2n, bytes: 3000n, last: "first" });
      // Members that are left out are zero, as in C.
      expect(flows.get({ source: 0x0a000001, target: 0x0a000002, port: 443, protocol: 6 })).toBeDefined();
      expect(flows.get({ ...flow, port: 80 })).toBeUndefined();
      expect([...flows]).toEqual([[flow, { packets: 2n, bytes: 3000n, last: "first" }]]);
      expect(obj.map("counters").get(1)).toBe(2n);
      expect([...obj.map("recent").entries()].sort()).toEqual([
        [1n, 1],
        [2n, 2],
      ]);
    });
  });

  it("are read by programs as they were written here", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      obj.map("counters").set(1, 41n);
      obj.map("routes").set({ length: 8, address: new Uint8Array([10, 0, 0, 0]) }, 8);
      runFilter(obj, "touch_maps");
      expect(obj.map("counters").get(1)).toBe(42n);
      expect(obj.bss.route_found).toBe(8);
      obj.map("routes").set({ length: 24, address: new Uint8Array([10, 1, 2, 0]) }, 24);
      runFilter(obj, "touch_maps");
      expect(obj.bss.route_found).toBe(24);
      expect([...obj.map("routes").values()].sort()).toEqual([24, 8]);
    });
  });

  it("insert, replace, delete and tell", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      const recent = obj.map<bigint, number>("recent");
      expect(recent.has(7n)).toBe(false);
      expect(recent.set(7n, 70)).toBe(recent);
      expect(recent.has(7n)).toBe(true);
      expect(() => recent.set(7n, 71, { flags: "noexist" })).toThrow(
        /map recent: bpf\(BPF_MAP_UPDATE_ELEM\) failed: EEXIST/,
      );
      recent.set(7n, 72, { flags: "exist" });
      expect(recent.get(7n)).toBe(72);
      expect(() => recent.set(8n, 80, { flags: "exist" })).toThrow(/ENOENT/);
      expect(() => recent.set(8n, 80, { flags: "sometimes" as "any" })).toThrow(ArgumentError);
      expect([recent.delete(7n), recent.delete(7n)]).toEqual([true, false]);
      expect(recent.get(7n)).toBeUndefined();
      try {
        obj.map("counters").delete(0);
        expect.fail("array elements cannot be deleted");
      } catch (error) {
        expect(error).toBeInstanceOf(SystemCallError);
        expect((error as SystemCallError).errnoName).toBe("EINVAL");
        expect((error as SystemCallError).location.map).toBe("counters");
      }
    });
  });

  it("say which part of a value does not fit", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      const flows = obj.map("flows");
      expect(() => flows.set({ ...flow, port: 65536 }, {})).toThrow(/map flows: value\.port: 65536 does not fit/);
      expect(() => flows.set(flow, { packets: "many" })).toThrow(ValueError);
      expect(() => flows.set(flow, { pakets: 1n })).toThrow(/packets/);
      expect(flows.get(flow)).toBeUndefined();
      expect(() => flows.get("nonsense" as never)).toThrow(ValueError);
    });
  });

  it("take no missing key for the one before", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      const recent = obj.map<bigint, number>("recent");
      recent.set(7n, 70);
      const missing = undefined as unknown as bigint;
      const uses: (() => unknown)[] = [
        () => recent.get(missing),
        () => recent.has(missing),
        () => recent.set(missing, 71),
        () => recent.delete(missing),
        () => recent.lookupAndDelete(missing),
        () => recent.getMany([missing]),
        () => recent.setAll([[missing, 71]]),
        () => recent.deleteMany([missing]),
      ];
      for (const use of uses) expect(use).toThrow(/map recent: .*value: expected an integer \(u64\), got undefined/);
      expect(() => recent.raw.get(undefined as unknown as Uint8Array)).toThrow(
        /the key must be a Uint8Array of 8 bytes/,
      );
      expect([...recent]).toEqual([[7n, 70]]);
    });
  });

  it("full hashes say so", async () => {
    const edit = (obj: BpfObject): void => {
      obj.map("flows").maxEntries = 2;
    };
    await withLoaded("maps", edit, (obj) => {
      const flows = obj.map("flows");
      flows.set({ ...flow, port: 1 }, {}).set({ ...flow, port: 2 }, {});
      expect(() => flows.set({ ...flow, port: 3 }, {})).toThrow(/E2BIG.*\(the map is full/);
    });
  });

  it("of per-CPU values give one for each possible CPU", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      const cpus = possibleCpuCount();
      runFilter(obj, "touch_maps");
      const hits = obj.map("percpu_hits").get(1) as bigint[];
      expect(hits.length).toBe(cpus);
      expect(hits.reduce((sum, hit) => sum + hit, 0n)).toBe(1n);
      const traffic = obj.map("percpu_traffic");
      const written = Array.from({ length: cpus }, (_, cpu) => ({
        packets: BigInt(cpu),
        bytes: 7n,
        last: `cpu ${cpu}`,
      }));
      traffic.set(0, written);
      expect(traffic.get(0)).toEqual(written);
      expect([...traffic.keys()]).toEqual([0, 1]);
      expect(() => traffic.set(0, written.slice(1))).toThrow(
        cpus === 1 ? /array with 1 / : /an array with \d+ elements/,
      );
      expect(() => traffic.set(0, 1n)).toThrow(ValueError);
    });
  });

  it("without keys push, pop and peek", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      const queue = obj.map("waiting");
      const stack = obj.map("undo");
      runFilter(obj, "touch_maps");
      queue.push(2).push(3);
      stack.push(2).push(3);
      expect([queue.peek(), queue.pop(), queue.pop(), queue.pop(), queue.pop()]).toEqual([1, 1, 2, 3, undefined]);
      expect([stack.peek(), stack.pop(), stack.pop(), stack.pop(), stack.peek()]).toEqual([3, 3, 2, 1, undefined]);
      expect(() => queue.get(1)).toThrow(
        /maps of type queue have no keys to get by \(use push\(\), pop\(\) and peek\(\)\)/,
      );
      expect(() => obj.map("recent").pop()).toThrow(UnsupportedError);
      expect(() => obj.map("ring").get(1)).toThrow(
        /maps of type ringbuf have no elements \(read it with a RingBuffer\)/,
      );
    });
  });

  it("of maps take maps and give ids", async () => {
    await withLoaded("maps", noEdit, async (obj) => {
      const edit = (inner: BpfObject): void => {
        inner.map("counters").maxEntries = 1;
        inner.map("counters").valueSize = 4;
        inner.map("counters").autocreate = true;
        for (const program of inner.programs) program.autoload = false;
      };
      await withLoaded("maps", edit, (inner) => {
        inner.map("counters").raw.set(new Uint8Array(4), new Uint8Array([77, 0, 0, 0]));
        obj.map("outer").set(1, inner.map("counters"));
        expect(obj.map("outer").get(1)).toBeTypeOf("number");
        expect([...obj.map("outer").keys()]).toEqual([1]);
        runFilter(obj, "touch_maps");
        expect(obj.bss.inner_found).toBe(77);
        expect(() => obj.map("outer").set(1, "map" as never)).toThrow(/must be a map, a program or a file descriptor/);
      });
    });
  });

  it("are read and written as bytes", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      const { raw } = obj.map("recent");
      const key = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);
      raw.set(key, new Uint8Array([5, 1, 0, 0]));
      expect(obj.map("recent").get(1n)).toBe(261);
      expect(raw.get(key)).toEqual(new Uint8Array([5, 1, 0, 0]));
      expect([...raw]).toEqual([[key, new Uint8Array([5, 1, 0, 0])]]);
      expect(() => raw.get(new Uint8Array(4))).toThrow(/the key has 4 bytes instead of 8/);
      expect(() => raw.set(key, new Uint8Array(5))).toThrow(/the value has 5 bytes instead of 4/);
      expect([raw.has(key), raw.delete(key), raw.has(key)]).toEqual([true, true, false]);
      // What is handed out is a copy.
      const [a, b] = [raw, raw].map(() => {
        raw.set(key, new Uint8Array([1, 1, 1, 1]));
        return raw.get(key)!;
      });
      a!.fill(9);
      expect(b).toEqual(new Uint8Array([1, 1, 1, 1]));
    });
  });

  it("freeze", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      const recent = obj.map("recent");
      recent.set(1n, 1);
      recent.freeze();
      expect(() => recent.set(1n, 2)).toThrow(/map recent: .*EPERM.*the map is frozen, or/);
      expect(recent.get(1n)).toBe(1);
    });
  });
});
