// bpf() commands on maps and single elements. Every buffer is checked against the sizes that the kernel reports for the
// map: the kernel copies whole keys and values whatever the length of the array behind the pointer. The fast path for
// repeated element access is MapScratch.

import { ArgumentError } from "../errors.js";
import { mapCreateLayout, mapElementLayout } from "./attr-layout.js";
import { attrOf, bpf, type LogOptions, tokenFlag, tryBpf, tryBpfWithLog } from "./bpf-call.js";
import type { Capability } from "./capabilities.js";
import { Errno } from "./errno.js";
import { check } from "./failure.js";
import { type FdLike, FileDescriptor } from "./fd.js";
import { mapShape, rememberShape } from "./map-shape.js";
import { textOf } from "./memory.js";

/** What to create; sizes in bytes. */
export interface MapCreateOptions {
  /** BPF_MAP_TYPE_*. */
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  /** At most 15 bytes are kept; letters, digits, `_` and `.`. Omit it before Linux 4.15. */
  name?: string | undefined;
  /** BPF_F_*. */
  flags?: number | undefined;
  /** Template for the inner maps of a map-in-map. */
  innerMap?: FdLike | undefined;
  /** Effective with BPF_F_NUMA_NODE in `flags`. */
  numaNode?: number | undefined;
  /** Network device for an offloaded map. */
  ifindex?: number | undefined;
  /** Loaded BTF that holds the two types below. */
  btf?: FdLike | undefined;
  btfKeyTypeId?: number | undefined;
  btfValueTypeId?: number | undefined;
  /** struct_ops: kernel BTF id of the value's type. */
  btfVmlinuxValueTypeId?: number | undefined;
  /** struct_ops of a module: its BTF (Linux 6.9). */
  valueTypeBtfObject?: FdLike | undefined;
  /** Bloom filter: number of hash functions. Arena: address of the user mapping. */
  mapExtra?: bigint | undefined;
  /** BPF token; sets BPF_F_TOKEN_FD (Linux 6.9). */
  token?: FdLike | undefined;
  /** SHA-256 of the only program that may use the map (Linux 6.18). */
  exclusiveProgramHash?: Uint8Array | undefined;
  /** Where the kernel writes why it refuses (Linux 7.0; EINVAL or E2BIG before). The error has the text. */
  log?: LogOptions | undefined;
  /** Capabilities to name when the kernel refuses for want of them; by default CAP_BPF. */
  needs?: readonly Capability[] | undefined;
}

/**
 * Creates a map. BPF_MAP_CREATE, Linux 3.18; libbpf: `bpf_map_create`. RLIMIT_MEMLOCK is left alone: see
 * `setMemlockLimit`.
 *
 * @throws SystemCallError, ArgumentError
 */
export function mapCreate(options: MapCreateOptions): FileDescriptor {
  const { name, token, exclusiveProgramHash, log, needs } = options;
  const what = name === undefined ? "map" : `map ${JSON.stringify(name)}`;
  const attr = attrOf("MAP_CREATE", mapCreateLayout, {
    map_type: options.type,
    key_size: options.keySize,
    value_size: options.valueSize,
    max_entries: options.maxEntries,
    map_flags: tokenFlag(options.flags, token),
    inner_map_fd: options.innerMap,
    numa_node: options.numaNode,
    map_name: name,
    map_ifindex: options.ifindex,
    btf_fd: options.btf,
    btf_key_type_id: options.btfKeyTypeId,
    btf_value_type_id: options.btfValueTypeId,
    btf_vmlinux_value_type_id: options.btfVmlinuxValueTypeId,
    map_extra: options.mapExtra,
    value_type_btf_obj_fd: options.valueTypeBtfObject,
    map_token_fd: token,
    excl_prog_hash: exclusiveProgramHash,
    excl_prog_hash_size: exclusiveProgramHash?.length,
  });
  const result = log === undefined ? tryBpf("MAP_CREATE", attr) : tryBpfWithLog("MAP_CREATE", attr, log);
  const details = { about: what, needs, withToken: token !== undefined, log: log && textOf(log.buffer) };
  const map = new FileDescriptor(check(result, attr.operation, details), what);
  const { type, keySize, valueSize, maxEntries } = options;
  rememberShape(map, { type, keySize, valueSize, maxEntries });
  return map;
}

/** A map and a key; the key is omitted for maps without one (queue, stack, bloom filter). */
export interface MapElement {
  map: FdLike;
  key?: Uint8Array | undefined;
  /** BPF_F_LOCK and so on. */
  flags?: bigint | number | undefined;
}

/** A lookup. `value` receives the value, or is made; for a bloom filter it is the value to test. */
export interface MapLookupOptions extends MapElement {
  value?: Uint8Array | undefined;
}

