// A map and the kernel: whether load() creates it, uses an existing one instead, or finds it pinned; its descriptor and its
// pin. What is in it is for the sub-class BpfMap.

import { ArgumentError, addLocation, StateError, withLocation } from "../errors.js";
import { FileDescriptor } from "../syscall/index.js";
import { MapDeclaration } from "./declaration.js";
import { adoptShape } from "./live.js";
import { MapPin } from "./pin.js";

/** A map as declared and, once loaded, as the kernel has it. */
export class MapHandle extends MapDeclaration {
  #fd: FileDescriptor | undefined;
  #innerTemplate: FileDescriptor | undefined;
  readonly #pin = new MapPin();

  /**
   * Whether load() creates the map. A program that reaches a map which was not created is refused by the verifier.
   * libbpf: `bpf_map__autocreate`, `bpf_map__set_autocreate`.
   */
  get autocreate(): boolean {
    return this.spec.autocreate;
  }
  set autocreate(autocreate: boolean) {
    this.edit("autocreate");
    this.spec.autocreate = autocreate;
  }

  /** True for the maps that hold .data, .rodata and .bss. libbpf: `bpf_map__is_internal`. */
  get isInternal(): boolean {
    return this.spec.dataKind !== undefined;
  }

  /**
   * Where load() pins the map, or finds it pinned: a map that is pinned there already and agrees with the declaration is
   * used instead of a new one. From `__uint(pinning, LIBBPF_PIN_BY_NAME)` it is `pinRoot/NAME`. Settable until load.
   * libbpf: `bpf_map__pin_path`, `bpf_map__set_pin_path`.
   */
  get pinPath(): string | undefined {
    return this.#pin.path;
  }
  set pinPath(path: string | undefined) {
    if (!this.reused) this.edit("pinPath");
    withLocation(this.where, () => {
      this.#pin.path = path;
    });
  }

  /** True once the map was pinned, or found pinned, until unpin(). libbpf: `bpf_map__is_pinned`. */
  get isPinned(): boolean {
    return this.#pin.pinned;
  }

  /**
   * Pins the loaded map at `path`, by default at its `pinPath`, so that it outlives this process. The last directory of
   * the path is made when it is missing. Nothing happens when it is pinned there already. Linux 4.4; libbpf:
   * `bpf_map__pin`. Returns whether it was pinned just now.
   *
   * @throws SystemCallError EEXIST when the name is taken, UnsupportedError outside a BPF file system, StateError when
   *   its `pinPath` is another one
   */
  pin(path?: string): boolean {
    return withLocation(this.where, () => this.#pin.pin(this.descriptor, path));
  }

  /** Removes the pin; the map stays until its last user is gone. libbpf: `bpf_map__unpin`. @throws as {@link pin} */
  unpin(path?: string): void {
    withLocation(this.where, () => this.#pin.unpin(path));
  }

  /**
   * Lets load() use an existing map instead of creating one: another object's, or a descriptor, which is duplicated. Type,
   * sizes and flags become those of the existing map; name and types stay. libbpf: `bpf_map__reuse_fd`.
   *
   * @throws StateError after load, SystemCallError, ArgumentError when the descriptor is no map's
   */
  reuse(source: MapHandle | number): void {
    this.edit("reuse()");
    this.adopt(descriptorOf(source));
  }

  /**
   * Tells a map of maps by an example what its inner maps are like, instead of a definition: a loaded map, or a
   * descriptor, which is duplicated. libbpf: `bpf_map__set_inner_map_fd`.
   *
   * @throws StateError after load, ArgumentError for maps of other types
   */
  setInnerMap(source: MapHandle | number): void {
    this.edit("the inner map");
    if (this.rule.holds !== "map") throw new ArgumentError(`maps of type ${this.type} hold no maps`, this.where);
    const template = descriptorOf(source);
    this.#innerTemplate?.close();
    this.#innerTemplate = template;
    this.forgetInner();
  }

  /**
   * A copy of a data section's initial contents (for an arena, of its variables); undefined for other maps. Those of a
   * struct_ops map are `structOps`. libbpf: `bpf_map__initial_value`.
   */
  get initialValue(): Uint8Array | undefined {
    return this.spec.initialValue?.slice();
  }

  /**
   * Replaces the initial contents of a data section, or of an arena's variables, all of it; those of `.kconfig` are the
   * kernel's. libbpf: `bpf_map__set_initial_value`.
   *
   * @throws ArgumentError unless `bytes` has exactly as many bytes, StateError after prepare() or load()
   */
  setInitialValue(bytes: Uint8Array): void {
    this.edit("the initial value");
    const { initialValue, dataKind } = this.spec;
    if (dataKind === "kconfig") {
      throw new ArgumentError("the values of .kconfig are filled in by load()", {
        ...this.where,
        hint: "give others by the option kconfig of open()",
      });
    }
    if (initialValue === undefined) throw new ArgumentError("only data sections have an initial value", this.where);
    if (!(bytes instanceof Uint8Array) || bytes.length !== initialValue.length) {
      throw new ArgumentError(`the initial value must be a Uint8Array of ${initialValue.length} bytes`, this.where);
    }
    initialValue.set(bytes);
  }

  /** True once the kernel has the map, until it is closed. */
  get loaded(): boolean {
    return this.#fd !== undefined && !this.#fd.closed;
  }

  /**
   * The kernel's descriptor, owned by this map. libbpf: `bpf_map__fd`.
   * @throws StateError before load, after close, and for maps that were not created.
   */
  get fd(): number {
    return this.descriptor.number;
  }

  /** @internal */
  get descriptor(): FileDescriptor {
    if (this.sealed === "closed") throw new StateError("the map was used after close()", this.where);
    if (this.#fd !== undefined) return this.#fd;
    throw this.sealed === "loaded"
      ? new StateError("the map was not created", { ...this.where, hint: "its autocreate is off" })
      : new StateError("the map is not loaded yet", { ...this.where, hint: "call load() first" });
  }

  /** @internal A descriptor of its own for a reader that may outlive the object. */
  duplicateFd(): FileDescriptor {
    return this.descriptor.duplicate();
  }

  /** @internal Takes over what the kernel gave. */
  setCreated(fd: FileDescriptor): void {
    this.#fd?.close();
    this.#fd = fd;
    this.#innerTemplate?.close();
    this.#innerTemplate = undefined;
  }

  /** @internal Takes over an existing map, and owns the descriptor from now on. */
  adopt(fd: FileDescriptor, { pinned = false }: { pinned?: boolean } = {}): void {
    try {
      adoptShape(this.spec, fd);
    } catch (error) {
      fd.close();
      throw addLocation(error, this.where);
    }
    this.setCreated(fd);
    this.seal("reused");
    if (pinned) this.#pin.setFound();
  }

  /** @internal The map stands for one that existed before. */
  get reused(): boolean {
    return this.sealed === "reused";
  }

  /** @internal An example of the inner maps, instead of their definition. */
  get innerTemplate(): FileDescriptor | undefined {
    return this.#innerTemplate;
  }

  /** @internal Closes the descriptor. */
  close(): void {
    this.seal("closed");
    this.#innerTemplate?.close();
    this.#fd?.close();
  }
}

/** A descriptor of its own for a map that belongs to somebody else. */
function descriptorOf(source: MapHandle | number): FileDescriptor {
  if (source instanceof MapHandle) return source.duplicateFd();
  return FileDescriptor.duplicateOf(source, "map");
}
