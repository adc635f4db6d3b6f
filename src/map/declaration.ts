// What a map is declared to be: editable until load, readable afterwards. The map itself, and what the inner maps of a map
// of maps have to look like, are declared in the same way.

import type { Btf } from "../btf/index.js";
import { ArgumentError, StateError, withLocation } from "../errors.js";
import {
  checkU32,
  type MapSpec,
  MapType,
  type MapTypeName,
  type MapTypeRule,
  mapTypeName,
  mapTypeRule,
  numberOf,
  resizeDataMap,
} from "../object/index.js";

/** Why nothing may be edited any more. */
type Sealed = "loaded" | "reused" | "closed";

const sealedReasons: Readonly<Record<Sealed, (field: string) => string>> = {
  loaded: (field) => `${field} cannot be changed after load() or prepare()`,
  reused: (field) => `${field} cannot be changed: the map stands for an existing one`,
  closed: () => "the map was used after close()",
};

/** Where the types of a map are found; resizing a data section replaces them. */
export interface Types {
  btf: Btf | undefined;
}

/** The declaration of a map. Users meet it as {@link BpfMap}, which adds the elements, and as `map.inner`. */
export class MapDeclaration {
  readonly #spec: MapSpec;
  readonly #file: string | undefined;
  readonly #types: Types;
  #sealed: Sealed | undefined;
  #inner: MapDeclaration | undefined;

  /** @internal */
  constructor(spec: MapSpec, types: Types, file: string | undefined) {
    this.#spec = spec;
    this.#types = types;
    this.#file = file;
    this.#inner = spec.inner && new MapDeclaration(spec.inner, types, file);
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

  /** The object's type information; undefined when it has none. */
  get btf(): Btf | undefined {
    return this.#types.btf;
  }

  /** Map type by libbpf's name, or its number where this version has no name. libbpf: `bpf_map__type`, `…set_type`. */
  get type(): MapTypeName | number {
    return mapTypeName(this.#spec.type) ?? this.#spec.type;
  }
  set type(type: MapTypeName | number) {
    this.edit("type");
    this.#spec.type = numberOf(type, MapType, "map type");
  }

  /** Bytes of a key. libbpf: `bpf_map__key_size`, `bpf_map__set_key_size`. */
  get keySize(): number {
    return this.#spec.keySize;
  }
  set keySize(size: number) {
    this.edit("keySize");
    this.#spec.keySize = checkU32(size, "keySize");
  }

  /**
   * Bytes of a value (of one CPU). In a data section the last variable becomes longer or shorter with it, if it is an
   * array; take its variables from the object anew after that. libbpf: `bpf_map__value_size`, `bpf_map__set_value_size`.
   */
  get valueSize(): number {
    return this.#spec.valueSize;
  }
  set valueSize(size: number) {
    this.edit("valueSize");
    if (this.#spec.dataKind === undefined) {
      this.#spec.valueSize = checkU32(size, "valueSize");
      return;
    }
    withLocation(this.where, () => resizeDataMap(this.#spec, this.#types, size));
    this.imageChanged();
  }

  /**
   * How many elements fit; for ring buffers bytes, rounded up to a power of two pages at load (this then shows the true
   * size). libbpf: `bpf_map__max_entries`, `bpf_map__set_max_entries`.
   */
  get maxEntries(): number {
    return this.#spec.maxEntries;
  }
  set maxEntries(count: number) {
    this.edit("maxEntries");
    this.#spec.maxEntries = checkU32(count, "maxEntries");
  }

  /** BPF_F_* creation flags. libbpf: `bpf_map__map_flags`, `bpf_map__set_map_flags`. */
  get flags(): number {
    return this.#spec.flags;
  }
  set flags(flags: number) {
    this.edit("flags");
    this.#spec.flags = checkU32(flags, "flags");
  }

  /** Extra 64 bits of some types (bloom filter: hash functions). libbpf: `bpf_map__map_extra`, `…set_map_extra`. */
  get mapExtra(): bigint {
    return this.#spec.mapExtra;
  }
  set mapExtra(extra: bigint) {
    this.edit("mapExtra");
    if (typeof extra !== "bigint" || extra < 0n || extra >= 1n << 64n) {
      throw new ArgumentError(`mapExtra must be a bigint of 64 bits, not ${String(extra)}`, this.where);
    }
    this.#spec.mapExtra = extra;
  }

  /** NUMA node, effective with BPF_F_NUMA_NODE in `flags`. libbpf: `bpf_map__numa_node`, `bpf_map__set_numa_node`. */
  get numaNode(): number {
    return this.#spec.numaNode;
  }
  set numaNode(node: number) {
    this.edit("numaNode");
    this.#spec.numaNode = checkU32(node, "numaNode");
  }

  /**
   * Network device (its index) that keeps the map, for programs that are offloaded to it; 0 for none. Settable until
   * load. Linux 4.16; libbpf: `bpf_map__ifindex`, `bpf_map__set_ifindex`.
   */
  get ifindex(): number {
    return this.#spec.ifindex ?? 0;
  }
  set ifindex(ifindex: number) {
    this.edit("ifindex");
    this.#spec.ifindex = checkU32(ifindex, "ifindex");
  }

  /** Type of a key in {@link btf}; 0 where none is declared. libbpf: `bpf_map__btf_key_type_id`. */
  get keyTypeId(): number {
    return this.#spec.keyTypeId;
  }

  /** Type of a value in {@link btf}; for data sections the DATASEC, 0 where none is declared. libbpf: `bpf_map__btf_value_type_id`. */
  get valueTypeId(): number {
    return this.#spec.valueTypeId;
  }

  /**
   * What the inner maps of a map of maps are like; undefined for other maps, where the object does not say (then
   * `setInnerMap` has to), and once `setInnerMap` was called. libbpf: `bpf_map__inner_map`.
   */
  get inner(): MapDeclaration | undefined {
    return this.#inner;
  }

  /** @internal Peculiarities of the type. */
  get rule(): MapTypeRule {
    return mapTypeRule(this.type);
  }

  /** @internal */
  get sealed(): Sealed | undefined {
    return this.#sealed;
  }

  /** @internal Ends editing. Only closing comes after that. */
  seal(reason: Sealed = "loaded"): void {
    if (reason === "closed" || this.#sealed === undefined) this.#sealed = reason;
    this.#inner?.seal(reason);
  }

  /** @internal The initial value is another array. */
  imageChanged(): void {}

  /** @internal The inner maps are like another map, not like the definition. */
  forgetInner(): void {
    this.#inner = undefined;
  }

  /** @internal Refuses to go on where `field` cannot be changed any more. */
  edit(field: string): void {
    if (this.#sealed !== undefined) throw new StateError(sealedReasons[this.#sealed](field), this.where);
  }

  /** @internal */
  get where(): { file: string | undefined; map: string } {
    return { file: this.#file, map: this.name };
  }
}
