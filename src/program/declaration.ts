// What a program is declared to be: editable until load, readable afterwards; and its code once it is relocated.

import type { Btf } from "../btf/index.js";
import { ArgumentError, StateError, withLocation } from "../errors.js";
import {
  AttachType,
  type AttachTypeName,
  attachTypeName,
  checkU32,
  numberOf,
  type ProgramSpec,
  ProgramType,
  type ProgramTypeName,
  programTypeName,
  type SectionDefinition,
} from "../object/index.js";
import { FileDescriptor, progInfo } from "../syscall/index.js";
import { type FuncInfo, type LineInfo, type ProgramCode, readFuncInfo, readLineInfo, withInsns } from "./code.js";
import { checkLogSize } from "./load.js";
import { descriptorNumber, type ProgramTarget } from "./target.js";

/** Options of {@link ProgramDeclaration.setAttachTarget}. */
export interface AttachTargetOptions {
  /** The loaded program whose function it is, instead of the kernel's. Its descriptor is duplicated. */
  program?: ProgramTarget | undefined;
}

/** The types that attach to a function by its BTF id. */
const targetTypes: ReadonlySet<number> = new Set([ProgramType.tracing, ProgramType.ext, ProgramType.lsm]);

/** The object's type information, and what it was opened to decode 64-bit integers to. */
export interface ObjectTypes {
  readonly btf: Btf | undefined;
  readonly int64: "bigint" | "number";
}

/** How far the program has come. */
type Phase = "open" | "prepared" | "loaded" | "closed";

/** The declaration of a program. Users meet it as {@link ProgramHandle}, which adds what the kernel has. */
export class ProgramDeclaration {
  readonly #spec: ProgramSpec;
  readonly #file: string;
  readonly #types: ObjectTypes;
  /** Once relocated: what is loaded, or was. */
  #code: ProgramCode | undefined;
  #phase: Phase = "open";
  #logLevel: number | undefined;
  #logSize: number | undefined;
  #ifindex = 0;
  #autoattach = true;
  #targetProgram: { readonly fd: FileDescriptor; readonly id: number } | undefined;

  /** @internal */
  constructor(spec: ProgramSpec, file: string, types: ObjectTypes) {
    this.#spec = spec;
    this.#file = file;
    this.#types = types;
  }

  /** @internal The declaration, for the loader. */
  get spec(): ProgramSpec {
    return this.#spec;
  }

  /** Name of the C function. libbpf: `bpf_program__name`. */
  get name(): string {
    return this.#spec.name;
  }

  /** ELF section, without a leading `?`. libbpf: `bpf_program__section_name`. */
  get sectionName(): string {
    return this.#spec.sectionName;
  }

  /** Name or path of the object, for messages. */
  get file(): string {
    return this.#file;
  }

  /** The object's type information; undefined when it has none. */
  get btf(): Btf | undefined {
    return this.#types.btf;
  }

  /** @internal The same, and how values of its types are decoded. */
  get types(): ObjectTypes {
    return this.#types;
  }

  /** The row of the SEC() table that the section name matches, if any, unless the type was changed. */
  get definition(): SectionDefinition | undefined {
    return this.#spec.definition;
  }

  /**
   * What the section name says after its kind, e.g. `sched/sched_process_exec`, unless {@link setAttachTarget} said
   * something else; undefined for a bare section.
   */
  get attachTarget(): string | undefined {
    return this.#spec.attachTarget;
  }

  /** Kernel id of the program whose function {@link attachTarget} is; undefined for functions of the kernel. */
  get attachTargetProgram(): number | undefined {
    return this.#targetProgram?.id;
  }

