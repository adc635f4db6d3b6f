// `__arg_ctx` for kernels before 6.8 (libbpf.md 3.7 point 7). There the verifier takes an argument of a global
// sub-program for the context only when its type is a pointer to a structure whose name depends on the program's type.
// So every program gets clones of the sub-programs' prototypes in which tagged arguments have that type.

import { Btf, BtfBuilder, BtfKind, BtfLinkage, type BtfType } from "../btf/index.js";
import { BtfError } from "../errors.js";
import { log } from "../log.js";
import { type ProgramTypeName, programTypeName } from "../object/index.js";

/** The tag that `__arg_ctx` of bpf_helpers.h makes. */
const TAG = "arg:ctx";

/** What the verifier calls the context, by program type; types that are not listed have no such name. */
const contextNames: Readonly<Partial<Record<ProgramTypeName, string>>> = {
  cgroup_device: "bpf_cgroup_dev_ctx",
  cgroup_skb: "__sk_buff",
  cgroup_sock: "bpf_sock",
  cgroup_sock_addr: "bpf_sock_addr",
  cgroup_sockopt: "bpf_sockopt",
  cgroup_sysctl: "bpf_sysctl",
  flow_dissector: "__sk_buff",
  kprobe: "bpf_user_pt_regs_t",
  lwt_in: "__sk_buff",
  lwt_out: "__sk_buff",
  lwt_seg6local: "__sk_buff",
  lwt_xmit: "__sk_buff",
  netfilter: "bpf_nf_ctx",
  perf_event: "bpf_perf_event_data",
  raw_tracepoint: "bpf_raw_tracepoint_args",
  raw_tracepoint_writable: "bpf_raw_tracepoint_args",
  sched_act: "__sk_buff",
  sched_cls: "__sk_buff",
  sk_lookup: "bpf_sk_lookup",
  sk_msg: "sk_msg_md",
  sk_reuseport: "sk_reuseport_md",
  sk_skb: "__sk_buff",
  sock_ops: "bpf_sock_ops",
  socket_filter: "__sk_buff",
  xdp: "xdp_md",
};

/** The structure behind bpf_user_pt_regs_t, which perf_event programs may also name, by `process.arch`. */
const registersNames: Readonly<Record<string, string>> = {
  x64: "pt_regs",
  arm64: "user_pt_regs",
  riscv64: "user_regs_struct",
  loong64: "user_pt_regs",
};

/** A program whose function information may have to point to clones. */
export interface TaggedProgram {
  readonly name: string;
  /** BPF_PROG_TYPE_*. */
  readonly type: number;
  /** `struct bpf_func_info` records, 8 bytes each: { insn_off, type_id }. */
  readonly funcInfo: Uint8Array | undefined;
}

/** A tag on an argument of a global function. */
interface Tag {
  readonly functionId: number;
  readonly argument: number;
}

/** True when some argument is tagged: only then the kernel has to be asked. */
export function hasArgCtxTags(btf: Btf): boolean {
  return argCtxTags(btf).next().done !== true;
}

function* argCtxTags(btf: Btf): Generator<Tag, void, void> {
  for (let id = btf.firstId; id < btf.typeCount; id++) {
    if (btf.kindOf(id) !== BtfKind.DeclTag || btf.nameOf(id) !== TAG) continue;
    const tag = btf.type(id);
    if (tag.kind !== "declTag") continue;
    const target = btf.type(tag.type);
    if (target.kind !== "func" || target.linkage !== BtfLinkage.Global) continue;
    yield { functionId: target.id, argument: tag.componentIndex };
  }
}

/** Type information with clones, and the function information of each program (same order) that points to them. */
export interface ContextClones {
  readonly btf: Btf;
  readonly funcInfo: readonly (Uint8Array | undefined)[];
}

/**
 * Clones what the programs need; undefined when they need nothing. Existing ids are unchanged.
 *
 * libbpf: `bpf_program_fixup_func_info` (internal), whose order of ids this keeps.
 */
export function cloneContextFunctions(btf: Btf, programs: readonly TaggedProgram[]): ContextClones | undefined {
  const builder = BtfBuilder.from(btf);
  const before = builder.nextId;
  const tags = [...argCtxTags(btf)];
  const funcInfo = programs.map((program) => cloneFor(btf, builder, tags, program));
  return builder.nextId === before ? undefined : { btf: Btf.parse(builder.build()), funcInfo };
}

