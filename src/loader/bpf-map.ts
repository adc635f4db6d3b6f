// A map of an object with everything a user does to it: the elements and settings of the floor below, and attaching,
// which is for maps of callbacks (struct_ops).

import type { Btf, BtfValue, ValueInput } from "../btf/index.js";
import { ArgumentError, StateError, UnsupportedError } from "../errors.js";
import { attachStructOps, type StructOpsLink } from "../link/index.js";
import { BpfMap as PlainMap } from "../map/index.js";
import type { MapSpec, ProgramSpec } from "../object/index.js";
import type { BpfProgram } from "./bpf-program.js";
import { type StructOpsMembers, structOpsMembers } from "./struct-ops-members.js";

/**
 * A BPF map. `K` and `V` are for the compiler only; at run time keys and values follow the object's BTF (see the table in
 * the README), and are `Uint8Array`s where it tells no type. Keys and values may be given as anything that encodes to them
 * ({@link ValueInput}); `VI` and `KI` are what values and keys are written as where that is something else, as descriptors.
 *
 * libbpf: `struct bpf_map`.
 */
export class BpfMap<
  K extends BtfValue = BtfValue,
  V extends BtfValue = BtfValue,
  VI = ValueInput<V>,
  KI = ValueInput<K>,
> extends PlainMap<K, V, VI, KI> {
  readonly #programOf: (spec: ProgramSpec) => BpfProgram | undefined;
  readonly #links = new Set<StructOpsLink>();
  #members: StructOpsMembers | undefined;
  #value: Uint8Array | undefined;
  #autoattach = true;
  #exclusiveProgram: BpfProgram | undefined;

  /** @internal */
  constructor(
    spec: MapSpec,
    types: { btf: Btf | undefined },
    file: string,
    programOf: (spec: ProgramSpec) => BpfProgram | undefined,
  ) {
    super(spec, types, file);
    this.#programOf = programOf;
  }

  /** True for variables of `.struct_ops` sections. */
  get isStructOps(): boolean {
    return this.spec.structOps !== undefined;
  }

  /**
   * The members of a struct_ops variable, by their C name: settings as values, callbacks as programs or null. Until load
   * they can be set; null takes a callback away, another struct_ops program of the object replaces it.
   *
   * libbpf: the shadow struct in skeletons, `bpf_map__initial_value`.
   *
   * @throws UnsupportedError for other maps
   */
  get structOps(): StructOpsMembers {
    const { structOps } = this.spec;
    if (structOps === undefined || this.btf === undefined) throw this.#noStructOps();
    this.#members ??= structOpsMembers(this.btf, structOps, {
      place: this.where,
      requireEditable: (field) => this.edit(field),
      programOf: this.#programOf,
      int64: () => this.int64,
    });
    return this.#members;
  }

  /**
   * Whether the object's attach() attaches it; for struct_ops maps only.
   * libbpf: `bpf_map__autoattach`, `bpf_map__set_autoattach`.
   */
  get autoattach(): boolean {
    return this.#autoattach;
  }
  set autoattach(autoattach: boolean) {
    this.#autoattach = autoattach;
  }

  /**
   * The only program of the object that may use the map, recognised by the SHA-256 of its instructions; the kernel
   * refuses to load any other one that refers to it. Settable until prepare() or load(); undefined: every program.
   * Linux 6.18. libbpf: `bpf_map__set_exclusive_program`, `bpf_map__exclusive_program`.
   *
   * @throws ArgumentError for what is no program of this object, StateError after prepare()
   */
  get exclusiveProgram(): BpfProgram | undefined {
    return this.#exclusiveProgram;
  }
  set exclusiveProgram(program: BpfProgram | undefined) {
    this.edit("exclusiveProgram");
    if (program !== undefined && this.#programOf(program.spec) !== program) {
      throw new ArgumentError("exclusiveProgram must be a program of the same object", this.where);
    }
    if (this.isStructOps) throw new UnsupportedError("a struct_ops map has no program that uses it", this.where);
    this.#exclusiveProgram = program;
  }

  /**
   * Registers the callbacks of a struct_ops map with the kernel. Linux 5.6. Closing the link unregisters them; maps of
   * section `.struct_ops.link` (Linux 6.4) have a true link, which ends with the process too and can be given another
   * map by `updateMap`, others stay registered until somebody closes the link.
   *
   * libbpf: `bpf_map__attach_struct_ops`.
   *
   * @throws UnsupportedError for other maps, StateError while not loaded, SystemCallError with code `ATTACH`
   */
  attachStructOps(): StructOpsLink {
    if (!this.isStructOps) throw this.#noStructOps();
    const link = attachStructOps(this);
    for (const old of this.#links) if (!old.attached) this.#links.delete(old);
    this.#links.add(link);
    return link;
  }

  /** Links of this map that are attached, in the order in which they were made. */
  get links(): readonly StructOpsLink[] {
    return [...this.#links].filter((link) => link.attached);
  }

  /** @internal */
  get file(): string {
    return this.where.file!; // a map of an object has one
  }

  /** @internal The value that attaching writes, in the kernel's layout. */
  get structOpsValue(): Uint8Array {
    // The descriptor says what is wrong before load and after close.
    void this.descriptor;
    if (this.#value !== undefined) return this.#value;
    throw this.isStructOps ? new StateError("the map is not loaded yet", this.where) : this.#noStructOps();
  }

  /** @internal */
  setStructOpsValue(value: Uint8Array): void {
    this.#value = value;
  }

  /** @internal Detaches, then closes the map. */
  override close(): void {
    for (const link of this.#links) link.close();
    this.#links.clear();
    super.close();
  }

  #noStructOps(): UnsupportedError {
    return new UnsupportedError(`a map of type ${this.type} has no callbacks to attach`, {
      ...this.where,
      hint: 'that is for variables in SEC(".struct_ops") and SEC(".struct_ops.link")',
    });
  }
}
