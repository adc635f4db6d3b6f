// Initial contents of maps of maps and program arrays, as the object declares them.

import { describe, expect, it } from "vitest";
import { type MapSpec, openObject } from "../../src/object/index.js";
import { fixtureBytes } from "../support/fixtures.js";
import { code, exit, mov, ObjectWriter, TypeWriter } from "./builders.js";
import { failure, open } from "./support.js";

/** Members of a map of maps; `values` begins at byte 16. */
const arrayOfMaps = (t: TypeWriter): [string, number][] => [
  ["type", t.uint(12)],
  ["max_entries", t.uint(8)],
  ["values", t.array(t.ptr(t.struct("", 8, [["type", t.uint(2)]])), 0)],
];
const programs = (t: TypeWriter): [string, number][] => [
  ["type", t.uint(3)],
  ["max_entries", t.uint(8)],
  ["values", t.array(t.ptr(t.proto()), 0)],
];

/**
 * `.maps` is section 1 with variables `outer` (bytes 0 to 63, symbol 1) and `inner` (64 to 127, symbol 2); section 2 holds
 * programs `main` (symbol 3) and `other` (symbol 4), section 3 sub-program `helper` (symbol 5).
 */
function slotObject(members: (types: TypeWriter) => [string, number][]): ObjectWriter {
  const file = new ObjectWriter();
  const types = new TypeWriter();
  const maps = file.section(".maps", new Uint8Array(128));
  const outer = types.variable("outer", types.struct("", 64, members(types)));
  const inner = types.variable("inner", types.struct("", 64, [["type", types.uint(2)]]));
  types.datasec(".maps", [
    [outer, 0, 64],
    [inner, 64, 64],
  ]);
  file.symbol("outer", maps, { value: 0, size: 64 });
  file.symbol("inner", maps, { value: 64, size: 64 });
  const section = file.code("socket", code(mov, exit, mov, exit));
  file.func("main", section, 0, 16);
  file.func("other", section, 16, 16);
  file.func("helper", file.code(".text", code(mov, exit)), 0, 16);
  file.btf(types);
  return file;
}

function slotsOf({ slots }: MapSpec): [number, string][] {
  return slots.map((slot) => [slot.index, slot.kind === "map" ? slot.map.name : slot.program.name]);
}

describe("initial slots", () => {
  it("are read from what clang writes", () => {
    const { maps } = openObject(fixtureBytes("slots"), { name: "slots" });
    const slots = Object.fromEntries(maps.map((map) => [map.name, slotsOf(map)]));
    expect(slots).toMatchObject({
      first: [],
      outer_array: [
        [1, "first"],
        [3, "second"],
      ],
      outer_hash: [
        [0, "second"],
        [2, "first"],
        [5, "second"],
      ],
      calls: [
        [0, "tail_two"],
        [2, "tail_one"],
      ],
    });
    const outer = maps.find(({ name }) => name === "outer_array")!;
    expect(outer.slots[0]).toEqual({ kind: "map", index: 1, map: maps.find(({ name }) => name === "first") });
    expect(outer.inner).toMatchObject({ name: "outer_array.inner", type: 2, keySize: 4, valueSize: 4, slots: [] });
    expect(maps.find(({ name }) => name === "seen")).toMatchObject({ mapExtra: 3n, valueSize: 4 });
  });

  it("come sorted, in either order of relocations", () => {
    const file = slotObject(arrayOfMaps);
    file.relocate(1, 40, 1);
    file.relocate(1, 16, 2);
    expect(slotsOf(open(file).maps[0]!)).toEqual([
      [0, "inner"],
      [3, "outer"],
    ]);
  });

  it("tell entry programs apart", () => {
    const file = slotObject(programs);
    file.relocate(1, 24, 4);
    file.relocate(1, 16, 3);
    expect(slotsOf(open(file).maps[0]!)).toEqual([
      [0, "main"],
      [1, "other"],
    ]);
  });

  it.each<[string, (types: TypeWriter) => [string, number][], number, number, RegExp]>([
    ["a program among maps", arrayOfMaps, 16, 3, /slot 0 holds `main`, which is no map/],
    ["a map among programs", programs, 16, 2, /slot 0 holds `inner`, which is no program/],
    ["a sub-program", programs, 32, 5, /slot 2 holds `helper`, which is no program/],
    ["a pointer between slots", arrayOfMaps, 20, 2, /outside the slots/],
    ["a pointer before the slots", arrayOfMaps, 8, 2, /outside the slots/],
    ["a map that has no slots", arrayOfMaps, 64, 2, /only maps of maps and program arrays/],
    ["a pointer that runs over the end", arrayOfMaps, 124, 2, /belongs to no map/],
    [
      "keys of 8 bytes",
      (t) => [
        ["type", t.uint(13)],
        ["key_size", t.uint(8)],
        ["values", t.array(t.ptr(t.struct("", 8, [["type", t.uint(2)]])), 0)],
      ],
      16,
      2,
      /keys of 4 bytes/,
    ],
  ])("refuse %s", (_, members, offset, symbol, reason) => {
    const file = slotObject(members);
    file.relocate(1, offset, symbol);
    const error = failure(() => open(file));
    expect(error.reason).toMatch(reason);
    expect(error).toMatchObject({ code: "OBJECT_INVALID", section: ".maps", offset });
  });

  it("refuse a slot that is filled twice", () => {
    const file = slotObject(arrayOfMaps);
    file.relocate(1, 16, 2);
    file.relocate(1, 16, 2);
    expect(failure(() => open(file))).toMatchObject({ code: "OBJECT_INVALID", map: "outer", offset: 16 });
  });
});
