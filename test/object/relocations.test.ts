import { describe, expect, it } from "vitest";
import type { ObjectSpec } from "../../src/object/index.js";
import { call, code, exit, load, mov, ObjectWriter, TypeWriter } from "./builders.js";
import { failure, open, program } from "./support.js";

/** One program `main` in section xdp with `insns`, `.text` of three functions, and .data/.bss/.maps of 64 bytes. */
function object(insns = code(load(), exit), setUp: (file: ObjectWriter, types: TypeWriter) => void = () => {}) {
  const file = new ObjectWriter();
  const types = new TypeWriter();
  const xdp = file.code("xdp", insns);
  const text = file.code(".text", code(exit, mov, exit, exit));
  const data = file.section(".data", new Uint8Array(64));
  const bss = file.bss(".bss", 64);
  const maps = file.section(".maps", new Uint8Array(64));
  file.func("main", xdp, 0, insns.length);
  file.func("one", text, 0, 8);
  file.func("two", text, 8, 16, { binding: 0 });
  file.func("three", text, 24, 8);
  file.symbol("m", maps, { value: 32, size: 32 });
  types.datasec(".maps", [[types.variable("m", types.struct("", 32, [["type", types.uint(1)]])), 0, 32]]);
  setUp(file, types);
  file.btf(types);
  return { file, xdp, text, data, bss, maps };
}

const relocationsOf = (spec: ObjectSpec): readonly object[] => program(spec, "main").relocations;

