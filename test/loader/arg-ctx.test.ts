// `__arg_ctx` on kernels that do not know it: as data, and loaded with the kernel's answer pretended.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Btf, BtfBuilder } from "../../src/btf/index.js";
import { setLogger } from "../../src/index.js";
import { kernelHas, pretend } from "../../src/kernel/features.js";
import { cloneContextFunctions, hasArgCtxTags } from "../../src/loader/arg-ctx.js";
import { ProgramType } from "../../src/object/index.js";
import { btfInfo, openById, progInfo, progTestRun } from "../../src/syscall/index.js";
import { withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

interface Example {
  readonly btf: Btf;
  readonly functionId: number;
  readonly protoId: number;
}

/** `int f(int number, TYPE ctx __arg_ctx)`, where `argument` makes TYPE; and the function's records. */
function example(
  argument: (builder: BtfBuilder) => number,
  options: { linkage?: 0 | 1; index?: number } = {},
): Example {
  const builder = new BtfBuilder();
  const int = builder.addInt("int", 4, { signed: true });
  const params = [
    { name: "number", type: int },
    { name: "ctx", type: argument(builder) },
  ];
  const protoId = builder.addFuncProto(int, params);
  const functionId = builder.addFunc("f", protoId, options.linkage ?? 1);
  builder.addDeclTag("arg:ctx", functionId, options.index ?? 1);
  return { btf: Btf.parse(builder.build()), functionId, protoId };
}

const voidPointer = (builder: BtfBuilder): number => builder.addPtr(0);
const pointerTo =
  (name: string) =>
  (builder: BtfBuilder): number =>
    builder.addPtr(builder.addStruct(name, 0, []));

function records(...pairs: [insn: number, typeId: number][]): Uint8Array {
  return new Uint8Array(new Uint32Array(pairs.flat()).buffer);
}

function cloned({ btf, functionId }: Example, type: number) {
  return cloneContextFunctions(btf, [{ name: "p", type, funcInfo: records([0, 900], [5, functionId]) }]);
}

/** Name of the structure that the second argument of the cloned function points to. */
function contextOf(from: Example, type: number): string | undefined {
  const clones = cloned(from, type);
  if (clones === undefined) return undefined;
  const { btf, funcInfo } = clones;
  const func = btf.type(new DataView(funcInfo[0]!.buffer).getUint32(12, true));
  const proto = btf.type(func.kind === "func" ? func.type : 0);
  const pointer = btf.type(proto.kind === "funcProto" ? proto.params[1]!.type : 0);
  return pointer.kind === "ptr" ? btf.nameOf(pointer.type) : pointer.kind;
}

describe("cloneContextFunctions", () => {
  it("clones function and prototype, in libbpf's order, and leaves what was there", () => {
    const from = example(voidPointer);
    const { btf, funcInfo } = cloned(from, ProgramType.xdp)!;
    const id = from.btf.typeCount;
    expect(btf.type(id + 1)).toMatchObject({ kind: "func", name: "f", type: id, linkage: 1 });
    const int = 1;
    const params = [
      { name: "number", type: int },
      { name: "ctx", type: id + 3 },
    ];
    expect(btf.type(id)).toMatchObject({ kind: "funcProto", returnType: int, params });
    expect(btf.type(id + 2)).toMatchObject({ kind: "struct", name: "xdp_md", size: 0, members: [] });
    expect(btf.type(id + 3)).toMatchObject({ kind: "ptr", type: id + 2 });
    expect(btf.type(id + 4)).toMatchObject({ kind: "declTag", name: "arg:ctx", type: id + 1, componentIndex: 1 });
    expect(btf.typeCount).toBe(id + 5);
    for (let old = 1; old < id; old++) expect(btf.type(old)).toEqual(from.btf.type(old));
    expect(funcInfo).toEqual([records([0, 900], [5, id + 1])]);
  });

  it("names the context as the verifier does for the program's type", () => {
    const from = example(voidPointer);
    expect(contextOf(from, ProgramType.socket_filter)).toBe("__sk_buff");
    expect(contextOf(from, ProgramType.kprobe)).toBe("bpf_user_pt_regs_t");
    expect(contextOf(from, ProgramType.perf_event)).toBe("bpf_perf_event_data");
    expect(contextOf(from, ProgramType.raw_tracepoint_writable)).toBe("bpf_raw_tracepoint_args");
    expect(contextOf(from, ProgramType.netfilter)).toBe("bpf_nf_ctx");
    expect(contextOf(from, ProgramType.tracepoint)).toBeUndefined();
    expect(contextOf(from, ProgramType.tracing)).toBeUndefined();
  });

  it("replaces other spellings of the context, and leaves the right one", () => {
    const pointer = (named: string) => example(pointerTo(named));
    expect(contextOf(pointer("pt_regs"), ProgramType.kprobe)).toBe("bpf_user_pt_regs_t");
    expect(contextOf(pointer("xdp_md"), ProgramType.xdp)).toBeUndefined();
    const longs = example((builder) => builder.addPtr(builder.addTypedef("__u64", builder.addInt("u64", 8))));
    expect(contextOf(longs, ProgramType.raw_tracepoint)).toBe("bpf_raw_tracepoint_args");
    const registers = example((builder) =>
      builder.addPtr(builder.addConst(builder.addTypedef("bpf_user_pt_regs_t", builder.addStruct("pt_regs", 0, [])))),
    );
    expect(contextOf(registers, ProgramType.kprobe)).toBeUndefined();
    const constVoid = example((builder) => builder.addTypedef("any", builder.addPtr(builder.addConst(0))));
    expect(contextOf(constVoid, ProgramType.xdp)).toBe("xdp_md");
  });

  it("warns about what cannot be a context", () => {
    const messages: string[] = [];
    const previous = setLogger((level, message) => void messages.push(`${level}: ${message}`));
    try {
      expect(contextOf(example(pointerTo("sk_buff")), ProgramType.xdp)).toBeUndefined();
      expect(
        contextOf(
          example((builder) => builder.addInt("long", 8)),
          ProgramType.xdp,
        ),
      ).toBeUndefined();
    } finally {
      setLogger(previous);
    }
    const warning = "warn: p: argument 1 of f is tagged __arg_ctx and should be a struct xdp_md *";
    expect(messages).toEqual([warning, warning]);
  });

  it("leaves static functions, functions that are not called, and tags of no argument alone", () => {
    expect(cloned(example(voidPointer, { linkage: 0 }), ProgramType.xdp)).toBeUndefined();
    expect(cloned(example(voidPointer, { index: 7 }), ProgramType.xdp)).toBeUndefined();
    expect(cloned(example(voidPointer, { index: -1 }), ProgramType.xdp)).toBeUndefined();
    const { btf } = example(voidPointer);
    const others = { name: "p", type: ProgramType.xdp, funcInfo: records([0, 900]) };
    expect(cloneContextFunctions(btf, [others, { ...others, funcInfo: undefined }])).toBeUndefined();
    expect(hasArgCtxTags(btf)).toBe(true);
    expect(hasArgCtxTags(example(voidPointer, { linkage: 0 }).btf)).toBe(false);
  });

  it("gives every program clones of its own", () => {
    const { btf, functionId } = example(voidPointer);
    const funcInfo = records([3, functionId]);
    const clones = cloneContextFunctions(btf, [
      { name: "a", type: ProgramType.xdp, funcInfo },
      { name: "b", type: ProgramType.tracepoint, funcInfo },
      { name: "c", type: ProgramType.kprobe, funcInfo },
    ])!;
    const first = btf.typeCount;
    expect(clones.funcInfo).toEqual([records([3, first + 1]), funcInfo, records([3, first + 6])]);
    expect(clones.btf.nameOf(first + 2)).toBe("xdp_md");
    expect(clones.btf.nameOf(first + 7)).toBe("bpf_user_pt_regs_t");
  });
});

kernelDescribe("sub-programs with a tagged context", { needs: ["bpf"] }, () => {
  let before: boolean | undefined;
  beforeEach(() => {
    before = kernelHas("arg_ctx_tag");
  });
  afterEach(() => {
    pretend("arg_ctx_tag", before);
  });

  const runs = (): Promise<void> =>
    withLoaded(
      "argctx",
      () => undefined,
      (obj) => {
        const data = new Uint8Array(64).fill(5);
        expect(progTestRun({ program: obj.program("sum").fd, data }).returnValue).toBe(5050);
        expect(progTestRun({ program: obj.program("pass").fd, data }).returnValue).toBe(2);
      },
    );

  it("load and run as this kernel wants them", async () => {
    await runs();
  });

  it("load and run where the tag has to be emulated", async () => {
    pretend("arg_ctx_tag", false);
    await runs();
  });

  /** Names of functions in type information, in its order. */
  const functionsOf = (btf: Btf): string[] =>
    Array.from({ length: btf.typeCount - 1 }, (_, index) => index + 1)
      .filter((id) => btf.type(id).kind === "func")
      .map((id) => btf.nameOf(id));

  /** The same in the object's file, and in what the kernel was given for it. */
  const functions = (): Promise<{ declared: string[]; loaded: string[] }> =>
    withLoaded(
      "argctx",
      () => undefined,
      (obj) => {
        using fd = openById("btf", progInfo(obj.program("pass").fd).btfId);
        const loaded = functionsOf(Btf.parse(btfInfo(fd, { bytes: true }).bytes!));
        return { declared: functionsOf(obj.btf!), loaded };
      },
    );

  it("reach the kernel as clones when emulated, and only then", async () => {
    const { declared, loaded } = await functions();
    if (before === true) expect(loaded).toEqual(declared);
    pretend("arg_ctx_tag", false);
    const emulated = (await functions()).loaded;
    expect(emulated.slice(0, declared.length)).toEqual(declared);
    // sum() and pass() have an emit() each; byte_at() has one caller; length() is right as it is.
    expect(emulated.slice(declared.length).sort()).toEqual(["byte_at", "emit", "emit"]);
  });
});