/** An update. */
export interface MapUpdateOptions extends MapElement {
  /** As long as `mapShape(map).valueBufferSize`: per-CPU maps take one value for each possible CPU. */
  value: Uint8Array;
}

/**
 * Reads an element; `undefined` when there is none. BPF_MAP_LOOKUP_ELEM; libbpf: `bpf_map_lookup_elem_flags`.
 *
 * @throws SystemCallError, ArgumentError
 */
export function mapLookup(options: MapLookupOptions): Uint8Array | undefined {
  return readElement("MAP_LOOKUP_ELEM", options);
}

/**
 * Reads and removes an element; `undefined` when there is none. BPF_MAP_LOOKUP_AND_DELETE_ELEM, Linux 4.20 (queue,
 * stack), 5.14 (hashes); libbpf: `bpf_map_lookup_and_delete_elem_flags`.
 *
 * @throws SystemCallError, ArgumentError
 */
export function mapLookupAndDelete(options: MapLookupOptions): Uint8Array | undefined {
  return readElement("MAP_LOOKUP_AND_DELETE_ELEM", options);
}

function readElement(
  command: "MAP_LOOKUP_ELEM" | "MAP_LOOKUP_AND_DELETE_ELEM",
  { map, key, flags, value }: MapLookupOptions,
): Uint8Array | undefined {
  const { keySize, valueBufferSize } = mapShape(map);
  const into = value ?? new Uint8Array(valueBufferSize);
  const attr = attrOf(command, mapElementLayout, {
    map_fd: map,
    key: sized(key, keySize, "key"),
    value: sized(into, valueBufferSize, "value"),
    flags,
  });
  const result = tryBpf(command, attr);
  if (result === -Errno.ENOENT) return undefined;
  check(result, attr.operation);
  return into;
}

/**
 * Writes an element. BPF_MAP_UPDATE_ELEM; libbpf: `bpf_map_update_elem`.
 *
 * @throws SystemCallError (EEXIST and ENOENT answer BPF_NOEXIST and BPF_EXIST), ArgumentError
 */
export function mapUpdate({ map, key, value, flags }: MapUpdateOptions): void {
  const { keySize, valueBufferSize } = mapShape(map);
  bpf("MAP_UPDATE_ELEM", mapElementLayout, {
    map_fd: map,
    key: sized(key, keySize, "key"),
    value: sized(value, valueBufferSize, "value"),
    flags,
  });
}

/**
 * Removes an element; false when there is none. BPF_MAP_DELETE_ELEM; libbpf: `bpf_map_delete_elem_flags`.
 *
 * @throws SystemCallError, ArgumentError
 */
export function mapDelete({ map, key, flags }: MapElement): boolean {
  const { keySize } = mapShape(map);
  const attr = attrOf("MAP_DELETE_ELEM", mapElementLayout, { map_fd: map, key: sized(key, keySize, "key"), flags });
  const result = tryBpf("MAP_DELETE_ELEM", attr);
  if (result === -Errno.ENOENT) return false;
  check(result, attr.operation);
  return true;
}

/**
 * The key after `key` in the kernel's order, the first one without `key`, `undefined` at the end. A key that is not in
 * a hash starts over. BPF_MAP_GET_NEXT_KEY; libbpf: `bpf_map_get_next_key`.
 *
 * @throws SystemCallError, ArgumentError
 */
export function mapNextKey({ map, key }: { map: FdLike; key?: Uint8Array | undefined }): Uint8Array | undefined {
  const { keySize } = mapShape(map);
  const next = new Uint8Array(keySize);
  const attr = attrOf("MAP_GET_NEXT_KEY", mapElementLayout, {
    map_fd: map,
    key: key === undefined ? undefined : sized(key, keySize, "key"),
    value: next,
  });
  const result = tryBpf("MAP_GET_NEXT_KEY", attr);
  if (result === -Errno.ENOENT) return undefined;
  check(result, attr.operation);
  return next;
}

/**
 * Makes a map read-only for user space, for good. BPF_MAP_FREEZE, Linux 5.2; libbpf: `bpf_map_freeze`.
 *
 * @throws SystemCallError
 */
export function mapFreeze(map: FdLike): void {
  bpf("MAP_FREEZE", mapElementLayout, { map_fd: map });
}

/** Passes a buffer of exactly `size` bytes through. `undefined` stands for one of no bytes. */
function sized(bytes: Uint8Array | undefined, size: number, what: string): Uint8Array | undefined {
  const length = bytes?.byteLength ?? 0;
  if (length !== size) throw new ArgumentError(`the map's ${what} has ${size} bytes, not ${length}`);
  return bytes;
}