describe("relocations", () => {
  it("of a map", () => {
    const { file, xdp } = object(code(mov, load(), exit));
    file.relocate(xdp, 8, 5);
    const spec = open(file);
    expect(relocationsOf(spec)).toEqual([{ kind: "map", insnIndex: 1, map: spec.maps[0] }]);
    expect(program(spec, "main").relocations[0]).toHaveProperty("map", spec.maps[0]);
  });

  it("of data: by the variable's symbol, and by the section's with the offset in the instruction", () => {
    const { file, xdp, data, bss } = object(code(load(4), load(40), load(64), exit));
    file.relocate(xdp, 0, file.symbol("v", data, { value: 16, size: 8 }));
    file.relocate(xdp, 16, file.sectionSymbol(bss));
    file.relocate(xdp, 32, file.sectionSymbol(data));
    const spec = open(file);
    expect(relocationsOf(spec)).toMatchObject([
      { kind: "data", insnIndex: 0, map: { sectionName: ".data" }, offset: 20 },
      { kind: "data", insnIndex: 2, map: { sectionName: ".bss" }, offset: 40 },
      { kind: "data", insnIndex: 4, map: { sectionName: ".data" }, offset: 64 },
    ]);
  });

  it("of calls: global functions by their symbol, static ones by .text and the immediate", () => {
    const { file, xdp, text } = object(code(call(), call(0), exit));
    file.relocate(xdp, 0, 4, 10);
    file.relocate(xdp, 8, file.sectionSymbol(text), 10);
    const spec = open(file);
    expect(relocationsOf(spec)).toMatchObject([
      { kind: "call", insnIndex: 0, target: { name: "three" } },
      { kind: "call", insnIndex: 1, target: { name: "two" } },
    ]);
    expect(program(spec, "main").relocations[1]).toHaveProperty("target", spec.subprograms[1]);
  });

  it("of function addresses, both ways", () => {
    const { file, xdp, text } = object(code(load(), load(8), exit));
    file.relocate(xdp, 0, 2);
    file.relocate(xdp, 16, file.sectionSymbol(text));
    expect(relocationsOf(open(file))).toMatchObject([
      { kind: "function", insnIndex: 0, target: { name: "one" } },
      { kind: "function", insnIndex: 2, target: { name: "two" } },
    ]);
  });

  it("are found for calls that the compiler resolved within .text", () => {
    const file = new ObjectWriter();
    // a: call +2 (to c), call -2 (to a itself); b; c
    const text = file.code(".text", code(call(2), call(-2), exit, exit));
    file.func("a", text, 0, 16);
    file.func("b", text, 16, 8);
    file.func("c", text, 24, 8, { binding: 0 });
    expect(open(file).subprograms[0]!.relocations).toMatchObject([
      { kind: "call", insnIndex: 0, target: { name: "c" } },
      { kind: "call", insnIndex: 1, target: { name: "a" } },
    ]);
  });

  it("leaves calls of helpers alone, and the second half of a load", () => {
    const half = load();
    half[1] = call(5);
    expect(relocationsOf(open(object(code(call(14, 0), half, exit)).file))).toEqual([]);
  });

  it("of externs, with their declaration", () => {
    let ids: number[] = [];
    const { file, xdp } = object(code(load(), load(), call(), exit), (_, types) => {
      ids = [
        types.variable("CONFIG_HZ", types.int(), 2),
        types.variable("ksym", types.int(), 2),
        types.func("kfunc", 2),
      ];
      types.datasec(".kconfig", [[ids[0]!, 0, 4]]);
      types.datasec(".ksyms", [
        [ids[1]!, 0, 4],
        [ids[2]!, 0, 0],
      ]);
    });
    file.relocate(xdp, 0, file.extern("CONFIG_HZ"));
    file.relocate(xdp, 16, file.extern("ksym", true));
    file.relocate(xdp, 32, file.extern("kfunc", true), 10);
    const spec = open(file);
    expect(relocationsOf(spec)).toMatchObject([
      { kind: "data", insnIndex: 0, map: { sectionName: ".kconfig" }, offset: 0 },
      { kind: "extern", insnIndex: 2, extern: { kind: "ksymVariable", name: "ksym", weak: true, typeId: ids[1] } },
      { kind: "extern", insnIndex: 4, extern: { kind: "ksymFunction", name: "kfunc", weak: true, typeId: ids[2] } },
    ]);
    expect(spec.externs.map(({ name }) => name)).toEqual(["CONFIG_HZ", "kfunc", "ksym"]);
  });

  describe("of jump tables", () => {
    /** `main` at byte 8 of its section loads the table at 8, whose entries are byte offsets in the section. */
    function withTable(entries: readonly number[], size = entries.length * 8, littleEndian = true): ObjectWriter {
      const file = new ObjectWriter(littleEndian);
      const xdp = file.code("xdp", code(exit, load(), exit, exit));
      file.func("first", xdp, 0, 8);
      file.func("main", xdp, 8, 32);
      const data = new Uint8Array(8 + entries.length * 8);
      entries.forEach((entry, i) => {
        new DataView(data.buffer).setBigUint64(8 + i * 8, BigInt(entry), littleEndian);
      });
      file.relocate(xdp, 8, file.symbol("BPF.JT.0.0", file.section(".jumptables", data), { value: 8, size }));
      return file;
    }

    it.each([true, false])("tell where the entries lead in the function, little-endian %s", (littleEndian) => {
      const { programs } = open(withTable([24, 32, 24, 8], 32, littleEndian));
      expect(programs.find(({ name }) => name === "main")!.relocations).toEqual([
        { kind: "jumpTable", insnIndex: 0, tableOffset: 8, targets: [2, 3, 2, 0] },
      ]);
    });

    it.each<[string, number[], number | undefined, string]>([
      ["to another function", [24, 0], undefined, "leads to 0x0, out of the function that uses it"],
      ["behind the function", [40], undefined, "leads to 0x28, out of the function that uses it"],
      ["between instructions", [12], undefined, "leads to 0xc, out of the function that uses it"],
      ["with half an entry", [8, 8], 12, "(12 bytes at 0x8) is no list of 8-byte entries"],
      ["without entries", [8], 0, "is no list of 8-byte entries"],
      ["behind the section", [8], 16, "is no list of 8-byte entries"],
    ])("are refused %s", (_, entries, size, reason) => {
      expect(failure(() => open(withTable(entries, size)))).toMatchObject({
        code: "OBJECT_INVALID",
        program: "main",
        section: "xdp",
        reason: expect.stringContaining(reason),
      });
    });
  });

  it("of code without a function are skipped", () => {
    const file = new ObjectWriter();
    const xdp = file.code("xdp", code(exit, load(), exit));
    file.func("main", xdp, 24, 8);
    file.relocate(xdp, 8, 1);
    expect(open(file).programs[0]!.relocations).toEqual([]);
  });
});

