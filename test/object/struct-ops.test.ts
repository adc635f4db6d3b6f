import { describe, expect, it } from "vitest";
import { MapFlag, MapType } from "../../src/object/index.js";
import { code, exit, load, ObjectWriter, TypeWriter } from "./builders.js";
import { failure, open } from "./support.js";

/** An object with struct { int flags; void (*call)(void); void *other; } variables in `section`, and two programs. */
function object(section = ".struct_ops", edit: (types: TypeWriter, struct: number) => number = (_, struct) => struct) {
  const file = new ObjectWriter();
  const ops = file.code("struct_ops/call", code(exit, exit));
  const first = file.func("first", ops, 0, 8);
  const second = file.func("second", ops, 8, 8);
  const xdp = file.code("xdp", code(load(), exit));
  const filter = file.func("filter", xdp, 0, 24);
  const data = new Uint8Array(80);
  data[0] = 7;
  data[32] = 9;
  const index = file.section(section, data);
  const types = new TypeWriter();
  const members = [
    ["flags", types.int()],
    ["call", types.ptr(types.proto())],
    ["other", types.ptr(0)],
  ] as const;
  const struct = edit(types, types.struct("my_ops___flavor", 24, members));
  const a = file.symbol("a", index, { value: 0, size: 24 });
  file.symbol("b", index, { value: 32, size: 24 });
  types.datasec(section, [
    [types.variable("a", struct), 0, 24],
    [types.variable("b", struct), 0, 24],
  ]);
  file.btf(types);
  return { file, index, first, second, filter, a, xdp };
}

describe("struct_ops variables", () => {
  it.each([
    [".struct_ops", ".struct_ops", 0, true],
    [".struct_ops.link", ".struct_ops.link", MapFlag.LINK, true],
    ["?.struct_ops", ".struct_ops", 0, false],
    ["?.struct_ops.link", ".struct_ops.link", MapFlag.LINK, false],
  ])("of %s become maps", (section, sectionName, flags, autocreate) => {
    const { file, index, first, second } = object(section);
    file.relocate(index, 8, first, 2);
    file.relocate(index, 40, second, 2);
    const { maps, programs } = open(file);
    const common = {
      sectionName,
      flags,
      autocreate,
      type: MapType.struct_ops,
      keySize: 4,
      valueSize: 24,
      maxEntries: 1,
    };
    expect(maps).toMatchObject([
      { ...common, name: "a" },
      { ...common, name: "b" },
    ]);
    expect(maps.map(({ structOps }) => [...structOps!.programs])).toEqual([[[1, programs[0]]], [[1, programs[1]]]]);
    expect(maps.map(({ structOps }) => [...structOps!.declared])).toEqual([[[1, programs[0]]], [[1, programs[1]]]]);
    expect(maps.map(({ structOps }) => structOps!.image[0])).toEqual([7, 9]);
  });

  it.each<[string, (o: ReturnType<typeof object>) => void, string, number]>([
    ["no variable", ({ file, index, first }) => file.relocate(index, 24, first), "that belongs to no variable", 24],
    ["half a member", ({ file, index, first }) => file.relocate(index, 12, first), "inside of a member of struct", 12],
    [
      "a plain member",
      ({ file, index, first }) => file.relocate(index, 0, first),
      "`flags`, which is no pointer to a",
      0,
    ],
    [
      "another pointer",
      ({ file, index, first }) => file.relocate(index, 16, first),
      "`other`, which is no pointer to",
      16,
    ],
    ["data", ({ file, index, a }) => file.relocate(index, 8, a), "`call` is set to `a`, which is no program", 8],
    ["another type", ({ file, index, filter }) => file.relocate(index, 8, filter), "to a program of section xdp", 8],
  ])("refuse a relocation of %s", (_, relocate, reason, offset) => {
    const parts = object();
    relocate(parts);
    expect(failure(() => open(parts.file))).toMatchObject({
      code: "OBJECT_INVALID",
      section: ".struct_ops",
      offset,
      reason: expect.stringContaining(reason),
    });
  });

  it("have to be structs with a name", () => {
    expect(failure(() => open(object(".struct_ops", (types) => types.int()).file))).toMatchObject({
      code: "OBJECT_INVALID",
      map: "a",
      reason: "the variable is no struct but of kind int",
    });
    const anonymous = (types: TypeWriter): number => types.struct("", 24, []);
    expect(failure(() => open(object(".struct_ops", anonymous).file)).reason).toContain("has no name");
    const large = (types: TypeWriter): number => types.struct("large", 81, []);
    expect(failure(() => open(object(".struct_ops", large).file)).reason).toContain("reaches beyond the section");
    const overlapping = (types: TypeWriter): number => types.struct("large", 40, []);
    expect(failure(() => open(object(".struct_ops", overlapping).file))).toMatchObject({
      map: "b",
      reason: "the variable overlaps the one before it",
    });
  });

  it("need type information", () => {
    const file = new ObjectWriter();
    file.section(".struct_ops", new Uint8Array(8));
    expect(failure(() => open(file))).toMatchObject({ code: "BTF_MISSING", section: ".struct_ops" });
    file.btf(new TypeWriter());
    expect(failure(() => open(file))).toMatchObject({ code: "OBJECT_INVALID", section: ".struct_ops" });
  });

  it("cannot be reached by instructions", () => {
    const { file, xdp, a } = object();
    file.relocate(xdp, 0, a);
    expect(open(file).programs.find(({ name }) => name === "filter")!.relocations).toEqual([
      { kind: "unsupported", insnIndex: 0, sectionName: ".struct_ops", what: "struct_ops variables" },
    ]);
  });

  it("are ignored in sections of other names, as by libbpf", () => {
    expect(open(object(".struct_ops.other").file).maps).toEqual([]);
  });
});

