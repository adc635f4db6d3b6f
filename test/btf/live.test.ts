// Live views over plain memory: hostile names, both byte orders, large arrays, and that nothing but the value is touched.

import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import type { BtfValue } from "../../src/btf/index.js";
import { type LiveMemory, liveCell, snapshot } from "../../src/btf/index.js";
import { Types } from "./codec-types.js";

function memoryOf(bytes: Uint8Array): LiveMemory {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    view: () => view,
    write: (offset, value) => bytes.set(new Uint8Array(value.buffer, value.byteOffset, value.byteLength), offset),
    resident: () => view,
    shared: () => view,
  };
}

function live<T>(types: Types, id: number, bytes: Uint8Array, offset = 0): T {
  return liveCell(types, id, memoryOf(bytes), { offset, name: "x" }).get() as T;
}

describe("live views", () => {
  it("have members of any C name", () => {
    const types = new Types();
    const u8 = types.int("u8", 1);
    const names = ["__proto__", "constructor", "toString", "then", "snapshot", "toJSON"];
    const id = types.struct(
      "s",
      8,
      names.map((name, i) => [name, u8, i * 8]),
    );
    const bytes = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
    const view = live<Record<string, number>>(types, id, bytes);
    expect(Object.keys(view)).toEqual(names);
    names.forEach((name, i) => {
      expect(view[name]).toBe(i + 1);
      view[name] = 100 + i;
    });
    expect([...bytes]).toEqual([100, 101, 102, 103, 104, 105, 7, 8]);
    expect(Object.entries(snapshot(view))).toEqual(names.map((name, i) => [name, 100 + i]));
    expect(Object.getPrototypeOf({}).constructor).toBe(Object);
  });

  it("are set whole by a value whose getter sets another of the type", () => {
    const types = new Types();
    const u32 = types.int("u32", 4);
    const pair = types.struct("pair", 8, [
      ["a", u32, 0],
      ["b", u32, 32],
    ]);
    const both = types.struct("both", 16, [
      ["first", pair, 0],
      ["second", pair, 64],
    ]);
    const bytes = new Uint8Array(16);
    const view = live<{ first: unknown; second: unknown }>(types, both, bytes);
    view.first = {
      a: 1,
      get b() {
        view.second = { a: 8, b: 9 };
        return 2;
      },
    };
    expect([...new Uint32Array(bytes.buffer)]).toEqual([1, 2, 8, 9]);
    // Members that are left out become zero, whatever stood in the memory that was used meanwhile.
    view.second = { b: 5 };
    expect([...new Uint32Array(bytes.buffer)]).toEqual([1, 2, 0, 5]);
  });

  it("touch nothing but the value, in both byte orders", () => {
    for (const little of [true, false]) {
      const types = new Types(little);
      const u32 = types.int("u32", 4);
      const id = types.struct("s", 12, [
        ["a", u32, 0, 5],
        ["b", u32, 5, 20],
        ["c", u32, 32],
        ["d", types.array(u32, 1), 64],
      ]);
      const bytes = new Uint8Array(20).fill(0xff);
      const view = live<{ a: number; b: number; c: number; d: number[] }>(types, id, bytes, 4);
      view.b = 0x12345;
      expect([view.a, view.b, view.c]).toEqual([31, 0x12345, 0xffffffff]);
      view.c = 1;
      view.d[0] = 2;
      expect([...bytes.subarray(8, 16)]).toEqual(little ? [1, 0, 0, 0, 2, 0, 0, 0] : [0, 0, 0, 1, 0, 0, 0, 2]);
      expect([...bytes.subarray(0, 4), ...bytes.subarray(16)]).toEqual(new Array(8).fill(255));
    }
  });

  it("of large arrays are made element by element", () => {
    const types = new Types();
    const u32 = types.int("u32", 4);
    const point = types.struct("point", 8, [
      ["x", u32, 0],
      ["y", u32, 32],
    ]);
    const id = types.array(point, 100_000);
    const bytes = new Uint8Array(800_000);
    const view = live<{ x: number; y: number }[]>(types, id, bytes);
    view[99_999]!.y = 7;
    expect([bytes[799_996], view[99_999]!.y, view.length, view[100_000]]).toEqual([7, 7, 100_000, undefined]);
    for (const key of ["01", "-1", "1e3", "99999999999", "", " 1", "1.0"]) {
      expect(Reflect.get(view, key), key).toBeUndefined();
    }
  });

  it("are printed as what they show", () => {
    const types = new Types();
    const u32 = types.int("u32", 4);
    const id = types.struct("s", 16, [
      ["a", u32, 0],
      ["list", types.array(types.struct("t", 4, [["b", u32, 0]]), 2), 32],
    ]);
    const view = live<BtfValue>(types, id, new Uint8Array([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]));
    expect(inspect(view)).toBe("{ a: 1, list: [ { b: 2 }, { b: 3 } ] }");
    expect(inspect((view as { list: BtfValue }).list)).toBe("[ { b: 2 }, { b: 3 } ]");
    expect(JSON.stringify(view)).toBe('{"a":1,"list":[{"b":2},{"b":3}]}');
    expect(structuredClone({ ...(view as object), list: [] })).toEqual({ a: 1, list: [] });
  });
});