type Setup = ReturnType<typeof object>;
const wrong: [string, Uint8Array, (setup: Setup) => void, string, number][] = [
  [
    "an unknown relocation type",
    code(load(), exit),
    ({ file, xdp }) => file.relocate(xdp, 0, 5, 77),
    "relocation type 77, which instructions do not have",
    0,
  ],
  [
    "a data relocation of code",
    code(load(), exit),
    ({ file, xdp }) => file.relocate(xdp, 0, 5, 2),
    "relocation type 2, which instructions do not have",
    0,
  ],
  [
    "a load relocation of a call",
    code(mov, call(), exit),
    ({ file, xdp }) => file.relocate(xdp, 8, 4, 1),
    "a relocation of type 1 at an instruction with opcode 0x85",
    8,
  ],
  [
    "a call relocation of a load",
    code(load(), exit),
    ({ file, xdp }) => file.relocate(xdp, 0, 4, 10),
    "a relocation of type 10 at an instruction with opcode 0x18",
    0,
  ],
  [
    "a relocation of another instruction",
    code(mov, exit),
    ({ file, xdp }) => file.relocate(xdp, 0, 5),
    "a relocation of type 1 at an instruction with opcode 0xb7",
    0,
  ],
  [
    "a relocation between instructions",
    code(load(), exit),
    ({ file, xdp }) => file.relocate(xdp, 4, 5),
    "a relocation between two instructions",
    4,
  ],
  [
    "a relocation of a second half",
    code(load(), exit),
    ({ file, xdp }) => file.relocate(xdp, 8, 5),
    "a relocation of the second half of a 64-bit load",
    8,
  ],
  [
    "two relocations of one instruction",
    code(load(), exit),
    ({ file, xdp }) => {
      file.relocate(xdp, 0, 5);
      file.relocate(xdp, 0, 5);
    },
    "a second relocation of the same instruction",
    0,
  ],
  [
    "a load that is cut off",
    code(mov, load()[0]!),
    ({ file, xdp }) => file.relocate(xdp, 8, 5),
    "a load of 64 bits is cut off",
    8,
  ],
  [
    "a reference that hits no map",
    code(load(), exit),
    ({ file, xdp, maps }) => file.relocate(xdp, 0, file.symbol("x", maps, { value: 8 })),
    "`x` (offset 0x8 of .maps) is no map",
    0,
  ],
  [
    "data outside its section",
    code(load(65), exit),
    ({ file, xdp, data }) => file.relocate(xdp, 0, file.sectionSymbol(data)),
    "`` + 65 lies outside section .data",
    0,
  ],
  [
    "data before its section",
    code(load(-1), exit),
    ({ file, xdp, bss }) => file.relocate(xdp, 0, file.sectionSymbol(bss)),
    "`` - 1 lies outside section .bss",
    0,
  ],
  [
    "data at an absurd address",
    code(load(), exit),
    ({ file, xdp, bss }) => file.relocate(xdp, 0, file.symbol("x", bss, { value: 2 ** 52 })),
    "`x` + 0 lies outside section .bss",
    0,
  ],
  [
    "a section of no use",
    code(load(), exit),
    ({ file, xdp }) => file.relocate(xdp, 0, file.symbol("x", file.section("stuff", new Uint8Array(8)))),
    "the address of `x` in section stuff, which holds no data for programs",
    0,
  ],
  [
    "the address of a program",
    code(load(), exit),
    ({ file, xdp }) => file.relocate(xdp, 0, 1),
    "the address of `main` in section xdp, which holds no data for programs",
    0,
  ],
  [
    "a call of a program",
    code(call(), exit),
    ({ file, xdp }) => file.relocate(xdp, 0, 1, 10),
    "a call of `main` in section xdp",
    0,
  ],
  [
    "a call into the middle of a function",
    code(call(1), exit),
    ({ file, xdp, text }) => file.relocate(xdp, 0, file.sectionSymbol(text), 10),
    "no function starts at offset 0x10 of .text",
    0,
  ],
  [
    "the address of the middle of a function",
    code(load(4), exit),
    ({ file, xdp, text }) => file.relocate(xdp, 0, file.sectionSymbol(text)),
    "no function starts at offset 0x4 of .text",
    0,
  ],
  [
    "a relocated call of a helper",
    code(call(-1, 0), exit),
    ({ file, xdp }) => file.relocate(xdp, 0, 4, 10),
    "a call of `three` that is marked as no call of a function",
    0,
  ],
  [
    "a call within a program's section",
    code(mov, call(-2), exit),
    () => {},
    "a call within a section that is not .text; sub-programs have to lie in .text",
    8,
  ],
  [
    "a function address without relocation",
    code(load(1, 4), exit),
    () => {},
    "the address of a function without relocation",
    0,
  ],
  [
    "an undefined symbol",
    code(load(), exit),
    ({ file, xdp }) => file.relocate(xdp, 0, file.extern("nowhere")),
    "`nowhere` is not defined",
    0,
  ],
  [
    "an undefined variable",
    code(load(), exit),
    ({ file, xdp }) => file.relocate(xdp, 0, file.symbol("x", 0)),
    "symbol `x` is undefined and no extern either",
    0,
  ],
  [
    "a common symbol",
    code(load(), exit),
    ({ file, xdp }) => file.relocate(xdp, 0, file.symbol("x", 0xfff2)),
    "`x` is a common symbol",
    0,
  ],
  [
    "an absolute symbol",
    code(load(), exit),
    ({ file, xdp }) => file.relocate(xdp, 0, file.symbol("x", 0xfff1)),
    "symbol `x` lies in special section 0xfff1",
    0,
  ],
];