describe("arenas", () => {
  function arena(maps: string[], variables = true): ObjectWriter {
    const file = new ObjectWriter();
    const types = new TypeWriter();
    const section = maps.length === 0 ? 0 : file.section(".maps", new Uint8Array(64));
    const entries = maps.map((name, i) => {
      file.symbol(name, section, { value: i * 8, size: 8 });
      return [types.variable(name, types.struct("", 8, [["type", types.uint(MapType.arena)]])), 0, 8] as const;
    });
    if (section > 0) types.datasec(".maps", entries);
    if (variables) {
      const globals = file.section(".addr_space.1", Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
      const v = file.symbol("v", globals, { value: 4, size: 4 });
      types.datasec(".addr_space.1", [[types.variable("v", types.int()), 0, 4]]);
      const xdp = file.code("xdp", code(load(1), exit));
      file.func("main", xdp, 0, 24);
      file.relocate(xdp, 0, v);
    }
    file.btf(types);
    return file;
  }

  it("hold the variables of .addr_space.1", () => {
    const { maps, programs, btf } = open(arena(["m"]));
    expect(maps).toHaveLength(1);
    expect(maps[0]).toMatchObject({
      name: "m",
      sectionName: ".maps",
      initialValue: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
    });
    expect(btf!.nameOf(maps[0]!.arena!.typeId)).toBe(".addr_space.1");
    expect(programs[0]!.relocations).toEqual([{ kind: "data", insnIndex: 0, map: maps[0], offset: 5 }]);
    expect(programs[0]!.relocations[0]).toHaveProperty("map", maps[0]);
  });

  it("without variables are maps like others", () => {
    const { maps } = open(arena(["m"], false));
    expect(maps[0]).toMatchObject({ name: "m", initialValue: undefined });
    expect(maps[0]!.arena).toBeUndefined();
  });

  it("are one at most, and one when there are variables", () => {
    expect(failure(() => open(arena(["m", "n"])))).toMatchObject({ code: "OBJECT_UNSUPPORTED", map: "n" });
    expect(failure(() => open(arena([])))).toMatchObject({ code: "OBJECT_INVALID", section: ".addr_space.1" });
  });
});
