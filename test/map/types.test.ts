// Every type of map by what programs and other descriptors see of it.

import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmdirSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import {
  ArgumentError,
  atomic,
  type BpfMap,
  type BpfObject,
  type Descriptor,
  snapshot,
  typedArray,
  UnsupportedError,
} from "../../src/index.js";
import { pidfdOpen, possibleCpuCount } from "../../src/syscall/index.js";
import { runFilter, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

type Triple = {
  a: number;
  b: number;
  c: number;
};

/** Creates these maps and loads these programs, and nothing else. */
function only(maps: readonly string[], programs: readonly string[] = []): (obj: BpfObject) => void {
  return (obj) => {
    for (const map of obj.maps) if (!map.isInternal) map.autocreate = maps.includes(map.name);
    for (const program of obj.programs) program.autoload = programs.includes(program.name);
  };
}

const withMaps = (names: readonly string[], body: (obj: BpfObject) => void | Promise<void>): Promise<void> =>
  withLoaded("map_access", only(names), body);

kernelDescribe("types of maps", { needs: ["socket_filter"] }, () => {
  kernelIt("mmapable arrays share their memory", { needs: ["array_mmap"] }, async () => {
    let kept: readonly unknown[] = [];
    let bytes: Uint8Array = new Uint8Array(1);
    await withLoaded("map_access", only(["triples", "words"], ["touch_memory"]), (obj) => {
      const [triples, words] = [obj.map<number, Triple>("triples"), obj.map<number, bigint>("words")];
      const { live } = triples;
      triples.set(3, { a: 7, b: 1, c: 0 });
      runFilter(obj, "touch_memory");
      expect(live[3]).toEqual({ a: 7, b: 8, c: 1 });
      live[3]!.a = 100;
      live[4] = { a: 1, b: 2, c: 3 };
      runFilter(obj, "touch_memory");
      expect([triples.get(3), triples.get(4), live.length]).toEqual([
        { a: 100, b: 108, c: 2 },
        { a: 1, b: 2, c: 3 },
        5,
      ]);
      expect(snapshot(triples.live)[3]).toEqual({ a: 100, b: 108, c: 2 });
      // Elements are 16 bytes apart.
      expect(new Uint32Array(triples.memory.buffer, 3 * 16, 3)).toEqual(Uint32Array.of(100, 108, 2));
      expect([triples.memory.length, words.memory.length]).toEqual([80, 8000]);
      const word = atomic<bigint>(words.live, 3);
      word.add(40n);
      expect([word.load(), words.get(3), words.live[3]]).toEqual([42n, 42n, 42n]);
      const all = typedArray(words.live, BigUint64Array);
      all[5] = 7n;
      expect([all.length, all[3], words.get(5)]).toEqual([1000, 42n, 7n]);
      expect(() => typedArray(triples.live, Uint32Array)).toThrow(/no plain numbers/);
      words.int64 = "number";
      expect([words.live[3], words.get(3)]).toEqual([42, 42]);
      expect(() => triples.freeze()).toThrow(/EBUSY/);
      kept = words.live;
      bytes = words.memory;
    });
    expect(() => kept[3]).toThrow(/used after close/);
    expect(bytes[24] ?? 0).toBe(0);
    await withMaps(["guards"], (obj) => {
      expect(() => obj.map("guards").memory).toThrow(/only arenas, variables and arrays with BPF_F_MMAPABLE/);
    });
  });

  it("elements with a spin lock are read and written under it", async () => {
    await withLoaded("map_access", only(["guards"], ["touch_guard"]), (obj) => {
      const guards = obj.map("guards");
      runFilter(obj, "touch_guard");
      runFilter(obj, "touch_guard");
      expect(guards.get(1, { lock: true })).toEqual({ lock: { val: 0 }, updates: 2, sum: 10n });
      guards.set(1, { updates: 7, sum: 0n }, { lock: true });
      runFilter(obj, "touch_guard");
      expect(guards.get(1, { lock: true })).toMatchObject({ updates: 8, sum: 5n });
      guards.setAll([[0, { updates: 1 }]], { lock: true });
      expect(guards.get(0)).toMatchObject({ updates: 1, sum: 0n });
    });
  });

  kernelIt("bloom filters tell what was added", { needs: ["bloom_filter"] }, async () => {
    await withLoaded("map_access", only(["seen"], ["touch_filter"]), (obj) => {
      const seen = obj.map<number, number>("seen");
      expect([seen.has(4711), seen.has(42)]).toEqual([false, false]);
      seen.push(42);
      runFilter(obj, "touch_filter");
      expect([seen.has(4711), seen.has(42), obj.bss.bloom_hit]).toEqual([true, true, 1]);
      expect(() => seen.get(42)).toThrow(/have no keys to get by \(use push\(\) and has\(\)\)/);
      expect(() => seen.pop()).toThrow(/give nothing back \(use has\(\)\)/);
      expect(() => seen.clear()).toThrow(/stays in it/);
    });
  });

  it("hashes of maps take maps, and open them", async () => {
    await withLoaded("map_access", only(["by_key"], ["touch_inner"]), (obj) => {
      const outer = obj.map<number, number, Descriptor>("by_key");
      using inner = outer.createInner<number, bigint>();
      inner.set(1, 99n);
      outer.set(9, inner);
      runFilter(obj, "touch_inner");
      expect(obj.bss.inner_found).toBe(99n);
      expect([...outer]).toEqual([[9, inner.info().id]]);
      using opened = outer.openInner(9)!;
      opened.raw.set(new Uint8Array([1, 0, 0, 0]), new Uint8Array([100, 0, 0, 0, 0, 0, 0, 0]));
      expect(inner.get(1)).toBe(100n);
      expect(outer.openInner(8)).toBeUndefined();
      outer.clear();
      expect([...outer.keys()]).toEqual([]);
      expect(() => obj.map("by_key").inner === undefined || inner.createInner()).toThrow(UnsupportedError);
    });
  });

  it("program arrays take programs", async () => {
    await withLoaded("map_access", only(["tails"], ["touch_tail", "tail"]), (obj) => {
      const tails = obj.map<number, number, Descriptor>("tails");
      expect(runFilter(obj, "touch_tail")).toBe(1);
      tails.set(2, obj.program("tail"));
      expect(runFilter(obj, "touch_tail")).toBe(77);
      expect([...tails.keys()]).toEqual([2]);
      expect(tails.get(2)).toBeTypeOf("number");
      tails.clear();
      expect(runFilter(obj, "touch_tail")).toBe(1);
      expect([tails.has(2), tails.size]).toEqual([false, undefined]);
    });
  });

  it("per-CPU hashes with eviction are filled and read in bulk", async () => {
    await withMaps(["recent_hits"], (obj) => {
      const hits = obj.map<number, readonly bigint[]>("recent_hits");
      const cpus = possibleCpuCount();
      const value = (key: number): bigint[] => Array.from({ length: cpus }, (_, cpu) => BigInt(key * 100 + cpu));
      hits.setAll([1, 2, 3].map((key) => [key, value(key)]));
      expect(hits.getMany([3, 4, 1])).toEqual([value(3), undefined, value(1)]);
      expect([...hits.values()].map((values) => values[0]).sort()).toEqual([100n, 200n, 300n]);
      expect(hits.getCpu(2, cpus - 1)).toBe(200n + BigInt(cpus - 1));
      hits.setAllCpus(2, 5n);
      expect(hits.get(2)).toEqual(new Array(cpus).fill(5n));
      hits.set(3, BigUint64Array.from(value(7)));
      expect(hits.get(3)).toEqual(value(7));
      expect(() => hits.getCpu(2, cpus)).toThrow(ArgumentError);
      expect(() => hits.get(2, { flags: 8n })).toThrow(/change the size of a value \(use getCpu\(\)/);
    });
  });

  kernelIt("values of one CPU are set alone", { needs: ["percpu_flags"] }, async () => {
    await withMaps(["recent_hits"], (obj) => {
      const hits = obj.map<number, readonly bigint[]>("recent_hits");
      const last = possibleCpuCount() - 1;
      hits.setAllCpus(1, 4n);
      hits.setCpu(1, last, 9n);
      expect(hits.getCpu(1, last)).toBe(9n);
      expect(hits.get(1)).toEqual([...new Array(last).fill(4n), 9n]);
      hits.setAllCpus(1, 2n);
      expect(hits.get(1)).toEqual(new Array(last + 1).fill(2n));
      expect(() => hits.setCpu(1, last + 1, 1n)).toThrow(ArgumentError);
    });
  });

  it("maps of devices, CPUs and streams are indexed by slot", async () => {
    await withMaps(["devices", "devices_by_key", "cpus", "streams", "groups", "stacks"], (obj) => {
      const loopback = Number(readFileSync("/sys/class/net/lo/ifindex", "latin1"));
      const devices = obj.map<number, number>("devices");
      devices.set(1, loopback);
      expect([...devices]).toEqual([[1, loopback]]);
      const byKey = obj.map("devices_by_key");
      byKey.set(77, { ifindex: loopback });
      expect([...byKey.keys()]).toEqual([77]);
      expect(byKey.get(77)).toMatchObject({ ifindex: loopback });
      const cpus = obj.map("cpus");
      cpus.set(0, { qsize: 192 });
      expect(cpus.get(0)).toMatchObject({ qsize: 192 });
      cpus.clear();
      expect([...cpus]).toEqual([]);
      expect(() => obj.map("streams").get(0)).toThrow(/ENOTSUPP|EOPNOTSUPP/);
      expect(() => [...obj.map("groups")]).toThrow(/does not show what is in maps of this type/);
      expect([...obj.map("stacks")]).toEqual([]);
    });
  });

  kernelIt("maps of sockets take descriptors and give cookies", { needs: ["sockmap"] }, async () => {
    await withMaps(["sockets", "sockets_by_key"], async (obj) => {
      await withServer((fd) => {
        const [sockets, byKey] = [
          obj.map<number, bigint, Descriptor>("sockets"),
          obj.map<bigint, bigint>("sockets_by_key"),
        ];
        sockets.set(2, { fd });
        byKey.set(5n, BigInt(fd));
        expect(sockets.get(2)).toBeGreaterThan(0n);
        expect(byKey.get(5n)).toBe(sockets.get(2));
        expect([...sockets.keys()].length).toBeGreaterThan(0);
        expect([byKey.delete(5n), byKey.has(5n)]).toEqual([true, false]);
      });
    });
  });

  kernelIt("storage in sockets belongs to the socket", { needs: ["sk_storage"] }, async () => {
    await withMaps(["of_socket"], async (obj) => {
      await withServer((fd) => withServer((other) => expectStorage(obj.map("of_socket"), { fd }, other)));
    });
  });

  kernelIt("storage in tasks belongs to the process", { needs: ["task_storage"] }, async () => {
    await withMaps(["of_task"], (obj) => {
      using own = pidfdOpen(process.pid);
      using parent = pidfdOpen(process.ppid);
      expectStorage(obj.map("of_task"), { fd: own.number }, parent.number);
    });
  });

  kernelIt("storage in control groups belongs to the group", { needs: ["cgroup", "cgrp_storage"] }, async () => {
    const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync("/proc/mounts", "utf8"))![1]!;
    const paths = ["a", "b"].map((name) => `${mount}/bpfkit-maps-${process.pid}-${name}`);
    for (const path of paths) mkdirSync(path);
    const [first, second] = paths.map((path) => openSync(path, "r")) as [number, number];
    try {
      await withMaps(["of_cgroup"], (obj) => expectStorage(obj.map("of_cgroup"), { fd: first }, second));
    } finally {
      for (const fd of [first, second]) closeSync(fd);
      for (const path of paths) rmdirSync(path);
    }
  });

  kernelIt("storage in inodes belongs to the file", { needs: ["inode_storage"] }, async () => {
    const paths = ["a", "b"].map((name) => mkdtempSync(join(tmpdir(), `bpfkit-maps-${name}-`)));
    const [first, second] = paths.map((path) => openSync(path, "r")) as [number, number];
    try {
      await withMaps(["of_inode"], (obj) => expectStorage(obj.map("of_inode"), { fd: first }, second));
    } finally {
      for (const fd of [first, second]) closeSync(fd);
      for (const path of paths) rmdirSync(path);
    }
  });
});

/** Set through one descriptor, seen through it alone. */
function expectStorage(map: BpfMap, holder: { fd: number }, other: number): void {
  const storage = map as unknown as BpfMap<Descriptor, { a: number; b: number; c: number }>;
  expect(storage.get(other)).toBeUndefined();
  storage.set(holder, { a: 1, b: 2, c: 3 });
  expect(storage.get(holder.fd)).toEqual({ a: 1, b: 2, c: 3 });
  expect([storage.has(other), storage.has(holder.fd)]).toEqual([false, true]);
  expect(() => [...storage]).toThrow(/does not list the elements of a .*_storage/);
  expect(() => storage.clear()).toThrow(UnsupportedError);
  expect([storage.delete(holder.fd), storage.delete(holder.fd), storage.has(holder.fd)]).toEqual([true, false, false]);
}

/** A listening TCP socket of this process. */
async function withServer<T>(body: (fd: number) => T | Promise<T>): Promise<T> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    // Node has no public way to the descriptor of a socket.
    return await body((server as unknown as { _handle: { fd: number } })._handle.fd);
  } finally {
    server.close();
  }
}
