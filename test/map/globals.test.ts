// Global variables as live views: what is seen and set is the memory of the running program.

import { expect, it } from "vitest";
import {
  ArgumentError,
  atomic,
  type BpfObject,
  NotFoundError,
  StateError,
  snapshot,
  typedArray,
  UnsupportedError,
  ValueError,
} from "../../src/index.js";
import { runSyscall, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

interface Shape {
  name: string;
  corners: { x: number; y: number }[];
  color: number;
  visible: number;
  layer: number;
  shift: number;
  raw: bigint;
  low: number;
  high: number;
}
interface Variables {
  data_array: number[];
  data_matrix: number[][];
  data_union: { wide: bigint; halves: number[]; bytes: Uint8Array };
  data_u32: number;
  data_u64: bigint;
  data_s32: number;
  data_u16: number;
}

const noEdit = (): void => {};
const data = (obj: BpfObject): Variables => obj.data as unknown as Variables;
const shape = (obj: BpfObject): Shape => obj.bss.bss_shape as unknown as Shape;

kernelDescribe("live global variables", { needs: ["syscall_program"] }, () => {
  it("show what the program does while a view is held", async () => {
    await withLoaded("globals", noEdit, (obj) => {
      const { data_array, data_matrix, data_union } = data(obj);
      const view = shape(obj);
      expect([data_array[2], data_matrix[1]![2], data_union.halves[0], view.corners[2]!.y]).toEqual([
        30, 6, 0x05060708, 0,
      ]);
      runSyscall(obj, "copy_globals");
      expect([data_array[2], data_matrix[1]![2], data_union.halves[0], view.corners[2]!.y]).toEqual([30, 600, 0, -3]);
      expect(view).toEqual(obj.rodata.ro_shape);
      expect({ ...view }).toMatchObject({ name: "square", layer: 100, shift: -9, low: 0x11111111, high: 0x22222222 });
      expect(shape(obj)).toBe(view);
    });
  });

  it("are written member by member and element by element", async () => {
    await withLoaded("globals", noEdit, (obj) => {
      const variables = data(obj);
      variables.data_array[0] = 1000;
      variables.data_array[1] = -1;
      runSyscall(obj, "copy_globals");
      expect([...variables.data_array]).toEqual([1000, -1, 999, 40]);
      variables.data_matrix[0]![1] = 7;
      variables.data_matrix[1] = [9];
      expect(obj.data.data_matrix).toEqual([
        [1, 7, 3],
        [9, 0, 0],
      ]);
      variables.data_union.halves[1] = 1;
      expect(variables.data_union.wide).toBe(1n << 32n);
      variables.data_union.wide = 5n;
      expect(variables.data_union.bytes).toEqual(new Uint8Array([5, 0, 0, 0, 0, 0, 0, 0]));
      // The neighbours of a bitfield stay.
      const view = shape(obj);
      view.layer = 3;
      expect([view.visible, view.layer, view.shift, view.color]).toEqual([1, 3, -9, 2]);
      view.corners[1] = { x: 8, y: 9 };
      view.name = "circle";
      expect(snapshot(view)).toMatchObject({
        name: "circle",
        corners: [{ x: 1 }, { x: 8, y: 9 }, { y: -3 }],
        layer: 3,
      });
      // What the raw bytes of the map say.
      const bytes = obj.map(".data").raw.get(new Uint8Array(4))!;
      expect(Buffer.from(bytes).includes(Buffer.from(Int32Array.of(1000, -1, 999, 40).buffer))).toBe(true);
    });
  });

  it("take plain objects, other views and snapshots as a whole", async () => {
    await withLoaded("globals", noEdit, (obj) => {
      const view = shape(obj);
      obj.bss.bss_shape = obj.rodata.ro_shape!;
      expect(view).toEqual(obj.rodata.ro_shape);
      const kept = snapshot(view);
      obj.bss.bss_shape = { color: 4, corners: [{ x: 1 }], low: 1, high: 2 };
      expect([view.name, view.corners[0]!.x, view.raw]).toEqual(["", 1, 0x2_0000_0001n]);
      obj.bss.bss_shape = kept as never;
      expect(view).toEqual(obj.rodata.ro_shape);
      expect(kept).toEqual(obj.rodata.ro_shape);
      expect(snapshot(obj.bss)).toMatchObject({ bss_u8: 0, bss_shape: { name: "square" } });
      expect(snapshot(5)).toBe(5);
    });
  });

  it("are images before load, constants after it and nothing after close", async () => {
    let view: Shape | undefined;
    let array: number[] = [];
    const edit = (obj: BpfObject): void => {
      const image = obj.rodata.ro_shape as unknown as Shape;
      image.corners[1]!.x = 4711;
      image.layer = 9;
    };
    await withLoaded("globals", edit, (obj) => {
      const constant = obj.rodata.ro_shape as unknown as Shape;
      expect([constant.corners[1]!.x, constant.layer]).toEqual([4711, 9]);
      runSyscall(obj, "copy_globals");
      view = shape(obj);
      array = data(obj).data_array;
      expect(view.corners[1]!.x).toBe(4711);
      expect(() => {
        constant.corners[1]!.x = 1;
      }).toThrow(/ro_shape is read-only once the object is loaded/);
      expect(() => atomic(constant.corners[0]!, "x").add(1)).toThrow(StateError);
      expect(atomic(constant.corners[0]!, "x").load()).toBe(1);
    });
    expect(() => view!.color).toThrow(/variable bss_shape was used after close\(\)/);
    expect(() => view!.corners).toThrow(StateError);
    expect(() => array[0]).toThrow(StateError);
    expect(() => {
      array[0] = 1;
    }).toThrow(StateError);
    expect(() => snapshot(view)).toThrow(StateError);
  });

  it("refuse what is misspelt or does not fit, and write nothing then", async () => {
    await withLoaded("globals", noEdit, (obj) => {
      const view = shape(obj) as Shape & { colour: number };
      expect(() => view.colour).toThrow(/no member in struct shape colour; did you mean color\?/);
      expect(() => {
        view.colour = 1;
      }).toThrow(NotFoundError);
      expect(() => {
        view.layer = 128;
      }).toThrow(/^bss_shape\.layer: 128 does not fit/);
      expect(() => {
        view.corners[2]!.x = 2 ** 31;
      }).toThrow(/^bss_shape\.corners\[2\]\.x: 2147483648 does not fit in s32/);
      expect(() => {
        obj.bss.bss_shape = { corners: [{ x: 1 }, { x: "far" }] };
      }).toThrow(/bss_shape\.corners\[1\]\.x: expected an integer/);
      expect(() => {
        data(obj).data_array[1] = "one" as never;
      }).toThrow(ValueError);
      const { data_array } = data(obj);
      expect(() => data_array.push(1)).toThrow(/data_array is an array of 4: 4 cannot be set/);
      expect(() => data_array.pop()).toThrow(ArgumentError);
      expect(() => Object.freeze(data_array)).toThrow(ArgumentError);
      expect(snapshot(view).layer).toBe(0);
      expect(data_array).toEqual([10, 20, 30, 40]);
      expect([data_array.length, 4 in data_array, 3 in data_array, data_array[4], data_array.at(-1)]).toEqual([
        4,
        false,
        true,
        undefined,
        40,
      ]);
      expect([Array.isArray(data_array), JSON.stringify(data_array), data_array.indexOf(30)]).toEqual([
        true,
        "[10,20,30,40]",
        2,
      ]);
      expect(data_array.sort((a, b) => b - a)).toEqual([40, 30, 20, 10]);
    });
  });

  it("are changed atomically", async () => {
    await withLoaded("globals", noEdit, (obj) => {
      const wide = atomic<bigint>(obj.data, "data_u64");
      expect([wide.load(), wide.add(3n), wide.sub(8n), wide.load()]).toEqual([4n, 4n, 7n, (1n << 64n) - 1n]);
      wide.store(6n);
      expect([wide.compareExchange(5n, 9n), wide.compareExchange(6n, 9n), wide.exchange(10n)]).toEqual([6n, 6n, 9n]);
      expect([wide.or(5n), wide.and(6n), wide.xor(1n), wide.load()]).toEqual([10n, 15n, 6n, 7n]);
      runSyscall(obj, "copy_globals");
      expect([wide.load(), data(obj).data_u64]).toEqual([8n, 8n]);
      const element = atomic<number>(data(obj).data_array, 3);
      expect([element.add(-50), element.load(), data(obj).data_array[3]]).toEqual([40, -10, -10]);
      expect(atomic<number>(shape(obj).corners[0]!, "y").exchange(6)).toBe(-1);
      expect(shape(obj).corners[0]).toEqual({ x: 1, y: 6 });
      expect(() => wide.store(-1n)).toThrow(/does not fit in u64/);
      expect(() => wide.add(1.5 as never)).toThrow(ArgumentError);
      expect(() => atomic(obj.data, "data_u16")).toThrow(/data_u16 is not an integer of 32 or 64 bits/);
      expect(() => atomic(shape(obj), "layer")).toThrow(ArgumentError);
      expect(() => atomic(obj.data, "data_u65")).toThrow(NotFoundError);
      expect(() => atomic({ a: 1 }, "a")).toThrow(/for example atomic\(obj\.bss, "counter"\)/);
    });
  });

  it("of arrays of numbers are typed arrays, if wanted", async () => {
    let kept = new Int32Array(1);
    const edit = (obj: BpfObject): void => {
      expect(() => typedArray(obj.data.data_array, Int32Array)).toThrow(/data_array moves .* \(call load\(\) first\)/);
    };
    await withLoaded("globals", edit, (obj) => {
      const words = typedArray(obj.data.data_array, Int32Array);
      expect(words).toEqual(Int32Array.of(10, 20, 30, 40));
      words[0] = 1000;
      data(obj).data_array[1] = -1;
      runSyscall(obj, "copy_globals");
      expect([...words]).toEqual([1000, -1, 999, 40]);
      expect(data(obj).data_array).toEqual([1000, -1, 999, 40]);
      const matrix = typedArray(obj.data.data_matrix, Uint16Array);
      expect([...matrix]).toEqual(data(obj).data_matrix.flat());
      expect([...typedArray(data(obj).data_union.halves, Uint32Array)]).toEqual([...data(obj).data_union.halves]);
      expect(() => typedArray(obj.data.data_array, Uint32Array)).toThrow(
        /the elements of data_array make up Int32Array, not Uint32Array/,
      );
      expect(() => typedArray(shape(obj).corners, Int32Array)).toThrow(
        /the elements of bss_shape\.corners are no plain numbers/,
      );
      expect(() => typedArray([1, 2], Int32Array)).toThrow(/takes a live array/);
      expect(() => typedArray(obj.rodata.ro_shape, Int32Array)).toThrow(ArgumentError);
      obj.data.data_array = Int32Array.of(4, 3, 2, 1) as never;
      expect([...words]).toEqual([4, 3, 2, 1]);
      kept = words;
    });
    expect(kept[0] ?? 0).toBe(0);
  });

  it("go through the map where the kernel cannot share memory", async () => {
    const edit = (obj: BpfObject): void => {
      for (const name of [".data", ".bss"]) obj.map(name).flags &= ~0x400;
    };
    await withLoaded("globals", edit, (obj) => {
      const view = shape(obj);
      const { data_array } = data(obj);
      data_array[0] = 500;
      runSyscall(obj, "copy_globals");
      expect([...data_array]).toEqual([500, 20, 520, 40]);
      expect(view).toEqual(obj.rodata.ro_shape);
      view.corners[0]!.x = 12;
      view.visible = 0;
      expect(snapshot(view)).toMatchObject({ corners: [{ x: 12, y: -1 }, {}, {}], visible: 0, layer: 100 });
      expect(() => typedArray(obj.data.data_array, Int32Array)).toThrow(UnsupportedError);
      expect(() => atomic(obj.data, "data_u64").load()).toThrow(/cannot share the memory of maps \(Linux 5\.5 can\)/);
    });
  });
});
