import { describe, expect, it } from "vitest";
import { BPF_PSEUDO, readInsn } from "../../src/insn/index.js";
import { type FunctionSpec, type LinkedProgram, linkProgram, type ObjectSpec } from "../../src/object/index.js";
import { btfExt, call, code, exit, load, mov, ObjectWriter, TypeWriter } from "./builders.js";
import { failure, open, program } from "./support.js";

const link = (spec: ObjectSpec, name = "main"): LinkedProgram => linkProgram(program(spec, name), (f) => f.insns);
const layout = ({ functions }: LinkedProgram): [string, number][] => functions.map((f) => [f.spec.name, f.insnIndex]);

/** `.text` functions by name, each calling the named others and then exiting; xdp programs likewise. */
function callGraph(text: Record<string, string[]>, programs: Record<string, string[]>): ObjectWriter {
  const file = new ObjectWriter();
  const symbols = new Map<string, number>();
  const pending: [section: number, offset: number, callee: string][] = [];
  const sectionOf = (name: string, functions: Record<string, string[]>): void => {
    const bodies = Object.values(functions).map((callees) => [...callees.map(() => call()), exit]);
    const section = file.code(name, code(...bodies));
    let at = 0;
    Object.entries(functions).forEach(([fn, callees], i) => {
      symbols.set(fn, file.func(fn, section, at, bodies[i]!.length * 8));
      callees.forEach((callee, j) => {
        pending.push([section, at + j * 8, callee]);
      });
      at += bodies[i]!.length * 8;
    });
  };
  sectionOf(".text", text);
  sectionOf("xdp", programs);
  for (const [section, offset, callee] of pending) file.relocate(section, offset, symbols.get(callee)!, 10);
  return file;
}

describe("linkProgram", () => {
  it("appends each function once, what a function calls right behind it", () => {
    const file = callGraph(
      { leaf: [], right: ["leaf", "deep"], left: ["leaf"], deep: [], unused: ["leaf"] },
      { main: ["left", "right", "left"] },
    );
    const linked = link(open(file));
    expect(layout(linked)).toEqual([
      ["main", 0],
      ["left", 4],
      ["leaf", 6],
      ["right", 7],
      ["deep", 10],
    ]);
    expect(linked.insns).toEqual(
      code(call(3), call(5), call(1), exit, call(1), exit, exit, call(-2), call(1), exit, exit),
    );
  });

  it("appends in depth before breadth where both orders differ", () => {
    // main calls a, b; a calls c, which calls b: libbpf's recursion places b behind c.
    const file = callGraph({ b: [], c: ["b"], a: ["c"] }, { main: ["a", "b"] });
    expect(layout(link(open(file)))).toEqual([
      ["main", 0],
      ["a", 3],
      ["c", 5],
      ["b", 7],
    ]);
  });

  it("links programs independently of each other", () => {
    const spec = open(callGraph({ x: [], y: [] }, { p: ["x", "y"], q: ["y"] }));
    expect(layout(link(spec, "p"))).toEqual([
      ["p", 0],
      ["x", 3],
      ["y", 4],
    ]);
    expect(layout(link(spec, "q"))).toEqual([
      ["q", 0],
      ["y", 2],
    ]);
    expect(program(spec, "q").insns).toEqual(code(call(), exit));
  });

  it("survives cycles and chains of any length", () => {
    const cycle = link(open(callGraph({ ping: ["pong"], pong: ["ping", "pong"] }, { main: ["ping"] })));
    expect(layout(cycle)).toEqual([
      ["main", 0],
      ["ping", 2],
      ["pong", 4],
    ]);
    expect(cycle.insns).toEqual(code(call(1), exit, call(1), exit, call(-3), call(-2), exit));

    const count = 20_000;
    const chain: Record<string, string[]> = {};
    for (let i = 0; i < count; i++) chain[`f${i}`] = i + 1 < count ? [`f${i + 1}`] : [];
    expect(link(open(callGraph(chain, { main: ["f0"] }))).functions).toHaveLength(count + 1);
  });

  it("computes function addresses as the kernel counts them", () => {
    const file = new ObjectWriter();
    const text = file.code(".text", code(exit, mov, exit));
    const xdp = file.code("xdp", code(mov, load(8), exit));
    file.func("main", xdp, 0, 32);
    file.func("skip", text, 0, 8);
    file.func("callback", text, 8, 16, { binding: 0 });
    file.relocate(xdp, 8, file.sectionSymbol(text));
    const { insns, functions } = link(open(file));
    expect(functions.map(({ insnIndex }) => insnIndex)).toEqual([0, 4]);
    // From the instruction behind the first half, 2, to 4.
    expect(readInsn(insns, 1)).toMatchObject({ opcode: 0x18, src: BPF_PSEUDO.FUNC, imm: 2 });
    expect(readInsn(insns, 2).imm).toBe(0);
  });

  it("takes instructions from the callback, and moves relocations along", () => {
    const file = new ObjectWriter();
    const text = file.code(".text", code(mov, load(), exit));
    const xdp = file.code("xdp", code(call(), load(4), exit));
    const data = file.section(".data", new Uint8Array(16));
    const variable = file.symbol("v", data, { value: 8 });
    file.func("main", xdp, 0, 32);
    const sub = file.func("sub", text, 0, 32);
    file.relocate(xdp, 0, sub, 10);
    file.relocate(xdp, 8, variable);
    file.relocate(text, 8, variable);
    const spec = open(file);
    const seen: FunctionSpec[] = [];
    const linked = linkProgram(program(spec, "main"), (f) => {
      seen.push(f);
      const copy = f.insns.slice();
      if (f.name === "sub") copy.set(code({ ...mov, imm: 77 }));
      return copy;
    });
    expect(seen).toEqual([program(spec, "main"), spec.subprograms[0]]);
    expect(readInsn(linked.insns, 4).imm).toBe(77);
    expect(linked.relocations).toEqual([
      { kind: "data", insnIndex: 1, map: spec.maps[0], offset: 12 },
      { kind: "data", insnIndex: 5, map: spec.maps[0], offset: 8 },
    ]);
    expect(() => linkProgram(program(spec, "main"), () => new Uint8Array(8))).toThrow(
      /8 bytes of instructions instead of 32/,
    );
  });

  it("appends the exception callback last, with what it calls", () => {
    const file = callGraph({ on_throw: ["helper"], helper: [], sub: [] }, { main: ["sub"] });
    const types = new TypeWriter();
    types.declTag("exception_callback:on_throw", types.func("main"));
    file.btf(types);
    expect(layout(link(open(file)))).toEqual([
      ["main", 0],
      ["sub", 2],
      ["on_throw", 3],
      ["helper", 5],
    ]);
  });

  it("moves jump tables along with their function", () => {
    const file = new ObjectWriter();
    const text = file.code(".text", code(exit, load(), exit));
    const xdp = file.code("xdp", code(call(), mov, exit));
    file.func("main", xdp, 0, 24);
    file.relocate(xdp, 0, file.func("sub", text, 8, 24), 10);
    const table = file.section(".jumptables", Uint8Array.of(24, 0, 0, 0, 0, 0, 0, 0));
    file.relocate(text, 8, file.symbol("BPF.JT.0.0", table, { size: 8 }));
    expect(link(open(file)).relocations).toEqual([{ kind: "jumpTable", insnIndex: 3, tableOffset: 0, targets: [5] }]);
  });

  it("refuses references to struct_ops variables, only in the program that has them", () => {
    const file = new ObjectWriter();
    const xdp = file.code("xdp", code(load(), exit, exit));
    file.func("curious", xdp, 0, 24);
    file.func("plain", xdp, 24, 8);
    const section = file.section(".struct_ops", new Uint8Array(8));
    file.relocate(xdp, 0, file.symbol("v", section, { size: 8 }));
    const types = new TypeWriter();
    types.datasec(".struct_ops", [[types.variable("v", types.struct("ops", 8, [])), 0, 8]]);
    file.btf(types);
    const spec = open(file);
    expect(failure(() => link(spec, "curious"))).toMatchObject({
      code: "OBJECT_UNSUPPORTED",
      reason: "the program uses struct_ops variables",
      program: "curious",
      section: "xdp",
      offset: 0,
    });
    expect(link(spec, "plain").insns).toEqual(code(exit));
  });
});