  /**
   * Sets what the program will be attached to, instead of what its section name says: a function of the kernel, of a
   * kernel module (`module:function`), or of another loaded BPF program (`options.program`), for `freplace`, `fentry` and
   * `fexit`. For tp_btf, LSM and iterator programs the name is that of the tracepoint, hook or iterator. The name is looked
   * up by load(). Without a name, the section's counts. Programs as targets: Linux 5.5, freplace 5.6; modules 5.11.
   *
   * libbpf: `bpf_program__set_attach_target`.
   *
   * @throws StateError after load, or while the other program is not loaded; ArgumentError for programs that do not attach
   *   to functions, SystemCallError or ArgumentError when the descriptor is no program's
   */
  setAttachTarget(target: string | undefined, options: AttachTargetOptions = {}): void {
    this.edit("the attach target");
    const { program } = options;
    if (!targetTypes.has(this.#spec.type)) {
      throw new ArgumentError(`programs of type ${this.type} are not attached to functions`, {
        ...this.where,
        hint: "set the type to tracing, ext or lsm first",
      });
    }
    if (target !== undefined && (typeof target !== "string" || target === "")) {
      throw new ArgumentError("the attach target must be the name of a function", this.where);
    }
    if (target === undefined && program === undefined) {
      throw new ArgumentError("neither a function nor a program was given to attach to", this.where);
    }
    const opened = program === undefined ? undefined : withLocation(this.where, () => openTarget(program));
    this.#targetProgram?.fd.close();
    this.#targetProgram = opened;
    if (target !== undefined) this.#spec.attachTarget = target;
    this.#spec.needsAttachBtf = true;
  }

  /** @internal The program to attach to. */
  get targetDescriptor(): FileDescriptor | undefined {
    return this.#targetProgram?.fd;
  }

  /**
   * Program type by libbpf's name, or its number where this version has no name; `"unspec"` when the section name tells
   * none. Settable until load; another type than the section's drops what the section says about attaching
   * ({@link definition}). libbpf: `bpf_program__type`, `bpf_program__set_type`.
   */
  get type(): ProgramTypeName | number {
    return programTypeName(this.#spec.type) ?? this.#spec.type;
  }
  set type(type: ProgramTypeName | number) {
    this.edit("type");
    const number = numberOf(type, ProgramType, "program type");
    if (number === this.#spec.type) return;
    this.#spec.type = number;
    this.#spec.needsAttachBtf = false;
    // The user's handler of all other names is for programs of any type.
    if (this.#spec.definition?.pattern !== "") this.#spec.definition = undefined;
  }

  /**
   * Expected attach type, undefined when none is set. Settable until load.
   * libbpf: `bpf_program__expected_attach_type`, `bpf_program__set_expected_attach_type`.
   */
  get expectedAttachType(): AttachTypeName | number | undefined {
    const { expectedAttachType: number, type } = this.#spec;
    // 0 is a valid number (cgroup_inet_ingress), which only these programs can mean.
    if (number === 0 && type !== ProgramType.cgroup_skb) return undefined;
    return attachTypeName(number) ?? number;
  }
  set expectedAttachType(type: AttachTypeName | number | undefined) {
    this.edit("expectedAttachType");
    this.#spec.expectedAttachType = type === undefined ? 0 : numberOf(type, AttachType, "attach type");
  }

  /** BPF_F_* load flags. Settable until load. libbpf: `bpf_program__flags`, `bpf_program__set_flags`. */
  get flags(): number {
    return this.#spec.flags;
  }
  set flags(flags: number) {
    this.edit("flags");
    this.#spec.flags = checkU32(flags, "flags");
  }

  /**
   * Network device (its index) that the program is loaded for: offloaded to it, or with BPF_F_XDP_DEV_BOUND_ONLY in
   * `flags` bound to it; 0 for none. Settable until load. Linux 4.15, bound 6.3; libbpf: `bpf_program__set_ifindex`.
   */
  get ifindex(): number {
    return this.#ifindex;
  }
  set ifindex(ifindex: number) {
    this.edit("ifindex");
    this.#ifindex = checkU32(ifindex, "ifindex");
  }

  /**
   * Whether load() loads it. Settable until load; after prepare() it can only be switched off, because prepare()
   * relocated nothing else. libbpf: `bpf_program__autoload`, `bpf_program__set_autoload`.
   */
  get autoload(): boolean {
    return this.#spec.autoload;
  }
  set autoload(autoload: boolean) {
    this.edit("autoload");
    if (autoload && this.#phase === "prepared" && this.#code === undefined) {
      throw this.stateError("autoload cannot be switched on after prepare(), which did not relocate the program");
    }
    this.#spec.autoload = autoload;
  }

  /** Whether the object's attach() attaches it. libbpf: `bpf_program__autoattach`, `bpf_program__set_autoattach`. */
  get autoattach(): boolean {
    return this.#autoattach;
  }
  set autoattach(autoattach: boolean) {
    this.#autoattach = autoattach;
  }

  /**
   * Verifier log level: 0 none, 1 or 2 more and more text, +4 statistics; undefined takes the object's. A refused
   * program's log is fetched whatever the level. Settable until load. libbpf: `bpf_program__set_log_level`.
   */
  get logLevel(): number | undefined {
    return this.#logLevel;
  }
  set logLevel(level: number | undefined) {
    this.edit("logLevel");
    this.#logLevel = level === undefined ? undefined : checkU32(level, "logLevel");
  }

  /**
   * Bytes of the first buffer for the verifier's log, 128 or more; undefined takes the object's. A log that does not fit is
   * asked for again with a larger one, up to 1 GiB. Settable until load. libbpf: `bpf_program__set_log_buf`, whose buffer
   * does not grow.
   */
  get logSize(): number | undefined {
    return this.#logSize;
  }
  set logSize(size: number | undefined) {
    this.edit("logSize");
    this.#logSize = size === undefined ? undefined : checkLogSize(size);
  }

  /**
   * A copy of the instructions, 8 bytes each, little-endian: as compiled, after prepare() relocated with sub-programs and
   * descriptors, after load() as given to the kernel. Settable between prepare() and load(), thus also by the `prepare`
   * of a section handler: what is set is loaded as it is. Another number of instructions drops {@link funcInfo} and
   * {@link lineInfo}, whose places it would move.
   * libbpf: `bpf_program__insns`, `bpf_program__insn_cnt`, `bpf_program__set_insns`.
   *
   * @throws StateError when set before prepare() or after load(), ArgumentError for what is no array of instructions
   */
  get insns(): Uint8Array {
    return this.latestInsns.slice();
  }
  set insns(insns: Uint8Array) {
    this.edit("insns");
    if (this.#code === undefined) {
      throw this.#phase === "open"
        ? this.stateError("insns cannot be changed yet: they are not relocated", "call prepare() first")
        : this.stateError("insns cannot be changed: prepare() did not relocate the program", "its autoload is off");
    }
    this.#code = withLocation(this.where, () => withInsns(this.#code!, insns));
  }

  /**
   * The functions of the relocated program, in the order of their instructions; empty before prepare() and for objects
   * without such information. libbpf: `bpf_program__func_info`, `bpf_program__func_info_cnt`.
   */
  get funcInfo(): FuncInfo[] {
    return readFuncInfo(this.#code?.funcInfo);
  }

  /**
   * The source lines of the relocated program, in the order of their instructions; empty before prepare() and for objects
   * without such information. libbpf: `bpf_program__line_info`, `bpf_program__line_info_cnt`.
   */
  get lineInfo(): LineInfo[] {
    return readLineInfo(this.#code?.lineInfo);
  }

  /** @internal Whether prepare() relocated it. */
  get prepared(): boolean {
    return this.#code !== undefined;
  }

  /** @internal What is to be loaded. */
  get code(): ProgramCode {
    if (this.#code !== undefined) return this.#code;
    throw this.stateError("the program was not relocated", "its autoload was off at prepare() or load()");
  }

  /** @internal Takes over the relocated instructions; `insns` may be written until it is loaded. */
  setPrepared({ insns, funcInfo, lineInfo }: ProgramCode): void {
    this.#code = { insns, funcInfo, lineInfo };
  }

  /** @internal The object was prepared; or loaded, which ends editing. */
  seal(phase: "prepared" | "loaded"): void {
    if (this.#phase !== "closed") this.#phase = phase;
  }

  /** @internal Instructions as of the last step that changed them. */
  protected get latestInsns(): Uint8Array {
    return this.#code?.insns ?? this.#spec.insns;
  }

  /** @internal How far it has come. */
  protected get phase(): Phase {
    return this.#phase;
  }

  /** @internal Ends editing for good. */
  close(): void {
    this.#phase = "closed";
    this.#targetProgram?.fd.close();
  }

  /** @internal @throws StateError after load */
  protected edit(field: string): void {
    if (this.#phase === "open" || this.#phase === "prepared") return;
    throw this.stateError(
      this.#phase === "closed" ? "the program was used after close()" : `${field} cannot be changed after load`,
    );
  }

  /** @internal */
  protected stateError(reason: string, hint?: string): StateError {
    return new StateError(reason, { ...this.where, hint });
  }

  /** @internal */
  protected get where(): { file: string; program: string } {
    return { file: this.#file, program: this.name };
  }
}

function openTarget(program: ProgramTarget): { readonly fd: FileDescriptor; readonly id: number } {
  const fd = FileDescriptor.duplicateOf(descriptorNumber(program), "target program");
  try {
    return { fd, id: progInfo(fd).id };
  } catch (error) {
    fd.close();
    throw error;
  }
}
