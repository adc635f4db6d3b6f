// Batch commands on maps (Linux 5.6; some map types later or never: EOPNOTSUPP or ENOTSUPP). About five times as fast per entry as single
// commands (typescript.md 1.4).

import { ArgumentError } from "../errors.js";
import { checkInteger } from "./attr.js";
import { mapBatchLayout } from "./attr-layout.js";
import { attrOf, tryBpf } from "./bpf-call.js";
import { Errno } from "./errno.js";
import { check } from "./failure.js";
import type { FdLike } from "./fd.js";
import { type MapShape, mapShape } from "./map-shape.js";

/** Where the kernel goes on: opaque, from a previous result. */
export type BatchPosition = Uint8Array;

/** Buffers for a batch. They may be longer than `count` entries. */
export interface MapBatchOptions {
  map: FdLike;
  /** `count` keys of `shape.keySize` bytes, back to back. */
  keys: Uint8Array;
  /** How many entries. */
  count: number;
  /** BPF_F_LOCK, or BPF_ANY, BPF_NOEXIST, BPF_EXIST where entries are written. */
  elementFlags?: bigint | number | undefined;
}

/** Buffers for a batch with values. */
export interface MapBatchValuesOptions extends MapBatchOptions {
  /** `count` values of `shape.valueBufferSize` bytes, back to back. */
  values: Uint8Array;
}

/** Buffers to read into, and where to begin. */
export interface MapBatchReadOptions extends MapBatchValuesOptions {
  /** `next` of the previous result; omitted for the beginning. */
  from?: BatchPosition | undefined;
}

/** A batch that was read. */
export interface MapBatchReadResult {
  /** Entries now in the buffers. */
  readonly count: number;
  /** Where to go on; `undefined` after the last entry. */
  readonly next: BatchPosition | undefined;
}

/**
 * Reads up to `count` entries. BPF_MAP_LOOKUP_BATCH; libbpf: `bpf_map_lookup_batch`. An entry may be missed or seen
 * twice when the map changes between batches.
 *
 * @throws SystemCallError (ENOSPC: a hash bucket holds more than `count` entries), ArgumentError
 */
export function mapLookupBatch(options: MapBatchReadOptions): MapBatchReadResult {
  return readBatch("MAP_LOOKUP_BATCH", options);
}

/**
 * Reads and removes up to `count` entries. BPF_MAP_LOOKUP_AND_DELETE_BATCH (hashes only); libbpf:
 * `bpf_map_lookup_and_delete_batch`.
 *
 * @throws SystemCallError (ENOSPC: a hash bucket holds more than `count` entries), ArgumentError
 */
export function mapLookupAndDeleteBatch(options: MapBatchReadOptions): MapBatchReadResult {
  return readBatch("MAP_LOOKUP_AND_DELETE_BATCH", options);
}

/**
 * Writes `count` entries. BPF_MAP_UPDATE_BATCH; libbpf: `bpf_map_update_batch`.
 *
 * @throws SystemCallError (the message tells how many entries were written before), ArgumentError
 */
export function mapUpdateBatch(options: MapBatchValuesOptions): void {
  writeBatch("MAP_UPDATE_BATCH", options, options.values);
}

/**
 * Removes those of `count` keys that are there, and tells how many were. BPF_MAP_DELETE_BATCH, again and again behind each
 * absent key.
 *
 * @throws SystemCallError, ArgumentError
 */
export function mapDeletePresent(options: MapBatchOptions): number {
  const { map, keys, count } = options;
  const { keySize } = mapShape(map);
  checkCount(mapShape(map), count, keys, undefined);
  let removed = 0;
  for (let at = 0; at < count; ) {
    const rest = { ...options, keys: keys.subarray(at * keySize), count: count - at };
    const { done, result, operation } = runWrite("MAP_DELETE_BATCH", rest, undefined);
    removed += done;
    if (result >= 0) break;
    if (result !== -Errno.ENOENT) check(result, operation, { about: `key ${at + done} of ${count}` });
    at += done + 1;
  }
  return removed;
}

/**
 * Removes `count` keys; an absent one ends the batch with ENOENT. BPF_MAP_DELETE_BATCH; libbpf: `bpf_map_delete_batch`.
 *
 * @throws SystemCallError (the message tells how many keys were removed before), ArgumentError
 */
export function mapDeleteBatch(options: MapBatchOptions): void {
  writeBatch("MAP_DELETE_BATCH", options, undefined);
}

function readBatch(
  command: "MAP_LOOKUP_BATCH" | "MAP_LOOKUP_AND_DELETE_BATCH",
  options: MapBatchReadOptions,
): MapBatchReadResult {
  const { map, keys, values, count, elementFlags, from } = options;
  const shape = mapShape(map);
  checkCount(shape, count, keys, values);
  // Hashes keep a bucket number (4 bytes) in it, other maps a key.
  const positionSize = Math.max(4, shape.keySize);
  if (from !== undefined && from.length !== positionSize)
    throw new ArgumentError("not the position of a batch on this map");
  const next = new Uint8Array(positionSize);
  const attr = attrOf(command, mapBatchLayout, {
    in_batch: from,
    out_batch: next,
    keys,
    values,
    count,
    map_fd: map,
    elem_flags: elementFlags,
  });
  const result = tryBpf(command, attr);
  const end = result === -Errno.ENOENT;
  if (!end) check(result, attr.operation);
  return { count: attr.u32("count"), next: end ? undefined : next };
}

function writeBatch(
  command: "MAP_UPDATE_BATCH" | "MAP_DELETE_BATCH",
  options: MapBatchOptions,
  values: Uint8Array | undefined,
): void {
  const { map, keys, count } = options;
  checkCount(mapShape(map), count, keys, values);
  const { done, result, operation } = runWrite(command, options, values);
  if (result < 0) check(result, operation, { about: `entry ${done} of ${count}` });
}

/** Runs a command: its result, and how many entries were done. */
function runWrite(
  command: "MAP_UPDATE_BATCH" | "MAP_DELETE_BATCH",
  { map, keys, count, elementFlags }: MapBatchOptions,
  values: Uint8Array | undefined,
): { done: number; result: number; operation: string } {
  const attr = attrOf(command, mapBatchLayout, { keys, values, count, map_fd: map, elem_flags: elementFlags });
  const result = tryBpf(command, attr);
  return { done: attr.u32("count"), result, operation: attr.operation };
}

/** Sees to it that the kernel stays inside the buffers. */
function checkCount(shape: MapShape, count: number, keys: Uint8Array, values: Uint8Array | undefined): void {
  checkInteger(count, "the number of entries of a batch", 0, 0xffff_ffff);
  const needed = [
    ["keys", keys, shape.keySize],
    ["values", values, shape.valueBufferSize],
  ] as const;
  for (const [what, buffer, size] of needed) {
    if (buffer !== undefined && buffer.byteLength < count * size) {
      throw new ArgumentError(`${count} entries need ${count * size} bytes of ${what}, not ${buffer.byteLength}`);
    }
  }
}
