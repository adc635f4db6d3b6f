// Maps that the object fills itself, by what programs find in them.

import { expect, it } from "vitest";
import { type BpfObject, StateError, SystemCallError } from "../../src/index.js";
import { loadError, openDescriptors, runFilter, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

const noEdit = (): void => {};

function call(obj: BpfObject, slot: number): number {
  obj.bss.slot = slot;
  return runFilter(obj, "dispatch");
}

const refusal = (edit: (obj: BpfObject) => void): unknown => loadError("slots", edit);

kernelDescribe("initial slots", { needs: ["socket_filter", "bloom_filter"] }, () => {
  it("hold the inner maps that the object names, in arrays and hashes of maps", async () => {
    await withLoaded("slots", noEdit, (obj) => {
      obj.map("first").set(0, 11);
      obj.map("second").set(0, 22);
      runFilter(obj, "read_inner");
      expect(obj.bss.found_array).toEqual([0, 11, 0, 22]);
      expect(obj.bss.found_hash).toEqual([22, 0, 11, 0, 0, 22, 0, 0]);
    });
  });

  it("hold the programs of tail calls", async () => {
    await withLoaded("slots", noEdit, (obj) => {
      expect([0, 1, 2, 3].map((slot) => call(obj, slot))).toEqual([102, 7, 101, 7]);
    });
  });

  it("are left alone where the map is not created", async () => {
    const edit = (obj: BpfObject): void => {
      obj.map("calls").autocreate = false;
      obj.map("outer_hash").autocreate = false;
      for (const name of ["dispatch", "tail_one", "read_inner"]) obj.program(name).autoload = false;
    };
    await withLoaded("slots", edit, (obj) => {
      expect(obj.map("calls").loaded).toBe(false);
      expect([...obj.map("outer_array").keys()]).toEqual([1, 3]);
    });
  });

  it("say what is missing: an inner map, a program", () => {
    const before = openDescriptors();
    const noMap = refusal((obj) => {
      obj.map("second").autocreate = false;
    });
    expect(noMap).toBeInstanceOf(StateError);
    expect((noMap as Error).message).toMatch(/map outer_array: slot 3 is to hold map second, which was not created/);
    const noProgram = refusal((obj) => {
      obj.program("tail_one").autoload = false;
    });
    expect(noProgram).toBeInstanceOf(StateError);
    expect((noProgram as Error).message).toMatch(/map calls: slot 2 is to hold program tail_one, which was not loaded/);
    expect(openDescriptors()).toBe(before);
  });

  it("say what does not fit: too few slots, an inner map that is another kind", () => {
    const tooSmall = refusal((obj) => {
      obj.map("outer_array").maxEntries = 2;
    });
    expect(tooSmall).toBeInstanceOf(SystemCallError);
    expect((tooSmall as Error).message).toMatch(/map outer_array: .*of map second into slot 3 failed: E2BIG/);
    const other = refusal((obj) => {
      obj.map("first").valueSize = 16;
    });
    expect((other as SystemCallError).message).toMatch(/of map first into slot 1 failed: EINVAL/);
  });

  it("follow the definition of inner maps, which can be read and edited", async () => {
    const edit = (obj: BpfObject): void => {
      const { inner } = obj.map("outer_array");
      expect([inner?.name, inner?.type, inner?.keySize, inner?.maxEntries]).toEqual([
        "outer_array.inner",
        "array",
        4,
        1,
      ]);
      for (const outer of ["outer_array", "outer_hash"]) obj.map(outer).inner!.valueSize = 16;
      for (const map of ["first", "second"]) obj.map(map).valueSize = 16;
      expect(obj.map("first").inner).toBeUndefined();
    };
    await withLoaded("slots", edit, (obj) => {
      expect(obj.map("first").get(0)).toEqual(new Uint8Array(16));
      expect(() => {
        obj.map("outer_array").inner!.valueSize = 4;
      }).toThrow(/map outer_array\.inner: valueSize cannot be changed after load/);
    });
  });

  it("take another map as an example of inner maps", async () => {
    await withLoaded("slots", noEdit, async (example) => {
      const edit = (obj: BpfObject): void => {
        obj.map("outer_array").setInnerMap(example.map("first"));
        expect(obj.map("outer_array").inner).toBeUndefined();
        obj.map("outer_hash").setInnerMap(example.map("second").fd);
        expect(() => obj.map("first").setInnerMap(example.map("first"))).toThrow(/maps of type array hold no maps/);
      };
      await withLoaded("slots", edit, (obj) => {
        obj.map("first").set(0, 5);
        runFilter(obj, "read_inner");
        expect(obj.bss.found_array).toEqual([0, 5, 0, 0]);
        expect(() => obj.map("outer_array").setInnerMap(example.map("first"))).toThrow(StateError);
      });
    });
    const wrong = refusal((obj) => {
      obj.map("outer_array").setInnerMap(obj.map("first"));
    });
    expect((wrong as Error).message).toMatch(/map first: the map is not loaded yet/);
  });
});
