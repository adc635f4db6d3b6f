// A map of an object: its declaration, editable until load; afterwards its elements, with the protocol of JavaScript's
// Map, decoded by BTF.

import type { Btf, BtfCodec, BtfValue } from "../btf/index.js";
import { ArgumentError, StateError, UnsupportedError, withLocation } from "../errors.js";
import { checkU32, type MapSpec, MapType, type MapTypeName, mapTypeName, numberOf } from "../object/index.js";
import { type FileDescriptor, type MappedRegion, MapScratch, mapFreeze, possibleCpuCount } from "../syscall/index.js";
import { Elements, type UpdateFlags, updateFlagsWord } from "./elements.js";
import { DataSection } from "./global-variables.js";
import { RawMap } from "./raw.js";
import { type MapTypeRule, mapTypeRule } from "./type-rules.js";
import { bytesCodec, descriptorCodec, perCpuCodec, typedCodec } from "./value-codec.js";
import { walk } from "./walk.js";

/** Options of {@link BpfMap.set}. */
export interface SetOptions {
  /** `"noexist"` refuses to replace, `"exist"` to insert; a bigint gives any BPF_F_* word. */
  flags?: UpdateFlags;
}

/**
 * A BPF map. `K` and `V` are for the compiler only; at run time keys and values follow the object's BTF (see the table in
 * the README), and are `Uint8Array`s where it tells no type.
 *
 * libbpf: `struct bpf_map`.
 */
export class BpfMap<K extends BtfValue = BtfValue, V extends BtfValue = BtfValue> implements Iterable<[K, V]> {
  readonly #spec: MapSpec;
  readonly #file: string;
  readonly #btf: Btf | undefined;
  #fd: FileDescriptor | undefined;
  #sealed: "loaded" | "closed" | undefined;
  #scratch: MapScratch | undefined;
  #elements: Elements<K, V> | undefined;
  /** The same, once it is known that elements of this type are reached by key: the way of every later call. */
  #ready: Elements<K, V> | undefined;
  #raw: RawMap | undefined;
  #data: DataSection | undefined;
  #memory: MappedRegion | undefined;
  #dataOffset = 0;
  #frozen = false;

  /** @internal */
  constructor(spec: MapSpec, btf: Btf | undefined, file: string) {
    this.#spec = spec;
    this.#btf = btf;
    this.#file = file;
  }

  /** @internal The declaration, for the loader. */
  get spec(): MapSpec {
    return this.#spec;
  }

  /**
   * The name in the C source; for data sections libbpf's derived name (`minimal.bss`), for those with a name of their
   * own the section's. libbpf: `bpf_map__name`.
   */
  get name(): string {
    return this.#spec.name;
  }

  /** The ELF section: `.maps`, or the data section that the map holds. */
  get sectionName(): string {
    return this.#spec.sectionName;
  }

  /** @internal Name or path of the object, for messages. */
  get file(): string {
    return this.#file;
  }

  /** The object's type information; undefined when it has none. */
  get btf(): Btf | undefined {
    return this.#btf;
  }

