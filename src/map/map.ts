// A map with everything a user does to it: declaration, descriptor and pin of the classes below, and the elements with the
// protocol of JavaScript's Map, decoded by BTF.

import type { BtfCodec, BtfValue } from "../btf/index.js";
import { addLocation, UnsupportedError, withLocation } from "../errors.js";
import {
  type FileDescriptor,
  type MappedRegion,
  MapScratch,
  mapFreeze,
  mapLookup,
  mapUpdate,
  objectGet,
  openById,
  possibleCpuCount,
} from "../syscall/index.js";
import { Elements, type UpdateFlags, updateFlagsWord } from "./elements.js";
import { DataSection } from "./global-variables.js";
import { MapHandle } from "./handle.js";
import { describeMap, type OpenMapOptions } from "./live.js";
import { RawMap } from "./raw.js";
import type { SectionValue } from "./section-memory.js";
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
export class BpfMap<K extends BtfValue = BtfValue, V extends BtfValue = BtfValue>
  extends MapHandle
  implements Iterable<[K, V]>, Disposable
{
  #scratch: MapScratch | undefined;
  #elements: Elements<K, V> | undefined;
  /** The same, once it is known that elements of this type are reached by key: the way of every later call. */
  #ready: Elements<K, V> | undefined;
  #raw: RawMap | undefined;
  #data: DataSection | undefined;
  #memory: MappedRegion | undefined;
  #dataOffset = 0;
  #frozen = false;
  /** The data section is reached by system calls. */
  #unmapped = false;

  /**
   * The map that is pinned at `path`, whoever made it; close it, or use `using`. Keys and values are decoded by the BTF
   * that the map was created with (see {@link OpenMapOptions}). Linux 4.4; libbpf: `bpf_obj_get`.
   *
   * @throws SystemCallError ENOENT when nothing is pinned there, ArgumentError when it is no map
   */
  static openPinned<K extends BtfValue = BtfValue, V extends BtfValue = BtfValue>(
    path: string,
    options: OpenMapOptions = {},
  ): BpfMap<K, V> {
    return openLive(objectGet({ path, flags: options.flags }), path, options);
  }

  /**
   * The same by the kernel's id, as tools print it. Linux 4.13, needs CAP_SYS_ADMIN; libbpf: `bpf_map_get_fd_by_id`.
   *
   * @throws SystemCallError ENOENT when there is no such map
   */
  static openById<K extends BtfValue = BtfValue, V extends BtfValue = BtfValue>(
    id: number,
    options: OpenMapOptions = {},
  ): BpfMap<K, V> {
    return openLive(openById("map", id, { flags: options.flags }), `map ${id}`, options);
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

  /** The section of the global variables in this map: its own, or for an arena `.addr_space.1`; else undefined. */
  get dataSectionName(): string | undefined {
    const { dataKind, sectionName, arena } = this.spec;
    return dataKind === undefined ? arena?.sectionName : sectionName;
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
      this.where,
    );
  }

  /** The global variables of a data section or of an arena; undefined for other maps. */
  get data(): DataSection | undefined {
    const { initialValue, valueTypeId, arena } = this.spec;
    const name = this.dataSectionName;
    if (name === undefined || initialValue === undefined) return undefined;
    if (this.#data === undefined) {
      this.#data = new DataSection(name, initialValue, this.btf, (arena?.typeId ?? valueTypeId) || undefined);
      if (this.#memory?.closed === false) this.#bind(this.#data, this.#memory);
      if (this.#unmapped) this.#data.memory.bindValue(this.#wholeValue());
      if (this.spec.dataKind === "kconfig") this.#data.memory.withhold();
      if (this.#frozen) this.#data.memory.freeze();
      if (this.sealed === "closed") this.#data.memory.close();
    }
    return this.#data;
  }

  /** @internal Variables that somebody may still hold are those of the old image. */
  override imageChanged(): void {
    this.#data?.memory.close();
    this.#data = undefined;
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
  override setCreated(fd: FileDescriptor): void {
    this.#scratch = undefined;
    super.setCreated(fd);
  }

  /** @internal Takes over the memory that a data section shares with the kernel from now on. */
  setMemory(memory: MappedRegion, offset = 0): void {
    this.#memory = memory;
    this.#dataOffset = offset;
    if (this.#data !== undefined) this.#bind(this.#data, memory);
  }

  #bind(data: DataSection, { bytes }: MappedRegion): void {
    const size = this.spec.initialValue?.length ?? 0;
    data.memory.bind(bytes.subarray(this.#dataOffset, this.#dataOffset + size));
  }

  /** @internal The kernel cannot map the data section (before Linux 5.5): variables are read and written through the map. */
  setUnmapped(): void {
    this.#unmapped = true;
    this.#data?.memory.bindValue(this.#wholeValue());
  }

  #wholeValue(): SectionValue {
    const key = new Uint8Array(4);
    return {
      read: (value) => void mapLookup({ map: this.descriptor, key, value }),
      write: (value) => mapUpdate({ map: this.descriptor, key, value }),
    };
  }

  /** @internal The kernel froze the data section. */
  setFrozen(): void {
    this.#frozen = true;
    this.#data?.memory.freeze();
  }

  /**
   * Closes the descriptor and forgets mapped memory; pins, and programs that use the map, keep it alive. Maps of an object
   * are closed with it. Idempotent.
   */
  override close(): void {
    this.#data?.memory.close();
    this.#memory?.close();
    this.#scratch = undefined;
    super.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #keyed(use: string): Elements<K, V> {
    const { rule } = this;
    if (rule.keyless === true) {
      const reason = `maps of type ${this.type} have no keys to ${use} by`;
      throw new UnsupportedError(reason, { ...this.where, hint: "use push(), pop() and peek()" });
    }
    if (rule.unreadable === true) {
      throw new UnsupportedError(`maps of type ${this.type} have no elements`, {
        ...this.where,
        hint: rule.ring === true ? "read it with a RingBuffer" : undefined,
      });
    }
    this.#ready = this.#typed();
    return this.#ready;
  }

  #keyless(use: string): Elements<K, V> {
    if (this.rule.keyless !== true) {
      throw new UnsupportedError(`maps of type ${this.type} have keys: ${use}() is for queues and stacks`, this.where);
    }
    return this.#typed();
  }

  #typed(): Elements<K, V> {
    this.#elements ??= withLocation(this.where, () => this.#makeElements());
    return this.#elements;
  }

  #makeElements(): Elements<K, V> {
    const { keySize, keyTypeId, valueSize, valueTypeId } = this.spec;
    // Sizes and types may be edited until load; only then do they mean something.
    void this.descriptor;
    const key = keySize === 0 ? bytesCodec(0, "key") : typedCodec(this.btf, keyTypeId, keySize, "key");
    return new Elements(this, key, this.#valueCodec(valueSize, valueTypeId));
  }

  #valueCodec(size: number, typeId: number): BtfCodec {
    const { holds, perCpu } = this.rule;
    if (holds !== undefined) return descriptorCodec;
    const one = typedCodec(this.btf, typeId, size, "value");
    return perCpu === true ? perCpuCodec(one, possibleCpuCount()) : one;
  }
}

function openLive<K extends BtfValue, V extends BtfValue>(
  fd: FileDescriptor,
  file: string,
  options: OpenMapOptions,
): BpfMap<K, V> {
  try {
    const { spec, btf } = describeMap(fd, options);
    const map = new BpfMap<K, V>(spec, { btf }, file);
    map.setCreated(fd);
    map.seal();
    return map;
  } catch (error) {
    fd.close();
    throw addLocation(error, { file });
  }
}
