// Maps on the running kernel: single elements, scratch memory, batches.

import { readdirSync } from "node:fs";
import { afterEach, expect, it } from "vitest";
import { ArgumentError, StateError, SystemCallError } from "../../src/errors.js";
import {
  type BatchPosition,
  Errno,
  type FileDescriptor,
  type MapCreateOptions,
  MapScratch,
  mapCreate,
  mapDelete,
  mapDeleteBatch,
  mapFreeze,
  mapInfo,
  mapLookup,
  mapLookupAndDelete,
  mapLookupAndDeleteBatch,
  mapLookupBatch,
  mapNextKey,
  mapShape,
  mapUpdate,
  mapUpdateBatch,
  possibleCpuCount,
  progLoad,
} from "../../src/syscall/index.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";
import { asU64, MapType, returning, u32s, u64s } from "./programs.js";

const open: FileDescriptor[] = [];
function create(options: Partial<MapCreateOptions> = {}): FileDescriptor {
  const map = mapCreate({ type: MapType.hash, keySize: 4, valueSize: 8, maxEntries: 1000, name: "t", ...options });
  open.push(map);
  return map;
}
afterEach(() => {
  for (const fd of open.splice(0)) fd.close();
});

kernelDescribe("map elements", { needs: ["bpf"] }, () => {
  it("creates a map that the kernel describes as asked", () => {
    const map = create({ type: MapType.hash, keySize: 12, valueSize: 5, maxEntries: 7, name: "my_map", flags: 1 });
    expect(mapInfo(map)).toMatchObject({
      type: 1,
      keySize: 12,
      valueSize: 5,
      maxEntries: 7,
      name: "my_map",
      flags: 1,
      btfId: 0,
      mapExtra: 0n,
    });
    expect(mapInfo(map).id).toBeGreaterThan(0);
  });

  it("updates, looks up, iterates and deletes", () => {
    const map = create();
    for (const key of [1, 2, 3]) mapUpdate({ map, key: u32s(key), value: u64s(BigInt(key) * 10n) });
    expect(asU64(mapLookup({ map, key: u32s(2) }))).toBe(20n);
    expect(mapLookup({ map, key: u32s(9) })).toBeUndefined();
    const keys: number[] = [];
    for (let key = mapNextKey({ map }); key !== undefined; key = mapNextKey({ map, key })) {
      keys.push(new Uint32Array(key.buffer)[0] as number);
    }
    expect(keys.sort()).toEqual([1, 2, 3]);
    expect([mapDelete({ map, key: u32s(2) }), mapDelete({ map, key: u32s(2) })]).toEqual([true, false]);
    expect(mapLookup({ map, key: u32s(2) })).toBeUndefined();
  });

  kernelIt("looks up and deletes in one call", { needs: ["hash_lookup_delete"] }, () => {
    const map = create();
    mapUpdate({ map, key: u32s(1), value: u64s(10n) });
    expect(asU64(mapLookupAndDelete({ map, key: u32s(1) }))).toBe(10n);
    expect(mapLookup({ map, key: u32s(1) })).toBeUndefined();
  });

  it("reads into the caller's buffer, at its offset", () => {
    const map = create();
    mapUpdate({ map, key: u32s(1), value: u64s(7n) });
    const room = new Uint8Array(24).fill(0xff);
    expect(mapLookup({ map, key: u32s(1), value: room.subarray(8, 16) })).toHaveLength(8);
    expect([...room.subarray(6, 18)]).toEqual([0xff, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
  });

  it("tells BPF_NOEXIST and BPF_EXIST failures apart", () => {
    const map = create();
    const element = { map, key: u32s(1), value: u64s(1n) };
    const errnoOf = (flags: number) => {
      try {
        mapUpdate({ ...element, flags });
        return 0;
      } catch (error) {
        return (error as SystemCallError).errno;
      }
    };
    expect([errnoOf(2), errnoOf(1), errnoOf(1), errnoOf(2)]).toEqual([Errno.ENOENT, 0, Errno.EEXIST, 0]);
  });

  it("refuses buffers of the wrong size before the kernel writes past them", () => {
    const map = create();
    expect(() => mapLookup({ map, key: u32s(1), value: new Uint8Array(4) })).toThrow("value has 8 bytes, not 4");
    expect(() => mapLookup({ map, key: new Uint8Array(3) })).toThrow("key has 4 bytes, not 3");
    expect(() => mapLookup({ map })).toThrow(ArgumentError);
    expect(() => mapUpdate({ map, key: u32s(1), value: u64s(1n, 2n) })).toThrow(ArgumentError);
  });

  it("refuses descriptors of something else", () => {
    const { fd } = progLoad({ type: 1, insns: returning(0), license: "GPL" });
    open.push(fd as FileDescriptor);
    expect(() => mapShape(fd as FileDescriptor)).toThrow("the descriptor is no map, but anon_inode:bpf-prog");
    expect(() => mapShape(0x7fff_fff0)).toThrow(/EBADF/);
  });

  it("handles maps without keys", () => {
    const map = create({ type: MapType.queue, keySize: 0 });
    for (const value of [5n, 6n]) mapUpdate({ map, value: u64s(value) });
    expect([asU64(mapLookup({ map })), asU64(mapLookupAndDelete({ map })), asU64(mapLookup({ map }))]).toEqual([
      5n,
      5n,
      6n,
    ]);
    const scratch = new MapScratch(map);
    expect([scratch.lookupAndDelete(), asU64(scratch.value), scratch.lookupAndDelete()]).toEqual([
      0,
      6n,
      -Errno.ENOENT,
    ]);
  });

  it("gives one value for each possible CPU", () => {
    const map = create({ type: MapType.perCpuArray, valueSize: 4, maxEntries: 1 });
    const cpus = possibleCpuCount();
    expect(mapShape(map)).toMatchObject({ valueSize: 4, valueBufferSize: 8 * cpus });
    const values = u64s(...Array.from({ length: cpus }, (_, cpu) => BigInt(cpu + 1)));
    mapUpdate({ map, key: u32s(0), value: values });
    expect(mapLookup({ map, key: u32s(0) })).toEqual(values);
  });

  it("freezes", () => {
    const map = create({ type: MapType.array, maxEntries: 1 });
    mapFreeze(map);
    expect(() => mapUpdate({ map, key: u32s(0), value: u64s(1n) })).toThrow(/EPERM/);
    expect(asU64(mapLookup({ map, key: u32s(0) }))).toBe(0n);
  });

  it("reports what the kernel refuses", () => {
    expect(() => create({ maxEntries: 0, name: "none" })).toThrow(SystemCallError);
    expect(() => create({ maxEntries: 0, name: "none" })).toThrow('bpf(BPF_MAP_CREATE) of map "none" failed: EINVAL');
  });

  it("leaves no descriptor behind", () => {
    const count = () => readdirSync("/proc/self/fd").length;
    const before = count();
    for (let round = 0; round < 20; round++) create();
    expect(count()).toBe(before + 20);
    for (const fd of open) fd.close();
    expect(count()).toBe(before);
  });
});

kernelDescribe("map scratch memory", { needs: ["bpf"] }, () => {
  it("runs all element commands", () => {
    const scratch = new MapScratch(create());
    scratch.keyView.setUint32(0, 3, true);
    scratch.valueView.setBigUint64(0, 33n, true);
    expect([scratch.firstKey(), scratch.lookup()]).toEqual([-Errno.ENOENT, -Errno.ENOENT]);
    expect([scratch.update(2n), scratch.update(1n), scratch.update(1n), scratch.update()]).toEqual([
      -Errno.ENOENT,
      0,
      -Errno.EEXIST,
      0,
    ]);
    scratch.value.fill(0);
    expect([scratch.lookup(), asU64(scratch.value)]).toEqual([0, 33n]);
    scratch.key.fill(0);
    expect([scratch.firstKey(), scratch.keyView.getUint32(0, true), scratch.nextKey()]).toEqual([0, 3, -Errno.ENOENT]);
    expect([scratch.delete(), scratch.delete()]).toEqual([0, -Errno.ENOENT]);
  });

  it("visits every key in place", () => {
    const map = create();
    for (let key = 0; key < 100; key++) mapUpdate({ map, key: u32s(key), value: u64s(0n) });
    const scratch = new MapScratch(map);
    const seen = new Set<number>();
    for (let result = scratch.firstKey(); result === 0; result = scratch.nextKey()) {
      seen.add(scratch.keyView.getUint32(0, true));
    }
    expect(seen.size).toBe(100);
  });

  it("hands out other memory while it is in use", () => {
    const scratch = new MapScratch(create());
    const outer = scratch.acquire();
    outer.keyView.setUint32(0, 1, true);
    const inner = scratch.acquire();
    expect([outer === scratch, inner === outer]).toEqual([true, false]);
    inner.keyView.setUint32(0, 2, true);
    inner.update();
    expect(outer.keyView.getUint32(0, true)).toBe(1);
    inner.release();
    expect(scratch.acquire()).toBe(inner);
    inner.release();
    outer.release();
    expect(scratch.acquire()).toBe(scratch);
  });

  it("refuses a closed map, and flags that do not fit", () => {
    const map = create();
    const scratch = new MapScratch(map);
    expect(() => scratch.lookup(-1n)).toThrow(ArgumentError);
    expect(scratch.lookup()).toBe(-Errno.ENOENT);
    map.close();
    expect(() => scratch.lookup()).toThrow(StateError);
    expect(() => mapShape(map)).toThrow('map "t" is closed');
  });
});

kernelDescribe("map batches", { needs: ["map_batch"] }, () => {
  const keys = u32s(...Array.from({ length: 500 }, (_, index) => index));
  const values = u64s(...Array.from({ length: 500 }, (_, index) => BigInt(index * 3)));

  it("writes, reads in steps, and removes", () => {
    const map = create();
    mapUpdateBatch({ map, keys, values, count: 500 });
    const seen = new Map<number, bigint>();
    const [keyRoom, valueRoom] = [new Uint8Array(128 * 4), new Uint8Array(128 * 8)];
    let from: BatchPosition | undefined;
    let steps = 0;
    do {
      const { count, next } = mapLookupBatch({ map, keys: keyRoom, values: valueRoom, count: 128, from });
      for (let index = 0; index < count; index++) {
        seen.set(new Uint32Array(keyRoom.buffer)[index] as number, asU64(valueRoom.subarray(index * 8)) as bigint);
      }
      from = next;
      steps++;
    } while (from !== undefined);
    expect(seen.size).toBe(500);
    expect(steps).toBeGreaterThan(3);
    for (const [key, value] of seen) expect(value).toBe(BigInt(key * 3));
    mapDeleteBatch({ map, keys: u32s(1, 2), count: 2 });
    const rest = mapLookupAndDeleteBatch({ map, keys: keys.slice(), values: values.slice(), count: 500 });
    expect(rest.count).toBe(498);
    expect(mapNextKey({ map })).toBeUndefined();
    expect(mapLookupBatch({ map, keys: keyRoom, values: valueRoom, count: 128 })).toEqual({
      count: 0,
      next: undefined,
    });
  });

  it("reads arrays, whose end coincides with the buffer's", () => {
    const map = create({ type: MapType.array, maxEntries: 4 });
    mapUpdate({ map, key: u32s(3), value: u64s(9n) });
    const options = { map, keys: new Uint8Array(16), values: new Uint8Array(32), count: 4 };
    const first = mapLookupBatch(options);
    expect(first.count).toBe(4);
    expect(asU64(options.values.subarray(24))).toBe(9n);
    if (first.next !== undefined) {
      expect(mapLookupBatch({ ...options, from: first.next })).toEqual({ count: 0, next: undefined });
    }
  });

  it("says how far a batch came", () => {
    const map = create();
    mapUpdateBatch({ map, keys, values, count: 3 });
    expect(() => mapDeleteBatch({ map, keys: u32s(0, 1, 77, 2), count: 4 })).toThrow(/entry 2 of 4 failed: ENOENT/);
    expect(mapLookup({ map, key: u32s(2) })).toBeDefined();
  });

  it("refuses buffers that are too short", () => {
    const map = create();
    expect(() => mapUpdateBatch({ map, keys, values, count: 501 })).toThrow("501 entries need 2004 bytes of keys");
    expect(() => mapLookupBatch({ map, keys, values: values.subarray(8), count: 500 })).toThrow(ArgumentError);
    expect(() => mapLookupBatch({ map, keys, values, count: -1 })).toThrow(ArgumentError);
    expect(() => mapLookupBatch({ map, keys, values, count: 1, from: new Uint8Array(2) })).toThrow(ArgumentError);
  });
});