describe("merged debug information", () => {
  /** main calls sub; which of both have func_info and line_info is told by the arguments. */
  function object(func: { main: boolean; sub: boolean }, line: { main: boolean; sub: boolean }): ObjectSpec {
    const file = new ObjectWriter();
    const text = file.code(".text", code(exit, mov, exit));
    const xdp = file.code("xdp", code(call(), mov, exit));
    file.func("main", xdp, 0, 24);
    file.relocate(xdp, 0, file.func("sub", text, 8, 16), 10);
    const types = new TypeWriter();
    const [main, sub] = [types.func("main"), types.func("sub")];
    const section = <T>(given: { main: boolean; sub: boolean }, inMain: T[], inSub: T[]) => [
      ...(given.main ? [{ section: "xdp", records: inMain }] : []),
      ...(given.sub ? [{ section: ".text", records: inSub }] : []),
    ];
    const ext = btfExt(types, {
      func: section(func, [[0, main]], [[8, sub]]),
      line: section(
        line,
        [
          [0, 1, 2, (10 << 10) | 3],
          [16, 1, 3, 12 << 10],
        ],
        [[8, 1, 4, (20 << 10) | 1023]],
      ),
    });
    file.btf(types);
    file.section(".BTF.ext", ext);
    return open(file);
  }
  const words = (bytes: Uint8Array | undefined): number[] =>
    bytes === undefined ? [] : [...new Uint32Array(bytes.slice().buffer)];

  it("counts in instructions of the linked program", () => {
    const linked = link(object({ main: true, sub: true }, { main: true, sub: true }));
    expect(words(linked.funcInfo)).toEqual([0, 1 + 1, 3, 2 + 2]);
    expect(words(linked.lineInfo)).toEqual([0, 1, 2, (10 << 10) | 3, 2, 1, 3, 12 << 10, 3, 1, 4, (20 << 10) | 1023]);
  });

  it("is left out when the program has none, each kind for itself", () => {
    const noFunc = link(object({ main: false, sub: true }, { main: true, sub: true }));
    expect(noFunc.funcInfo).toBeUndefined();
    expect(words(noFunc.lineInfo)).toHaveLength(12);
    const noLine = link(object({ main: true, sub: true }, { main: false, sub: true }));
    expect(noLine.lineInfo).toBeUndefined();
    expect(words(noLine.funcInfo)).toHaveLength(4);
  });

  it.each([
    ["function", false, true],
    ["line", true, false],
  ])("is an error when only a sub-program lacks %s information", (what, func, line) => {
    const spec = object({ main: true, sub: func }, { main: true, sub: line });
    expect(failure(() => link(spec))).toMatchObject({
      code: "OBJECT_INVALID",
      reason: `no ${what} information in .BTF.ext, but program main has it`,
      program: "sub",
      section: ".text",
      offset: 8,
    });
  });
});