describe("refuses", () => {
  it.each(wrong)("%s", (_, insns, damage, reason, offset) => {
    const setup = object(insns);
    damage(setup);
    const error = failure(() => open(setup.file));
    expect(error).toMatchObject({ reason, section: "xdp", offset });
    expect(error.code).toBe(reason.includes("common") ? "OBJECT_UNSUPPORTED" : "OBJECT_INVALID");
    // Found before the relocations are given to functions, or by a function.
    if (!/between|second/.test(reason)) expect(error.program).toBe("main");
  });

  it("relocations with addends", () => {
    const { file, xdp } = object();
    file.relocate(xdp, 0, 5);
    file.withAddends();
    expect(failure(() => open(file))).toMatchObject({ code: "OBJECT_UNSUPPORTED", section: ".relxdp" });
  });

  it("a call of an extern variable, and a function that is declared __kconfig", () => {
    const variable = object(code(call(), exit), (_, t) => t.datasec(".ksyms", [[t.variable("x", t.int(), 2), 0, 4]]));
    variable.file.relocate(variable.xdp, 0, variable.file.extern("x"), 10);
    expect(failure(() => open(variable.file)).reason).toBe("a call of `x`, which is no function");
    const func = object(code(load(), exit), (_, t) => t.datasec(".kconfig", [[t.func("x", 2), 0, 4]]));
    func.file.relocate(func.xdp, 0, func.file.extern("x"));
    expect(failure(() => open(func.file)).reason).toBe("function x is declared __kconfig");
  });

  it("externs without type information", () => {
    const file = new ObjectWriter();
    const xdp = file.code("xdp", code(load(), exit));
    file.func("main", xdp, 0, 24);
    file.relocate(xdp, 0, file.extern("CONFIG_HZ"));
    expect(failure(() => open(file))).toMatchObject({
      code: "BTF_MISSING",
      program: "main",
      section: "xdp",
      offset: 0,
    });
  });
});