function cloneFor(btf: Btf, builder: BtfBuilder, tags: readonly Tag[], program: TaggedProgram): Uint8Array | undefined {
  const typeName = programTypeName(program.type);
  const context = typeName === undefined ? undefined : contextNames[typeName];
  if (typeName === undefined || context === undefined || program.funcInfo === undefined) return program.funcInfo;
  const records = new FuncInfo(program.funcInfo);
  const clones = new Map<number, Clone>();
  let pointer: number | undefined;
  for (const { functionId, argument } of tags) {
    if (!records.has(functionId)) continue;
    const params = paramsOf(btf, functionId);
    const param = params?.[argument];
    if (params === undefined || param === undefined) continue;
    const verdict = judge(btf, param.type, typeName, context);
    if (verdict === "wrong") {
      const where = `${program.name}: argument ${argument} of ${btf.nameOf(functionId)}`;
      log.warn(`${where} is tagged __arg_ctx and should be a struct ${context} *`);
    }
    if (verdict !== "replace") continue;
    let clone = clones.get(functionId);
    if (clone === undefined) {
      clone = new Clone(btf, builder, functionId);
      clones.set(functionId, clone);
    }
    // One pointer for all arguments of the program.
    pointer ??= builder.addPtr(builder.addStruct(context, 0, []));
    builder.addDeclTag(TAG, clone.functionId, argument);
    clone.setArgument(argument, pointer);
  }
  if (clones.size === 0) return program.funcInfo;
  return records.redirected(clones);
}

/** A FUNC and its FUNC_PROTO once more, with arguments of other types. */
class Clone {
  readonly functionId: number;
  readonly #builder: BtfBuilder;
  readonly #protoId: number;
  readonly #returnType: number;
  readonly #params: { name: string; type: number }[];

  constructor(btf: Btf, builder: BtfBuilder, original: number) {
    this.#builder = builder;
    const func = expectKind(btf.type(original), "func");
    const proto = expectKind(btf.type(func.type), "funcProto");
    this.#returnType = proto.returnType;
    this.#params = proto.params.map((param) => ({ ...param }));
    this.#protoId = builder.addFuncProto(this.#returnType, this.#params);
    this.functionId = builder.addFunc(func.name, this.#protoId, func.linkage);
  }

  setArgument(index: number, type: number): void {
    this.#params[index]!.type = type;
    const proto = { kind: "funcProto", name: "", returnType: this.#returnType, params: this.#params } as const;
    this.#builder.replaceType(this.#protoId, proto);
  }
}

/** The records of one program. */
class FuncInfo {
  readonly #bytes: Uint8Array;
  readonly #functionIds = new Set<number>();

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    const view = viewOf(bytes);
    for (let at = 4; at < view.byteLength; at += 8) this.#functionIds.add(view.getUint32(at, true));
  }

  has(functionId: number): boolean {
    return this.#functionIds.has(functionId);
  }

  redirected(clones: ReadonlyMap<number, Clone>): Uint8Array {
    const bytes = this.#bytes.slice();
    const view = viewOf(bytes);
    for (let at = 4; at < view.byteLength; at += 8) {
      const clone = clones.get(view.getUint32(at, true));
      if (clone !== undefined) view.setUint32(at, clone.functionId, true);
    }
    return bytes;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * What to do with the type of a tagged argument: `right` as the verifier wants it, `replace` when it stands for the
 * context otherwise, `wrong` when it cannot.
 */
function judge(btf: Btf, typeId: number, program: ProgramTypeName, context: string): "right" | "replace" | "wrong" {
  const pointer = btf.type(btf.resolve(typeId));
  if (pointer.kind !== "ptr") return "wrong";
  const named = btf.type(btf.skipModifiers(pointer.type));
  const isTracing = program === "kprobe" || program === "perf_event";
  if (isTracing && named.kind === "typedef" && named.name === "bpf_user_pt_regs_t") return "right";
  const target = btf.type(btf.resolve(pointer.type));
  if (target.kind === "void") return "replace";
  if (target.kind === "struct" && target.name === context) return "right";
  return standsForContext(target, program) ? "replace" : "wrong";
}

/** Other spellings of the context that kernels since 6.8 understand. */
function standsForContext(target: BtfType, program: ProgramTypeName): boolean {
  switch (program) {
    case "kprobe":
      return target.kind === "struct" && target.name === "pt_regs";
    case "perf_event":
      return target.kind === "struct" && target.name === registersNames[process.arch];
    case "raw_tracepoint":
    case "raw_tracepoint_writable":
      return target.kind === "int" && target.size === 8;
    default:
      return false;
  }
}

function paramsOf(btf: Btf, functionId: number) {
  const proto = btf.type(expectKind(btf.type(functionId), "func").type);
  return proto.kind === "funcProto" ? proto.params : undefined;
}

function expectKind<K extends BtfType["kind"]>(type: BtfType, kind: K): Extract<BtfType, { kind: K }> {
  if (type.kind !== kind) throw new BtfError("BTF_INVALID", `type ${type.id} is a ${type.kind}, not a ${kind}`);
  return type as Extract<BtfType, { kind: K }>;
}
