import { describe, expect, it } from "vitest";
import { AttachType, ProgramFlag, ProgramType } from "../../src/object/index.js";
import { btfExt, call, code, exit, load, mov, ObjectWriter, type SymbolOptions, TypeWriter } from "./builders.js";
import { failure, oneProgram, open, program } from "./support.js";

describe("programs", () => {
  it.each([
    ["xdp", { type: ProgramType.xdp, expectedAttachType: AttachType.xdp, flags: 0, autoload: true }],
    [
      "?fentry.s/do_exit",
      { type: ProgramType.tracing, flags: ProgramFlag.SLEEPABLE, autoload: false, attachTarget: "do_exit" },
    ],
    ["xdp.frags", { flags: ProgramFlag.XDP_HAS_FRAGS }],
    [
      "tp/raw_syscalls/sys_enter",
      { type: ProgramType.tracepoint, expectedAttachType: 0, attachTarget: "raw_syscalls/sys_enter" },
    ],
    [
      "mystery/thing",
      { type: 0, expectedAttachType: 0, definition: undefined, attachTarget: undefined, autoload: true },
    ],
    ["?mystery", { type: 0, autoload: false }],
  ])("SEC(%j)", (section, expected) => {
    const { programs, subprograms } = open(oneProgram(section));
    expect(programs).toMatchObject([
      { name: "main", sectionName: section.replace("?", ""), sectionOffset: 0, ...expected },
    ]);
    expect(programs[0]!.insns).toEqual(code(mov, exit));
    expect(subprograms).toEqual([]);
  });

  it("come in the order of sections and offsets, several to a section; .text holds sub-programs", () => {
    const file = new ObjectWriter();
    const text = file.code(".text", code(exit, exit, exit));
    const xdp = file.code("xdp", code(mov, exit, exit));
    const tc = file.code("tc", code(exit));
    file.func("late", xdp, 16, 8);
    file.func("other", tc, 0, 8);
    file.func("early", xdp, 0, 16);
    file.func("sub", text, 8, 16, { binding: 0 });
    file.func("shown", text, 0, 8, { binding: 2, visibility: 2 });
    const object = open(file);
    expect(object.programs.map(({ name }) => name)).toEqual(["early", "late", "other"]);
    expect(object.programs[1]).toMatchObject({ sectionOffset: 16, isStatic: false, isWeak: false });
    expect(object.programs[1]!.insns).toEqual(code(exit));
    expect(object.subprograms).toMatchObject([
      { name: "shown", sectionOffset: 0, isStatic: true, isWeak: true },
      { name: "sub", sectionOffset: 8, isStatic: true, isWeak: false },
    ]);
  });

  it("does not depend on the caller's bytes afterwards", () => {
    const bytes = oneProgram().build();
    const object = open({ build: () => bytes } as ObjectWriter);
    bytes.fill(0);
    expect(object.programs[0]!.insns).toEqual(code(mov, exit));
  });

  it("turns the instructions of big-endian objects around", () => {
    const object = open(oneProgram("xdp", new ObjectWriter(false)));
    expect(object.littleEndian).toBe(false);
    expect(object.programs[0]!.insns).toEqual(code(mov, exit));
  });

  const wrong: [string, number, number, SymbolOptions, string][] = [
    ["empty", 0, 0, {}, "the function is empty"],
    ["between instructions", 4, 8, {}, "the function does not start at a multiple of 8 bytes"],
    ["of half an instruction", 0, 12, {}, "the function has 12 bytes, which are no whole number of instructions"],
    ["too long", 8, 16, {}, "the function (16 bytes) ends beyond its section, at 0x10"],
    ["beyond the end", 2 ** 40, 8, {}, "the function (8 bytes) ends beyond its section, at 0x10"],
    ["static", 0, 8, { binding: 0 }, "a static function outside section .text"],
  ];
  it.each(wrong)("refuses one that is %s", (_, value, size, options, reason) => {
    const file = new ObjectWriter();
    file.func("p", file.code("xdp", code(mov, exit)), value, size, options);
    expect(failure(() => open(file))).toMatchObject({ reason, section: "xdp", program: "p", offset: value });
  });

  it("refuses functions that overlap, and programs of the same name", () => {
    const overlapping = new ObjectWriter();
    const xdp = overlapping.code("xdp", code(mov, exit));
    overlapping.func("a", xdp, 0, 16);
    overlapping.func("b", xdp, 8, 8);
    expect(failure(() => open(overlapping)).reason).toBe("the function overlaps the one before it, which ends at 0x10");

    const twins = oneProgram("xdp", oneProgram("tc"));
    expect(failure(() => open(twins))).toMatchObject({ program: "main", section: "xdp" });
  });

  it("refuses a stripped object", () => {
    expect(() => open({ build: () => oneProgram().build({ stripped: true }) } as ObjectWriter)).toThrow(
      /no symbol table.*llvm-strip/,
    );
  });
});