  /** Map type by libbpf's name, or its number where this version has no name. libbpf: `bpf_map__type`, `…set_type`. */
  get type(): MapTypeName | number {
    return mapTypeName(this.#spec.type) ?? this.#spec.type;
  }
  set type(type: MapTypeName | number) {
    this.#edit("type");
    this.#spec.type = numberOf(type, MapType, "map type");
  }

  /** Bytes of a key. libbpf: `bpf_map__key_size`, `bpf_map__set_key_size`. */
  get keySize(): number {
    return this.#spec.keySize;
  }
  set keySize(size: number) {
    this.#edit("keySize");
    this.#spec.keySize = checkU32(size, "keySize");
  }

  /** Bytes of a value (of one CPU). libbpf: `bpf_map__value_size`, `bpf_map__set_value_size`. */
  get valueSize(): number {
    return this.#spec.valueSize;
  }
  set valueSize(size: number) {
    this.#edit("valueSize");
    if (this.#spec.dataKind !== undefined) {
      throw new ArgumentError("the size of a data section cannot be changed", this.#where);
    }
    this.#spec.valueSize = checkU32(size, "valueSize");
  }

  /**
   * How many elements fit; for ring buffers bytes, rounded up to a power of two pages at load (this then shows the true
   * size). libbpf: `bpf_map__max_entries`, `bpf_map__set_max_entries`.
   */
  get maxEntries(): number {
    return this.#spec.maxEntries;
  }
  set maxEntries(count: number) {
    this.#edit("maxEntries");
    this.#spec.maxEntries = checkU32(count, "maxEntries");
  }

  /** BPF_F_* creation flags. libbpf: `bpf_map__map_flags`, `bpf_map__set_map_flags`. */
  get flags(): number {
    return this.#spec.flags;
  }
  set flags(flags: number) {
    this.#edit("flags");
    this.#spec.flags = checkU32(flags, "flags");
  }

  /** Extra 64 bits of some types (bloom filter: hash functions). libbpf: `bpf_map__map_extra`, `…set_map_extra`. */
  get mapExtra(): bigint {
    return this.#spec.mapExtra;
  }
  set mapExtra(extra: bigint) {
    this.#edit("mapExtra");
    if (typeof extra !== "bigint" || extra < 0n || extra >= 1n << 64n) {
      throw new ArgumentError(`mapExtra must be a bigint of 64 bits, not ${String(extra)}`, this.#where);
    }
    this.#spec.mapExtra = extra;
  }

  /** NUMA node, effective with BPF_F_NUMA_NODE in `flags`. libbpf: `bpf_map__numa_node`, `bpf_map__set_numa_node`. */
  get numaNode(): number {
    return this.#spec.numaNode;
  }
  set numaNode(node: number) {
    this.#edit("numaNode");
    this.#spec.numaNode = checkU32(node, "numaNode");
  }

  /**
   * Whether load() creates the map. A program that reaches a map which was not created is refused by the verifier.
   * libbpf: `bpf_map__autocreate`, `bpf_map__set_autocreate`.
   */
  get autocreate(): boolean {
    return this.#spec.autocreate;
  }
  set autocreate(autocreate: boolean) {
    this.#edit("autocreate");
    this.#spec.autocreate = autocreate;
  }

  /** True for the maps that hold .data, .rodata and .bss. libbpf: `bpf_map__is_internal`. */
  get isInternal(): boolean {
    return this.#spec.dataKind !== undefined;
  }

  /** The section of the global variables in this map: its own, or for an arena `.addr_space.1`; else undefined. */
  get dataSectionName(): string | undefined {
    const { dataKind, sectionName, arena } = this.#spec;
    return dataKind === undefined ? arena?.sectionName : sectionName;
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

  /**
   * The value of `key`, or undefined when there is none. Maps of per-CPU values give an array with one value for each
   * possible CPU. libbpf: `bpf_map__lookup_elem`.
   *
   * @throws ValueError for a key that does not fit its type, StateError while the map is not loaded, SystemCallError
   */
  get(key: K): V | undefined {
    return (this.#ready ?? this.#keyed("get")).get(key);
  }

  /** True when there is a value for `key`. */
  has(key: K): boolean {
    return (this.#ready ?? this.#keyed("has")).has(key);
  }

  /**
   * Inserts or replaces. libbpf: `bpf_map__update_elem`.
   *
   * @throws SystemCallError E2BIG when the map is full, EEXIST or ENOENT as `flags` demand
   */
  set(key: K, value: V, options?: SetOptions): this {
    const flags = options?.flags === undefined ? undefined : updateFlagsWord(options.flags);
    (this.#ready ?? this.#keyed("set")).set(key, value, flags);
    return this;
  }

  /** Removes; true when there was such a key. Array elements cannot be removed. libbpf: `bpf_map__delete_elem`. */
  delete(key: K): boolean {
    return (this.#ready ?? this.#keyed("delete")).delete(key);
  }

  /** Adds to a queue or stack, or to a bloom filter. BPF_MAP_UPDATE_ELEM without key, Linux 4.20. */
  push(value: V): this {
    this.#keyless("push").set(undefined, value);
    return this;
  }

  /** Takes from a queue or stack; undefined when it is empty. Linux 4.20. */
  pop(): V | undefined {
    return this.#keyless("pop").take(undefined);
  }

  /** Looks at what pop() would take. Linux 4.20. */
  peek(): V | undefined {
    return this.#keyless("peek").get(undefined);
  }

  /**
   * All elements. Other processes and programs may change the map meanwhile: an element that stays is seen once or (in
   * a hash that is being resized by deletions, before Linux 5.6) perhaps not at all, and the iteration always ends.
   */
  *entries(): Generator<[K, V], void, undefined> {
    const elements = this.#keyed("iterate");
    yield* walk(this, this.rule, (keys, keyAt, values, valueAt) => elements.decode(keys, keyAt, values, valueAt));
  }

  /** All keys; see {@link entries}. */
  *keys(): Generator<K, void, undefined> {
    for (const [key] of this.entries()) yield key;
  }

  /** All values; see {@link entries}. */
  *values(): Generator<V, void, undefined> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): Generator<[K, V], void, undefined> {
    return this.entries();
  }

  /** The same elements as bytes, without decoding. */
  get raw(): RawMap {
    this.#raw ??= new RawMap(this, this.rule);
    return this.#raw;
  }

  /** Makes the map read-only for user space, for good. Linux 5.2; libbpf: `bpf_map_freeze`. */
  freeze(): void {
    mapFreeze(this.descriptor);
  }

  /**
   * The whole memory of an arena, shared with the programs; offsets in it are the lower 32 bits of the programs'
   * pointers, less those of {@link memoryAddress}. Only while the object is loaded: a view that is kept has length 0, or
   * zeros, after close. Linux 6.9. libbpf: `bpf_map__initial_value`, which begins with the variables.
   *
   * @throws UnsupportedError for other maps and for arenas with BPF_F_SEGV_ON_FAULT, StateError while not loaded
   */
  get memory(): Uint8Array {
    return this.#region.bytes;
  }

  /** Where the memory of an arena lies in this process: user-space pointers in the arena count from here. */
  get memoryAddress(): bigint {
    return this.#region.address;
  }

  get #region(): MappedRegion {
    void this.descriptor;
    if (this.type === "arena" && this.#memory !== undefined) return this.#memory;
    throw new UnsupportedError(
      this.type === "arena" ? "an arena with BPF_F_SEGV_ON_FAULT is not mapped" : "only arenas are memory as a whole",
      this.#where,
    );
  }

  /** The global variables of a data section or of an arena; undefined for other maps. */
  get data(): DataSection | undefined {
    const { initialValue, valueTypeId, arena } = this.#spec;
    const name = this.dataSectionName;
    if (name === undefined || initialValue === undefined) return undefined;
    if (this.#data === undefined) {
      this.#data = new DataSection(name, initialValue, this.#btf, (arena?.typeId ?? valueTypeId) || undefined);
      if (this.#memory?.closed === false) this.#bind(this.#data, this.#memory);
      if (this.#frozen) this.#data.freeze();
      if (this.#sealed === "closed") this.#data.close();
    }
    return this.#data;
  }

  /** @internal Peculiarities of the type. */
  get rule(): MapTypeRule {
    return mapTypeRule(this.type);
  }

  /** @internal */
  get descriptor(): FileDescriptor {
    if (this.#sealed === "closed") throw new StateError("the map was used after close()", this.#where);
    if (this.#fd !== undefined) return this.#fd;
    throw this.#sealed === "loaded"
      ? new StateError("the map was not created", { ...this.#where, hint: "its autocreate is off" })
      : new StateError("the map is not loaded yet", { ...this.#where, hint: "call load() first" });
  }

  /** @internal A descriptor of its own for a reader that may outlive the object. */
  duplicateFd(): FileDescriptor {
    return this.descriptor.duplicate();
  }

  /** @internal */
  scratch(): MapScratch {
    return this.#scratch ?? this.#makeScratch();
  }

  #makeScratch(): MapScratch {
    // The descriptor says what is wrong before load and after close, when there is no scratch memory.
    this.#scratch = new MapScratch(this.descriptor);
    return this.#scratch;
  }

  /** @internal Takes over what the kernel gave. */
  setCreated(fd: FileDescriptor): void {
    this.#fd = fd;
  }

  /** @internal Takes over the memory that is shared with the kernel from now on; global variables begin at `offset`. */
  setMemory(memory: MappedRegion, offset = 0): void {
    this.#memory = memory;
    this.#dataOffset = offset;
    if (this.#data !== undefined) this.#bind(this.#data, memory);
  }

  #bind(data: DataSection, { bytes }: MappedRegion): void {
    const size = this.#spec.initialValue?.length ?? 0;
    data.bind(bytes.subarray(this.#dataOffset, this.#dataOffset + size));
  }

  /** @internal The kernel froze the data section. */
  setFrozen(): void {
    this.#frozen = true;
    this.#data?.freeze();
  }

  /** @internal Ends editing: the object was loaded. */
  seal(): void {
    this.#sealed ??= "loaded";
  }

  /** @internal Closes the descriptor and forgets mapped memory; programs that use the map keep it alive. */
  close(): void {
    this.#sealed = "closed";
    this.#data?.close();
    this.#memory?.close();
    this.#fd?.close();
    this.#scratch = undefined;
  }

  #keyed(use: string): Elements<K, V> {
    const { rule } = this;
    if (rule.keyless === true) {
      const reason = `maps of type ${this.type} have no keys to ${use} by`;
      throw new UnsupportedError(reason, { ...this.#where, hint: "use push(), pop() and peek()" });
    }
    if (rule.unreadable === true) {
      throw new UnsupportedError(`maps of type ${this.type} have no elements`, {
        ...this.#where,
        hint: rule.ring === true ? "read it with a RingBuffer" : undefined,
      });
    }
    this.#ready = this.#typed();
    return this.#ready;
  }

  #keyless(use: string): Elements<K, V> {
    if (this.rule.keyless !== true) {
      throw new UnsupportedError(`maps of type ${this.type} have keys: ${use}() is for queues and stacks`, this.#where);
    }
    return this.#typed();
  }

  #typed(): Elements<K, V> {
    this.#elements ??= withLocation(this.#where, () => this.#makeElements());
    return this.#elements;
  }

  #makeElements(): Elements<K, V> {
    const { keySize, keyTypeId, valueSize, valueTypeId } = this.#spec;
    // Sizes and types may be edited until load; only then do they mean something.
    void this.descriptor;
    const key = keySize === 0 ? bytesCodec(0, "key") : typedCodec(this.#btf, keyTypeId, keySize, "key");
    return new Elements(this, key, this.#valueCodec(valueSize, valueTypeId));
  }

  #valueCodec(size: number, typeId: number): BtfCodec {
    const { holds, perCpu } = this.rule;
    if (holds !== undefined) return descriptorCodec;
    const one = typedCodec(this.#btf, typeId, size, "value");
    return perCpu === true ? perCpuCodec(one, possibleCpuCount()) : one;
  }

  /** @internal @throws StateError once the object was loaded. */
  requireEditable(field: string): void {
    this.#edit(field);
  }

  #edit(field: string): void {
    if (this.#sealed === undefined) return;
    throw new StateError(
      this.#sealed === "closed" ? "the map was used after close()" : `${field} cannot be changed after load`,
      this.#where,
    );
  }

  get #where(): { file: string; map: string } {
    return { file: this.#file, map: this.name };
  }
}
