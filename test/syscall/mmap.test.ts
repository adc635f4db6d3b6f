// Mapped memory: shared with the kernel while open, harmless afterwards.

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { ArgumentError, StateError } from "../../src/errors.js";
import {
  type FileDescriptor,
  MappedRegion,
  mapCreate,
  mapLookup,
  mapUpdate,
  pageSize,
} from "../../src/syscall/index.js";
import { kernelDescribe } from "../support/needs.js";
import { runModule } from "./process.js";
import { asU64, MapType, u32s, u64s } from "./programs.js";

/** BPF_F_MMAPABLE. */
const MMAPABLE = 1024;
const create = (): FileDescriptor =>
  mapCreate({ type: MapType.array, keySize: 4, valueSize: 8, maxEntries: 4, flags: MMAPABLE });

/** What children need to make the same map, with `maps` counting mappings of it. */
const prelude = `
  import { readFileSync } from "node:fs";
  import { mapCreate, MappedRegion, mapUpdate, mapLookup } from "./src/syscall/index.ts";
  const map = mapCreate({ type: 2, keySize: 4, valueSize: 8, maxEntries: 4, flags: 1024 });
  const maps = () => readFileSync("/proc/self/maps", "utf8").split("\\n").filter((line) => line.includes("bpf-map")).length;
`;

kernelDescribe("mapped memory", { needs: ["array_mmap"] }, () => {
  it("shows what the kernel writes, and the kernel what we write", () => {
    using map = create();
    using region = MappedRegion.map(map, { length: 32, writable: true });
    const words = new BigUint64Array(region.buffer, region.byteOffset, 4);
    expect([region.byteLength, region.bytes.length, region.writable]).toEqual([32, 32, true]);
    mapUpdate({ map, key: u32s(2), value: u64s(0x1122334455667788n) });
    expect([...words]).toEqual([0n, 0n, 0x1122334455667788n, 0n]);
    words[3] = 5n;
    expect(asU64(mapLookup({ map, key: u32s(3) }))).toBe(5n);
  });

  it("outlives the descriptor, and goes when closed", () => {
    const mappings = () =>
      readFileSync("/proc/self/maps", "utf8")
        .split("\n")
        .filter((l) => l.includes("bpf-map"));
    const before = mappings().length;
    const map = create();
    const region = MappedRegion.map(map, { length: 32 });
    map.close();
    expect(mappings()).toHaveLength(before + 1);
    expect(region.bytes[0]).toBe(0);
    region.close();
    region.close();
    expect(mappings()).toHaveLength(before);
    expect(region.closed).toBe(true);
    expect(() => region.buffer).toThrow(StateError);
    expect(() => region.bytes).toThrow(/is closed/);
  });

  it("refuses what cannot be mapped", () => {
    using map = create();
    expect(() => MappedRegion.map(map, { length: 0 })).toThrow(ArgumentError);
    expect(() => MappedRegion.map(map, { length: 8, offset: 100 })).toThrow(`multiple of ${pageSize()}`);
    expect(() => MappedRegion.map(map, { length: 8, offset: -1 })).toThrow(ArgumentError);
    expect(() => MappedRegion.map(map, { length: 8, shared: false })).toThrow(/mmap of map failed: EINVAL/);
    using plain = mapCreate({ type: MapType.array, keySize: 4, valueSize: 8, maxEntries: 4 });
    expect(() => MappedRegion.map(plain, { length: 8 })).toThrow(/mmap of map failed/);
  });

  it("leaves stale views harmless and the map untouched", () => {
    const { output, status, signal } = runModule(`${prelude}
      const region = MappedRegion.map(map, { length: 32, writable: true });
      const bytes = region.bytes, words = new BigUint64Array(region.buffer), view = new DataView(region.buffer);
      words[0] = 9n;
      region.close();
      console.log("mapped", maps());
      // Detached views ignore or throw; what must not happen is a signal.
      const uses = [() => bytes.fill(1), () => { words[0] = 1n; }, () => view.setUint32(0, 1), () => Atomics.store(words, 0, 3n)];
      for (const use of uses) { try { use(); } catch (error) { if (!(error instanceof TypeError)) throw error; } }
      console.log("kernel has", mapLookup({ map, key: new Uint8Array(4) })[0]);
    `);
    expect({ status, signal }).toEqual({ status: 0, signal: null });
    expect(output).toContain("mapped 0");
    expect(output).toContain("kernel has 9");
  });

  it("does the same on runtimes without ArrayBuffer.prototype.transfer", () => {
    const { output, status, signal } = runModule(
      `${prelude}
      delete ArrayBuffer.prototype.transfer;
      let region = MappedRegion.map(map, { length: 32, writable: true });
      let bytes = region.bytes;
      bytes[0] = 9;
      region.close();
      console.log("mapped", maps(), "reads", bytes[0], bytes.length);
      bytes.fill(7);
      console.log("kernel has", mapLookup({ map, key: new Uint8Array(4) })[0]);
      // The zero pages go with the buffer.
      bytes = region = undefined;
      for (let i = 0; i < 5; i++) { gc(); await new Promise((r) => setTimeout(r, 10)); }
      console.log("alive");
    `,
      ["--expose-gc"],
    );
    expect({ status, signal }).toEqual({ status: 0, signal: null });
    expect(output).toContain("mapped 0 reads 0 32");
    expect(output).toContain("kernel has 9");
    expect(output).toContain("alive");
    expect(output).not.toContain("never closed");
  });

  it("unmaps what was dropped, not before the last view is gone, and says so", () => {
    const { output, status } = runModule(
      `${prelude}
      let view;
      (() => { for (let i = 0; i < 10; i++) view = MappedRegion.map(map, { length: 32 }).bytes; })();
      const settle = async (want) => { for (let i = 0; i < 30 && maps() > want; i++) { gc(); await new Promise((r) => setTimeout(r, 10)); } };
      console.log("open", maps());
      await settle(1);
      console.log("held", maps(), view[0]);
      view = undefined;
      await settle(0);
      console.log("left", maps());
    `,
      ["--expose-gc"],
    );
    expect(status).toBe(0);
    expect(output).toContain("open 10");
    expect(output).toContain("held 1 0");
    expect(output).toContain("left 0");
    expect(output).toContain("bpfkit: the mapped memory of map was never closed");
  });

  it("cannot be transferred away", () => {
    using map = create();
    using region = MappedRegion.map(map, { length: 32 });
    const buffer = region.buffer as ArrayBuffer & { transfer(): ArrayBuffer };
    expect(() => buffer.transfer()).toThrow(StateError);
    expect(region.bytes).toHaveLength(32);
  });
});
