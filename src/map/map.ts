// A map with everything a user does to it: declaration, descriptor, pin and memory of the classes below, and the elements
// with the protocol of JavaScript's Map, decoded by BTF.

import type { BtfValue, Live, ValueInput } from "../btf/index.js";
import { ArgumentError, addLocation, UnsupportedError, withLocation } from "../errors.js";
import {
  type FileDescriptor,
  MapScratch,
  mapCreate,
  mapFreeze,
  objectGet,
  openById,
  possibleCpuCount,
} from "../syscall/index.js";
import { type CpuInput, type CpuValue, MapAccess, unlessOld } from "./access.js";
import { checkIterable, clear, count, deleteMany, isEmptySlot, setAll } from "./bulk.js";
import { type CreateMapOptions, createMap } from "./create.js";
import { type DumpOptions, dumpMap } from "./dump.js";
import {
  BPF_F_ALL_CPUS,
  cpuFlags,
  type Elements,
  flagsWord,
  type GetOptions,
  NO_KEY,
  type SetOptions,
} from "./elements.js";
import { describeMap, type LiveMap, type MapDetails, mapDetails, type OpenMapOptions } from "./live.js";
import { MappedMap } from "./mapped-map.js";
import { RawMap } from "./raw.js";
import { walk } from "./walk.js";

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
  >
  extends MappedMap
  implements Iterable<[K, V]>, Disposable
{
  #scratch: MapScratch | undefined;
  readonly #access = new MapAccess<K, V>(this);
  /** Its elements, once it is known that elements of this type are reached by key: the way of every later call. */
  #ready: Elements<K, V> | undefined;
  #raw: RawMap | undefined;

  /**
   * A new map that no object declares; close it, or use `using`. It can be pinned, put into a map of maps, and taken by an
   * object: `obj.map("NAME").reuse(map)`. libbpf: `bpf_map_create`.
   *
   * ```ts
   * BpfMap.create<number, bigint>({ type: "hash", key: "u32", value: "u64", maxEntries: 1024 });
   * ```
   *
   * @throws ArgumentError for wrong options, BtfError for a type that is not there, UnsupportedError, SystemCallError
   */
  static create<K extends BtfValue = BtfValue, V extends BtfValue = BtfValue, VI = ValueInput<V>>(
    options: CreateMapOptions,
  ): BpfMap<K, V, VI> {
    const { fd, ...described } = createMap(options);
    return openLive(fd, undefined, options, described);
  }

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
  get(key: KI, options?: GetOptions): V | undefined {
    return (this.#ready ?? this.#keyed("get")).get(key as never, options && flagsWord(options));
  }

  /** True when there is a value for `key`; for a bloom filter, when `key` may have been added. */
  has(key: KI): boolean {
    if (this.#ready !== undefined) return this.#ready.has(key as never);
    if (this.rule.keyless === "filter") return this.#access.elements().mayHold(key as never);
    return this.#keyed("has").has(key as never);
  }

  /**
   * Inserts or replaces. libbpf: `bpf_map__update_elem`.
   *
   * @throws SystemCallError E2BIG when the map is full, EEXIST or ENOENT as `flags` demand
   */
  set(key: KI, value: VI, options?: SetOptions): this {
    (this.#ready ?? this.#keyed("set")).set(key as never, value as never, options && flagsWord(options));
    return this;
  }

  /** Removes; true when there was such a key. Array elements cannot be removed. libbpf: `bpf_map__delete_elem`. */
  delete(key: KI): boolean {
    try {
      return (this.#ready ?? this.#keyed("delete")).delete(key as never);
    } catch (error) {
      if (isEmptySlot(error, this.rule)) return false;
      throw error;
    }
  }

  /**
   * Removes and returns the value of `key`, in one step; undefined when there is none. Hash maps, Linux 5.14.
   * libbpf: `bpf_map__lookup_and_delete_elem`.
   */
  lookupAndDelete(key: KI, options?: GetOptions): V | undefined {
    return (this.#ready ?? this.#keyed("lookupAndDelete")).take(key as never, options && flagsWord(options));
  }

  /** Adds to a queue or stack, or to a bloom filter. BPF_MAP_UPDATE_ELEM without key, Linux 4.20. */
  push(value: VI): this {
    this.#access.keyless("push").set(NO_KEY, value as never);
    return this;
  }

  /** Takes from a queue or stack; undefined when it is empty. Linux 4.20. */
  pop(): V | undefined {
    return this.#access.keyless("pop").take(NO_KEY);
  }

  /** Looks at what pop() would take. Linux 4.20. */
  peek(): V | undefined {
    return this.#access.keyless("peek").get(NO_KEY);
  }

  /**
   * All elements. Other processes and programs may change the map meanwhile: an element that stays is seen once or (in
   * a hash that is being resized by deletions, before Linux 5.6) perhaps not at all, and the iteration always ends.
   */
  *entries(): Generator<[K, V], void, undefined> {
    const { key, value } = this.#access.listed();
    yield* walk(this, this.rule, (keys, keyAt, values, valueAt): [K, V] => [
      key.decode(keys, keyAt) as K,
      value.decode(values, valueAt) as V,
    ]);
  }

  /** All keys; see {@link entries}. */
  *keys(): Generator<K, void, undefined> {
    const { key } = this.#access.listed();
    yield* walk(this, this.rule, (keys, at) => key.decode(keys, at) as K);
  }

  /** All values; see {@link entries}. */
  *values(): Generator<V, void, undefined> {
    const { value } = this.#access.listed();
    yield* walk(this, this.rule, (_keys, _at, values, at) => value.decode(values, at) as V);
  }

  [Symbol.iterator](): Generator<[K, V], void, undefined> {
    return this.entries();
  }

  /** Calls `visit` for all elements; see {@link entries}. */
  forEach(visit: (value: V, key: K, map: this) => void, thisArg?: unknown): void {
    if (typeof visit !== "function") throw new ArgumentError("forEach() wants a function", this.where);
    for (const [key, value] of this.entries()) visit.call(thisArg, value, key, this);
  }

  /** The number of elements where it is always the same, in arrays; undefined elsewhere: the kernel tells it nobody. */
  get size(): number | undefined {
    return this.rule.fixed === true ? this.maxEntries : undefined;
  }

  /** Counts the elements, by asking the kernel for all keys: a system call for some hundred or, at worst, for each. */
  count(): number {
    this.#access.listed();
    return withLocation(this.where, () => count(this, this.rule));
  }

  /**
   * Removes all elements; those of an array become zero, which is all that can be done with them. What others add
   * meanwhile may stay.
   */
  clear(): void {
    if (this.rule.keyless === undefined) this.#access.listed();
    clear(this, this.rule);
  }

  /**
   * Sets many elements, thousands with one system call where the kernel can (Linux 5.6; not with flags other than `lock`).
   *
   * @throws SystemCallError that names the entry; those before it are set. ValueError; then lots of entries before are set
   */
  setAll(entries: Iterable<readonly [KI, VI]>, options: SetOptions = {}): this {
    setAll(this, this.rule, this.#keyed("setAll"), entries as Iterable<never>, flagsWord(options));
    return this;
  }

  /** The values of many keys, in their order, undefined for those that are not there. One system call each. */
  getMany(keys: Iterable<KI>, options?: GetOptions): (V | undefined)[] {
    const elements = this.#keyed("getMany");
    const flags = options && flagsWord(options);
    return Array.from(checkIterable(keys, "keys", this.where), (key) => elements.get(key as never, flags));
  }

  /** Removes many keys, thousands with one system call where the kernel can (Linux 5.6). Returns how many were there. */
  deleteMany(keys: Iterable<KI>): number {
    return deleteMany(this, this.rule, this.#keyed("deleteMany"), keys as Iterable<never>);
  }

  /** One CPU's value of a per-CPU map. Before Linux 7.0 all CPUs' values are read for it. */
  getCpu(key: KI, cpu: number): CpuValue<V> | undefined {
    const flags = cpuFlags(this.#checkCpu(cpu));
    return unlessOld(
      () => this.#access.ofOneCpu().get(key as never, flags),
      () => (this.get(key) as readonly CpuValue<V>[] | undefined)?.[cpu],
    );
  }

  /** Sets one CPU's value of a per-CPU map. Linux 7.0: before, it could only be done with the others' values. */
  setCpu(key: KI, cpu: number, value: CpuInput<VI>, options: SetOptions = {}): this {
    const flags = cpuFlags(this.#checkCpu(cpu)) | flagsWord(options);
    unlessOld(
      () => this.#access.ofOneCpu().set(key as never, value as never, flags),
      () => {
        throw new UnsupportedError("this kernel cannot set the value of one CPU", {
          ...this.where,
          hint: "Linux 7.0 can; before, set() takes the values of all CPUs, which may change meanwhile",
        });
      },
    );
    return this;
  }

  /** Sets the values of all CPUs in a per-CPU map to the same one. */
  setAllCpus(key: KI, value: CpuInput<VI>, options: SetOptions = {}): this {
    const flags = BPF_F_ALL_CPUS | flagsWord(options);
    unlessOld(
      () => this.#access.ofOneCpu().set(key as never, value as never, flags),
      () => void this.set(key, new Array(possibleCpuCount()).fill(value) as never, options),
    );
    return this;
  }

  /**
   * The inner map that stands under `key` in a map of maps, with its types; close it, or use `using`. Undefined when there
   * is none. Needs CAP_SYS_ADMIN.
   */
  openInner<IK extends BtfValue = BtfValue, IV extends BtfValue = BtfValue>(key: KI): BpfMap<IK, IV> | undefined {
    if (this.rule.holds !== "map") throw new UnsupportedError(`maps of type ${this.type} hold no maps`, this.where);
    const id = this.get(key) as number | undefined;
    return id === undefined
      ? undefined
      : withLocation(this.where, () => BpfMap.openById<IK, IV>(id, { int64: this.int64 }));
  }

  /**
   * A new map like {@link inner} says, to be put into this map of maps; close it, or use `using`, when it is in. Its types
   * are known here, not to the kernel.
   *
   * @throws UnsupportedError when nothing says what inner maps are like, SystemCallError
   */
  createInner<IK extends BtfValue = BtfValue, IV extends BtfValue = BtfValue>(): BpfMap<IK, IV> {
    const { inner, where } = this;
    if (inner === undefined) throw new UnsupportedError("no definition says what the inner maps are like", where);
    const spec = { ...inner.spec };
    const { type, keySize, valueSize, maxEntries, flags, mapExtra } = spec;
    const fd = withLocation(where, () => mapCreate({ type, keySize, valueSize, maxEntries, flags, mapExtra }));
    const map = new BpfMap<IK, IV>(spec, { btf: this.btf }, where.file);
    map.int64 = this.int64;
    map.setCreated(fd);
    map.seal();
    return map;
  }

  /**
   * The elements of an array with BPF_F_MMAPABLE as a live view: `map.live[3]` reads memory, as global variables do, and
   * setting an element, or a member of one, writes it. For `snapshot`, `atomic` and `typedArray` too. Throws after close.
   * Linux 5.5.
   *
   * @throws as {@link memory}
   */
  get live(): Live<V>[] {
    return this.liveElements() as never;
  }

  /** The same elements as bytes, without decoding. */
  get raw(): RawMap {
    this.#raw ??= new RawMap(this, this.rule);
    return this.#raw;
  }

  /**
   * All elements as text: as JSON, `[{ "key": …, "value": … }]` with all digits of every integer and the names of
   * enumerators, as bpftool prints it, data sections with their variables; or as C would initialise them. What no type
   * describes is printed as bytes.
   */
  dump(options: DumpOptions = {}): string {
    this.#access.listed();
    return withLocation(this.where, () => dumpMap(this, options));
  }

  /** What the kernel tells of the map. Linux 4.13; libbpf: `bpf_map_get_info_by_fd`. */
  info(): MapDetails {
    return withLocation(this.where, () => mapDetails(this.descriptor));
  }

  /** Makes the map read-only for user space, for good. Linux 5.2; libbpf: `bpf_map_freeze`. */
  freeze(): void {
    withLocation(this.where, () => mapFreeze(this.descriptor));
  }

  override get int64(): "bigint" | "number" {
    return super.int64;
  }
  override set int64(int64: "bigint" | "number") {
    if (int64 !== "bigint" && int64 !== "number") {
      throw new ArgumentError(`int64 is "bigint" or "number", not ${String(int64)}`, this.where);
    }
    super.int64 = int64;
    this.#access.reset();
    this.#ready = undefined;
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

  /**
   * Closes the descriptor and forgets mapped memory; pins, and programs that use the map, keep it alive. Maps of an object
   * are closed with it. Idempotent.
   */
  override close(): void {
    this.#scratch = undefined;
    super.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #keyed(use: string): Elements<K, V> {
    this.#ready = this.#access.keyed(use);
    return this.#ready;
  }

  #checkCpu(cpu: number): number {
    if (Number.isInteger(cpu) && cpu >= 0 && cpu < possibleCpuCount()) return cpu;
    throw new ArgumentError(`there are CPUs 0 to ${possibleCpuCount() - 1}, not ${cpu}`, this.where);
  }
}

function openLive<K extends BtfValue, V extends BtfValue, VI>(
  fd: FileDescriptor,
  file: string | undefined,
  options: OpenMapOptions,
  described?: LiveMap,
): BpfMap<K, V, VI> {
  try {
    const { spec, btf } = described ?? describeMap(fd, options);
    const map = new BpfMap<K, V, VI>(spec, { btf }, file);
    map.int64 = options.int64 ?? "bigint";
    map.setCreated(fd);
    map.seal();
    return map;
  } catch (error) {
    fd.close();
    throw addLocation(error, { file });
  }
}
