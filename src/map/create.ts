// A map that no object declares: its declaration from options, and the map in the kernel.

import { Btf, BtfBuilder, BtfSubset, compileCodec, findByCName, hostIsLittleEndian } from "../btf/index.js";
import { ArgumentError, BtfError, UnsupportedError, withLocation } from "../errors.js";
import { kernelName, openToken, tokenPathOf, withMemlock } from "../kernel/index.js";
import { log } from "../log.js";
import { nearNames } from "../near-names.js";
import {
  checkU32,
  MapFlag,
  type MapSpec,
  MapType,
  type MapTypeName,
  type MapTypeRule,
  mapTypeName,
  mapTypeRule,
  numberOf,
} from "../object/index.js";
import {
  btfLoad,
  errnoName,
  type FdLike,
  type FileDescriptor,
  type MapCreateOptions,
  mapCreate,
} from "../syscall/index.js";
import { settleSize } from "./size.js";
import { createWithTypes, type MapTypes } from "./with-types.js";

/** What a key or a value is: a C type, or so many bytes without a type. */
export type ElementType = string | number;

/** Options of `BpfMap.create`. libbpf: `struct bpf_map_create_opts` and the arguments beside it. */
export interface CreateMapOptions {
  type: MapTypeName | number;
  /**
   * The C type of keys, `"u32"`, `"s64"` or one of {@link btf} such as `"struct flow"`; or their size in bytes. By default
   * that of the map's type where there is but one: u32 for arrays, descriptors for storages, none for queues and rings.
   */
  key?: ElementType | undefined;
  /** The same of values; by default u32 where values are maps, programs, sockets and the like. */
  value?: ElementType | undefined;
  /** Bytes of a value whose type ends in a flexible array, when there is room for elements. */
  valueSize?: number | undefined;
  /** Number of elements; bytes of a ring, which are rounded up. Needed but for storages and `perf_event_array`. */
  maxEntries?: number | undefined;
  /** What tools show, the first 15 characters. */
  name?: string | undefined;
  /** BPF_F_*. BPF_F_NO_PREALLOC is added where the kernel asks for it. */
  flags?: number | undefined;
  /** Number of hash functions of a bloom filter. */
  mapExtra?: bigint | undefined;
  /** With BPF_F_NUMA_NODE in `flags`. */
  numaNode?: number | undefined;
  /** Where types are looked up by name: an object's (`obj.btf`). */
  btf?: Btf | undefined;
  /** For maps of maps: a map like those that are to be put in; a map or its descriptor. */
  inner?: number | { readonly fd: number } | undefined;
  /** What 64-bit integers are, `"bigint"` unless told otherwise; `map.int64` afterwards. */
  int64?: "bigint" | "number" | undefined;
  /** Where a BPF token comes from, as of `BpfObject.open`. Linux 6.9; libbpf: `token_fd`. */
  tokenPath?: string | undefined;
}

/** A map that was made. */
export interface CreatedMap {
  readonly spec: MapSpec;
  readonly btf: Btf | undefined;
  readonly fd: FileDescriptor;
}

const known: Readonly<Record<keyof CreateMapOptions, true>> = {
  type: true,
  key: true,
  value: true,
  valueSize: true,
  maxEntries: true,
  name: true,
  flags: true,
  mapExtra: true,
  numaNode: true,
  btf: true,
  inner: true,
  int64: true,
  tokenPath: true,
};

/** Types that need no BTF: `u8` to `u64` and `s8` to `s64`, with the bytes that they have. */
const scalars: ReadonlyMap<string, number> = new Map(
  ["u", "s"].flatMap((sign) => [1, 2, 4, 8].map((size): [string, number] => [`${sign}${size * 8}`, size])),
);

/** Creates a map. @throws ArgumentError, BtfError for a type that is not there, UnsupportedError, SystemCallError */
export function createMap(options: CreateMapOptions): CreatedMap {
  for (const option of Object.keys(options)) {
    if (Object.hasOwn(known, option)) continue;
    throw new ArgumentError(`BpfMap.create() has no option ${option}${nearNames(option, Object.keys(known))}`);
  }
  const type = numberOf(options.type, MapType, "map type");
  const name = options.name ?? "";
  if (typeof name !== "string") throw new ArgumentError("the option name must be a string");
  return withLocation({ map: name === "" ? undefined : name }, () => {
    if (type === MapType.arena || type === MapType.struct_ops) {
      const hint = "declare it in an object";
      throw new UnsupportedError(`a map of type ${mapTypeName(type)} is nothing without a program`, { hint });
    }
    const rule = mapTypeRule(mapTypeName(type) ?? type);
    const types = new ElementTypes(options.btf);
    const key = types.of(options.key ?? defaultKey(rule), "key", mapTypeName(type) ?? String(type));
    const value = types.of(options.value ?? defaultValue(rule), "value", mapTypeName(type) ?? String(type));
    const spec: MapSpec = {
      name,
      sectionName: "",
      dataKind: undefined,
      type,
      keySize: key.size,
      valueSize: checkU32(options.valueSize ?? value.size, "valueSize"),
      maxEntries: checkU32(options.maxEntries ?? 0, "maxEntries"),
      flags: (checkU32(options.flags ?? 0, "flags") | (rule.noPrealloc === true ? MapFlag.NO_PREALLOC : 0)) >>> 0,
      mapExtra: options.mapExtra ?? 0n,
      numaNode: checkU32(options.numaNode ?? 0, "numaNode"),
      pinning: 0,
      keyTypeId: key.typeId,
      valueTypeId: value.typeId,
      inner: undefined,
      slots: [],
      initialValue: undefined,
      autocreate: true,
    };
    settleSize(spec);
    const btf = types.build();
    using token = openToken(tokenPathOf(options.tokenPath));
    return { spec, btf, fd: createTyped(spec, rule, { btf, token, inner: options.inner as FdLike | undefined }) };
  });
}

