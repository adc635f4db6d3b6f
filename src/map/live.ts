// A map that is in the kernel already, made by anybody: its declaration from what the kernel tells of it.

import { readFileSync } from "node:fs";
import { Btf } from "../btf/index.js";
import { BpfkitError } from "../errors.js";
import { log } from "../log.js";
import { type MapSpec, type MapTypeName, mapTypeName } from "../object/index.js";
import { btfInfo, type FdLike, fdNumber, type MapInfo, mapInfo, openById } from "../syscall/index.js";

/** Options of `BpfMap.openPinned` and `BpfMap.openById`. */
export interface OpenMapOptions {
  /**
   * Types of keys and values: that of the object which the map was made from. By default the kernel is asked for what
   * the map was created with, which needs CAP_SYS_ADMIN; without, keys and values are `Uint8Array`s.
   */
  btf?: Btf | undefined;
  /** What 64-bit integers are, `"bigint"` unless told otherwise; `map.int64` afterwards. */
  int64?: "bigint" | "number" | undefined;
  /** BPF_F_RDONLY (8) or BPF_F_WRONLY (16): what may be done through this descriptor. */
  flags?: number | undefined;
}

/** What the kernel tells of a map. */
export interface MapDetails extends Omit<MapInfo, "type"> {
  /** By libbpf's name, or its number where this version has no name. */
  readonly type: MapTypeName | number;
  /** Nobody may write it from user space any more (Linux 5.2). Undefined where the kernel does not tell. */
  readonly frozen: boolean | undefined;
  /** Bytes of kernel memory that it takes, about. Undefined where the kernel does not tell. */
  readonly memoryBytes: number | undefined;
}

/** @throws SystemCallError */
export function mapDetails(map: FdLike): MapDetails {
  const info = mapInfo(map);
  const lines = fdInfo(fdNumber(map));
  const frozen = lines.get("frozen");
  const memory = lines.get("memlock");
  return {
    ...info,
    type: mapTypeName(info.type) ?? info.type,
    frozen: frozen === undefined ? undefined : frozen === "1",
    memoryBytes: memory === undefined ? undefined : Number(memory),
  };
}

/** The lines of /proc/self/fdinfo, which has a few things that BPF_OBJ_GET_INFO_BY_FD has not. */
function fdInfo(fd: number): ReadonlyMap<string, string> {
  try {
    const lines = readFileSync(`/proc/self/fdinfo/${fd}`, "latin1").split("\n");
    return new Map(
      lines.map((line): [string, string] => [line.split(":")[0]!, line.slice(line.indexOf(":") + 1).trim()]),
    );
  } catch {
    return new Map();
  }
}

/** What the kernel tells about a map, as a declaration. */
export interface LiveMap {
  readonly spec: MapSpec;
  readonly btf: Btf | undefined;
}

/** @throws SystemCallError, ArgumentError when the descriptor is that of something else */
export function describeMap(map: FdLike, { btf }: OpenMapOptions): LiveMap {
  const info = mapInfo(map);
  const types = btf ?? (info.btfId === 0 ? undefined : readMapBtf(info));
  const { name, btfKeyTypeId, btfValueTypeId } = info;
  const spec: MapSpec = {
    name,
    sectionName: "",
    dataKind: undefined,
    type: info.type,
    keySize: info.keySize,
    valueSize: info.valueSize,
    maxEntries: info.maxEntries,
    flags: info.flags,
    mapExtra: info.mapExtra,
    // The kernel does not tell these two.
    numaNode: 0,
    pinning: 0,
    keyTypeId: types === undefined ? 0 : elementType(types, btfKeyTypeId),
    valueTypeId: types === undefined ? 0 : elementType(types, btfValueTypeId),
    inner: undefined,
    slots: [],
    initialValue: undefined,
    autocreate: true,
  };
  return { spec, btf: types };
}

/** Takes over what an existing map is like. */
export function adoptShape(spec: MapSpec, map: FdLike): void {
  const { type, keySize, valueSize, maxEntries, flags, mapExtra } = mapInfo(map);
  Object.assign(spec, { type, keySize, valueSize, maxEntries, flags, mapExtra });
}

/** The value of a data section has a DATASEC, which is no type of a value; another blob may have no such id at all. */
function elementType(btf: Btf, id: number): number {
  return id < btf.typeCount && btf.type(id).kind !== "datasec" ? id : 0;
}

/** A map can be used without its types, so a kernel that does not show them is no failure. */
function readMapBtf({ name, btfId }: MapInfo): Btf | undefined {
  try {
    using fd = openById("btf", btfId);
    const { bytes } = btfInfo(fd, { bytes: true });
    return bytes === undefined ? undefined : Btf.parse(bytes);
  } catch (error) {
    if (!BpfkitError.isBpfkitError(error)) throw error;
    log.info(`map ${name}: keys and values will be bytes, the types cannot be read: ${error.message}`);
    return undefined;
  }
}
