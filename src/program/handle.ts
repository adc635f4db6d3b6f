// A program of an opened object: its declaration, editable until load, and afterwards its descriptor in the kernel.
// Attaching belongs to the floors above: BpfProgram (src/loader) adds it.

import { StateError, withLocation } from "../errors.js";
import { pinObject, pinPathOf, removePin } from "../kernel/index.js";
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
import type { FileDescriptor } from "../syscall/index.js";

/** What loading adds to a program. */
interface Loaded {
  readonly fd: FileDescriptor;
  readonly insns: Uint8Array;
  readonly verifierLog: string | undefined;
}

/** A program as declared and, once loaded, as the kernel has it. */
export class ProgramHandle {
  readonly #spec: ProgramSpec;
  readonly #file: string;
  #loaded: Loaded | undefined;
  /** Why nothing may be edited any more. */
  #sealed: "loaded" | "closed" | undefined;
  #logLevel: number | undefined;
  #autoattach = true;

  /** @internal */
  constructor(spec: ProgramSpec, file: string) {
    this.#spec = spec;
    this.#file = file;
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

  /** The row of the SEC() table that the section name matches, if any. */
  get definition(): SectionDefinition | undefined {
    return this.#spec.definition;
  }

  /** What the section name says after its kind, e.g. `sched/sched_process_exec`; undefined for a bare section. */
  get attachTarget(): string | undefined {
    return this.#spec.attachTarget;
  }

  /**
   * Program type by libbpf's name, or its number where this version has no name; `"unspec"` when the section name tells
   * none. Settable until load. libbpf: `bpf_program__type`, `bpf_program__set_type`.
   */
  get type(): ProgramTypeName | number {
    return programTypeName(this.#spec.type) ?? this.#spec.type;
  }
  set type(type: ProgramTypeName | number) {
    this.#edit("type");
    this.#spec.type = numberOf(type, ProgramType, "program type");
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
    this.#edit("expectedAttachType");
    this.#spec.expectedAttachType = type === undefined ? 0 : numberOf(type, AttachType, "attach type");
  }

  /** BPF_F_* load flags. Settable until load. libbpf: `bpf_program__flags`, `bpf_program__set_flags`. */
  get flags(): number {
    return this.#spec.flags;
  }
  set flags(flags: number) {
    this.#edit("flags");
    this.#spec.flags = checkU32(flags, "flags");
  }

  /** Whether load() loads it. Settable until load. libbpf: `bpf_program__autoload`, `bpf_program__set_autoload`. */
  get autoload(): boolean {
    return this.#spec.autoload;
  }
  set autoload(autoload: boolean) {
    this.#edit("autoload");
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
    this.#edit("logLevel");
    this.#logLevel = level === undefined ? undefined : checkU32(level, "logLevel");
  }

  /** What the verifier wrote when it accepted the program; undefined without a log level. */
  get verifierLog(): string | undefined {
    return this.#loaded?.verifierLog;
  }

  /** True once the kernel has the program, until it is closed. */
  get loaded(): boolean {
    return this.#loaded !== undefined && this.#sealed !== "closed";
  }

  /**
   * A copy of the instructions, 8 bytes each, little-endian: as compiled before load, as given to the kernel after.
   * libbpf: `bpf_program__insns`.
   */
  get insns(): Uint8Array {
    return (this.#loaded?.insns ?? this.#spec.insns).slice();
  }

  /**
   * The kernel's descriptor, owned by this program. libbpf: `bpf_program__fd`.
   * @throws StateError before load, after close, and for programs that were not loaded.
   */
  get fd(): number {
    return this.descriptor.number;
  }

  /**
   * Pins the loaded program at `path`, so that it outlives this process. The last directory of the path is made when it is
   * missing. Linux 4.4; libbpf: `bpf_program__pin`.
   *
   * @throws SystemCallError EEXIST when the name is taken, UnsupportedError outside a BPF file system
   */
  pin(path: string): void {
    withLocation(this.#where, () => pinObject(this.descriptor, pinPathOf(path)));
  }

  /** Removes the pin at `path`. libbpf: `bpf_program__unpin`. @throws as {@link pin}, SystemCallError ENOENT */
  unpin(path: string): void {
    withLocation(this.#where, () => removePin(pinPathOf(path)));
  }

  /** @internal */
  get descriptor(): FileDescriptor {
    if (this.#sealed === "closed") throw this.#stateError("the program was used after close()");
    if (this.#loaded === undefined) {
      throw this.#sealed === "loaded"
        ? this.#stateError("the program was not loaded", "its autoload is off")
        : this.#stateError("the program is not loaded yet", "call load() first");
    }
    return this.#loaded.fd;
  }

  /** @internal Takes over what the kernel gave. */
  setLoaded(loaded: Loaded): void {
    this.#loaded = loaded;
  }

  /** @internal Ends editing: the object was loaded. */
  seal(): void {
    this.#sealed ??= "loaded";
  }

  /** @internal Closes the descriptor; the kernel keeps the program as long as a link or a pin does. */
  close(): void {
    this.#sealed = "closed";
    this.#loaded?.fd.close();
  }

  #edit(field: string): void {
    if (this.#sealed === undefined) return;
    throw this.#stateError(
      this.#sealed === "closed" ? "the program was used after close()" : `${field} cannot be changed after load`,
    );
  }

  #stateError(reason: string, hint?: string): StateError {
    return new StateError(reason, { ...this.#where, hint });
  }

  get #where(): { file: string; program: string } {
    return { file: this.#file, program: this.name };
  }
}