function defaultKey(rule: MapTypeRule): ElementType | undefined {
  if (rule.keyless !== undefined || rule.ring === true) return 0;
  return rule.keyIsFd === true ? "s32" : rule.indexed === true ? "u32" : undefined;
}

function defaultValue(rule: MapTypeRule): ElementType | undefined {
  if (rule.ring === true) return 0;
  return rule.holds !== undefined || rule.valueIsFd === true ? "u32" : undefined;
}

/** The types of one map, copied out of the object's: the map needs no others. */
class ElementTypes {
  readonly #source: Btf | undefined;
  readonly #builder = new BtfBuilder({ littleEndian: hostIsLittleEndian });
  readonly #subset: BtfSubset | undefined;

  constructor(source: Btf | undefined) {
    this.#source = source;
    if (source === undefined) return;
    if (!(source instanceof Btf)) throw new ArgumentError("the option btf must be type information, such as obj.btf");
    if (source.littleEndian !== hostIsLittleEndian) {
      throw new ArgumentError("the types of btf are those of a machine with the other byte order");
    }
    this.#subset = new BtfSubset(source, this.#builder);
  }

  of(type: ElementType | undefined, what: string, mapType: string): { typeId: number; size: number } {
    if (type === undefined) throw new ArgumentError(`a map of type ${mapType} needs a ${what}: a C type, or its size`);
    if (typeof type === "number") return { typeId: 0, size: checkU32(type, `the size of a ${what}`) };
    if (typeof type !== "string") throw new ArgumentError(`the ${what} must be the name of a C type, or a size`);
    const found = this.#source === undefined ? undefined : findByCName(this.#source, type);
    if (this.#source !== undefined && this.#subset !== undefined && found !== undefined) {
      const { size } = compileCodec(this.#source, found, { codegen: false });
      return { typeId: this.#subset.copy(found), size };
    }
    const size = scalars.get(type.replace(/^__(?=[us])/, ""));
    if (size === undefined) {
      const hint =
        this.#source === undefined ? "types other than u8 to s64 are looked up in the option btf" : undefined;
      throw new BtfError("BTF_TYPE_NOT_FOUND", `there is no type ${type}`, { hint });
    }
    return { typeId: this.#builder.addInt(type, size, { signed: /^_*s/.test(type) }), size };
  }

  /** Undefined when both are bytes. */
  build(): Btf | undefined {
    return this.#builder.nextId === 1 ? undefined : Btf.parse(this.#builder.build());
  }
}

/** With its types where the kernel takes them (other processes can decode the map then), else without. */
function createTyped(
  spec: MapSpec,
  rule: MapTypeRule,
  { btf, token, inner }: { btf: Btf | undefined; token: FdLike | undefined; inner: FdLike | undefined },
): FileDescriptor {
  const { type, keySize, valueSize, maxEntries, flags, mapExtra, numaNode, keyTypeId, valueTypeId } = spec;
  const options: MapCreateOptions = {
    type,
    keySize,
    valueSize,
    maxEntries,
    flags,
    mapExtra,
    numaNode: numaNode === 0 ? undefined : numaNode,
    name: spec.name === "" ? undefined : kernelName(spec.name),
    token,
    innerMap: typeof inner === "object" && "fd" in inner ? (inner.fd as number) : inner,
  };
  const create = (types?: MapTypes): FileDescriptor => withMemlock(() => mapCreate({ ...options, ...types }));
  if (btf === undefined || rule.noBtf === true || valueTypeId === 0 || (keySize > 0 && keyTypeId === 0))
    return create();
  const { fd, errno } = withMemlock(() => btfLoad({ bytes: btf.bytes, token }));
  if (fd === undefined) {
    log.info(`map ${spec.name}: the kernel refused its type information (${errnoName(errno)}); created without`);
    return create();
  }
  using types = fd;
  return createWithTypes(create, { btf: types, btfKeyTypeId: keyTypeId, btfValueTypeId: valueTypeId }, spec.name);
}
