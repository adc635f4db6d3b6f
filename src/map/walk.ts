// Iteration over a map that others may change meanwhile. It always ends, and does not throw because an element went away.

import { SystemCallError } from "../errors.js";
import { Errno, type FileDescriptor, type MapScratch, mapLookupBatch, mapNextKey, mapShape } from "../syscall/index.js";
import type { MapTypeRule } from "./type-rules.js";

/** What iteration needs from its map. */
interface WalkSource {
  readonly maxEntries: number;
  readonly descriptor: FileDescriptor;
  scratch(): MapScratch;
}

/** Makes a result of a key and a value that lie in two buffers, which are reused afterwards. */
type Visit<T> = (keys: DataView, keyOffset: number, values: DataView, valueOffset: number) => T;

/** Bytes of keys and values that one batch asks for, unless a hash bucket needs more. */
const BATCH_BYTES = 128 * 1024;

/**
 * Yields every element. In batches where the kernel can (one system call for hundreds of elements, and a position that
 * survives deletions), else key by key.
 */
export function* walk<T>(source: WalkSource, rule: MapTypeRule, visit: Visit<T>): Generator<T, void, undefined> {
  if (rule.batch !== undefined) {
    const started = yield* walkBatches(source, visit);
    if (started) return;
  }
  yield* walkKeys(source, visit);
}

/** False when this kernel has no batches for the map's type; nothing was yielded then. */
function* walkBatches<T>(source: WalkSource, visit: Visit<T>): Generator<T, boolean, undefined> {
  const { keySize, valueBufferSize } = mapShape(source.descriptor);
  let count = Math.max(1, Math.min(source.maxEntries, Math.ceil(BATCH_BYTES / (keySize + valueBufferSize))));
  let keys = new Uint8Array(count * keySize);
  let values = new Uint8Array(count * valueBufferSize);
  let from: Uint8Array | undefined;
  for (;;) {
    let batch: ReturnType<typeof mapLookupBatch>;
    try {
      batch = mapLookupBatch({ map: source.descriptor, keys, values, count, from });
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      if (error.errno === Errno.ENOSPC && count < source.maxEntries) {
        // One bucket of the hash holds more than the buffers: ask for the same with more room.
        count = Math.min(source.maxEntries, count * 4);
        keys = new Uint8Array(count * keySize);
        values = new Uint8Array(count * valueBufferSize);
        continue;
      }
      if (from === undefined && isUnsupported(error.errno)) return false;
      throw error;
    }
    const keyView = new DataView(keys.buffer);
    const valueView = new DataView(values.buffer);
    for (let i = 0; i < batch.count; i++) yield visit(keyView, i * keySize, valueView, i * valueBufferSize);
    if (batch.next === undefined) return true;
    from = batch.next;
  }
}

/** EOPNOTSUPP and the kernel's internal ENOTSUPP: no batches for this type. EINVAL: none at all (before Linux 5.6). */
function isUnsupported(errno: number): boolean {
  return errno === Errno.EOPNOTSUPP || errno === Errno.ENOTSUPP || errno === Errno.EINVAL;
}

/**
 * Keys first, then each value. The kernel starts over when the key that it is asked to go on from was deleted, so keys
 * are remembered, and a map that changes faster than it is read ends the walk at the latest after two rounds.
 */
function* walkKeys<T>(source: WalkSource, visit: Visit<T>): Generator<T, void, undefined> {
  const keys = new Map<string, Uint8Array>();
  let steps = 2 * source.maxEntries + 16;
  let key = mapNextKey({ map: source.descriptor });
  while (key !== undefined && steps-- > 0) {
    keys.set(String.fromCharCode(...key), key);
    key = mapNextKey({ map: source.descriptor, key });
  }
  for (const bytes of keys.values()) {
    const scratch = source.scratch().acquire();
    let result: T;
    try {
      scratch.key.set(bytes);
      // The element may be gone by now, or empty (a slot of a map of maps).
      if (scratch.lookup() !== 0) continue;
      result = visit(scratch.keyView, 0, scratch.valueView, 0);
    } finally {
      scratch.release();
    }
    yield result;
  }
}