describe("debug information", () => {
  function object(): { file: ObjectWriter; types: TypeWriter } {
    const file = new ObjectWriter();
    const section = file.code("xdp", code(mov, exit, ...load(), exit));
    file.func("a", section, 0, 16);
    file.func("b", section, 24, 16);
    return { file, types: new TypeWriter() };
  }

  it("goes to the function that covers the instruction, counted from its start", () => {
    const { file, types } = object();
    const [fa, fb] = [types.func("a"), types.func("b")];
    const ext = btfExt(types, {
      func: [
        {
          section: "xdp",
          records: [
            [0, fa],
            [24, fb],
            [32, fa],
          ],
        },
      ],
      line: [
        {
          section: "xdp",
          records: [
            [32, 1, 2, (7 << 10) | 3],
            [24, 1, 2, (6 << 10) | 1],
            [0, 1, 2, 5 << 10],
          ],
        },
      ],
      core: [
        {
          section: "xdp",
          records: [
            [16, fa, 1, 0],
            [24, fb, 1, 2],
          ],
        },
        { section: "gone", records: [[0, fa, 1, 0]] },
      ],
    });
    file.btf(types);
    file.section(".BTF.ext", ext);
    const { programs } = open(file);
    const [a, b] = [
      program({ programs } as ReturnType<typeof open>, "a"),
      program({ programs } as ReturnType<typeof open>, "b"),
    ];
    expect([a.funcTypeId, b.funcTypeId]).toEqual([fa, fb]);
    expect([...a.lineInfo]).toMatchObject([{ insnOffset: 0, line: 5, column: 0 }]);
    expect([...a.coreRelocations]).toEqual([]);
    expect([...b.lineInfo]).toMatchObject([
      { insnOffset: 0, line: 6, column: 1 },
      { insnOffset: 8, line: 7, column: 3 },
    ]);
    expect([...b.coreRelocations]).toEqual([{ insnOffset: 0, typeId: fb, accessOffset: 1, kind: 2 }]);
  });

  it("is found in all parts of a section, and for no function when it lies before, between or behind them", () => {
    const { file, types } = object();
    const [fa, fb] = [types.func("a"), types.func("b")];
    const parts = [
      { section: "xdp", records: [[24, 1, 2, 6 << 10]] },
      { section: "xdp", records: [[0, 1, 2, 5 << 10]] },
      { section: "xdp", records: [[4096, 1, 2, 9 << 10]] },
    ];
    const ext = btfExt(types, {
      func: [
        {
          section: "xdp",
          records: [
            [0, fa],
            [16, fa],
            [24, fb],
          ],
        },
      ],
      line: parts,
    });
    file.btf(types);
    file.section(".BTF.ext", ext);
    const [a, b] = open(file).programs.map((spec) => ({
      id: spec.funcTypeId,
      lines: [...spec.lineInfo].map(({ line }) => line),
    }));
    expect([a, b]).toEqual([
      { id: fa, lines: [5] },
      { id: fb, lines: [6] },
    ]);
  });

  it("is left out with a warning when damaged, but a CO-RE record between instructions is an error", () => {
    const { file, types } = object();
    types.func("a");
    file.btf(types);
    file.section(".BTF.ext", new Uint8Array(40));
    expect(open(file).programs[0]).toMatchObject({ funcTypeId: 0, lineInfo: { length: 0 } });

    const second = object();
    const id = second.types.func("a");
    const ext = btfExt(second.types, { core: [{ section: "xdp", records: [[4, id, 1, 0]] }] });
    second.file.btf(second.types);
    second.file.section(".BTF.ext", ext);
    expect(failure(() => open(second.file))).toMatchObject({
      code: "OBJECT_INVALID",
      reason: "a CO-RE record for a place between two instructions",
      section: "xdp",
      program: "a",
      offset: 4,
    });
  });
});

describe("exception callbacks", () => {
  function tagged(linkage: number, tags: readonly string[]): ObjectWriter {
    const file = new ObjectWriter();
    const text = file.code(".text", code(exit, exit));
    file.func("on_throw", text, 0, 8);
    file.func("local", text, 8, 8, { binding: 0 });
    file.func("main", file.code("xdp", code(call(1, 0), exit)), 0, 16);
    const types = new TypeWriter();
    const main = types.func("main", linkage);
    for (const tag of tags) types.declTag(`exception_callback:${tag}`, main);
    file.btf(types);
    return file;
  }

  it("are found by the tag; two tags on one program make none", () => {
    expect(open(tagged(1, ["on_throw"])).programs[0]!.exceptionCallback?.name).toBe("on_throw");
    expect(open(tagged(1, [])).programs[0]!.exceptionCallback).toBeUndefined();
    expect(open(tagged(1, ["on_throw", "on_throw"])).programs[0]!.exceptionCallback).toBeUndefined();
  });

  it("must be global and exist, on a global program", () => {
    for (const file of [tagged(1, ["nobody"]), tagged(1, ["local"]), tagged(0, ["on_throw"])]) {
      expect(failure(() => open(file)).code).toBe("OBJECT_INVALID");
    }
  });
});
