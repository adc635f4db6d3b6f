// Iteration over a map that others may change meanwhile. It always ends, and does not throw because an element went away.

import { addLocation, SystemCallError, UnsupportedError } from "../errors.js";
import type { MapTypeRule } from "../object/index.js";
import {
  Errno,
  type FileDescriptor,
  type MapBatchReadOptions,
  type MapBatchReadResult,
  type MapScratch,
  mapLookupBatch,
  mapNextKey,
  mapShape,
} from "../syscall/index.js";

/** What iteration needs from its map. */
export interface WalkSource {
  readonly name: string;
  readonly maxEntries: number;
  readonly descriptor: FileDescriptor;
  scratch(): MapScratch;
}

/** Makes a result of a key and a value that lie in two buffers, which are reused afterwards. */
type Visit<T> = (keys: DataView, keyOffset: number, values: DataView, valueOffset: number) => T;

/** Bytes of keys and values that one batch asks for, unless a hash bucket needs more. */
export const BATCH_BYTES = 128 * 1024;
/** How often a batch that the kernel broke off for want of luck (EINTR) is tried again. */
const MAX_INTERRUPTIONS = 64;

/**
 * Yields every element. In batches where the kernel can (one system call for hundreds of elements, and a position that
 * survives deletions), else key by key.
 */
export function* walk<T>(source: WalkSource, rule: MapTypeRule, visit: Visit<T>): Generator<T, void, undefined> {
  try {
    yield* walkElements(source, rule, visit);
  } catch (error) {
    throw addLocation(error, { map: source.name });
  }
}

function* walkElements<T>(source: WalkSource, rule: MapTypeRule, visit: Visit<T>): Generator<T, void, undefined> {
  if (rule.batch !== undefined) {
    const { keySize, valueBufferSize } = mapShape(source.descriptor);
    const seen = rule.startsOver === true ? new Set<string>() : undefined;
    let started = false;
    for (const { count, keys, values } of batches(source, rule)) {
      started = true;
      for (let i = 0; i < count; i++) {
        if (seen !== undefined) {
          const bytes = latin1(new Uint8Array(keys.buffer, i * keySize, keySize));
          if (seen.has(bytes)) continue;
          seen.add(bytes);
        }
        yield visit(keys, i * keySize, values, i * valueBufferSize);
      }
    }
    if (started) return;
  }
  yield* walkKeys(source, visit);
}

/** Elements that lie in two buffers until the next batch is asked for. */
interface Batch {
  readonly count: number;
  readonly keys: DataView;
  readonly values: DataView;
}

/** What reads, or reads and removes, a batch. */
type ReadBatch = (options: MapBatchReadOptions) => MapBatchReadResult;

/** The elements in batches; none at all, not even an empty one, when this kernel has no such command for the map's type. */
export function* batches(
  source: WalkSource,
  rule: MapTypeRule,
  read: ReadBatch = mapLookupBatch,
): Generator<Batch, void, undefined> {
  const { keySize, valueBufferSize } = mapShape(source.descriptor);
  const { maxEntries } = source;
  let count = Math.max(1, Math.min(maxEntries, Math.ceil(BATCH_BYTES / (keySize + valueBufferSize))));
  let keys = new Uint8Array(count * keySize);
  let values = new Uint8Array(count * valueBufferSize);
  let from: Uint8Array | undefined;
  // Only where the kernel may start over does this bound matter.
  let left = rule.startsOver === true ? 2 * maxEntries + 16 : Infinity;
  let interruptions = 0;
  while (left > 0) {
    let batch: MapBatchReadResult;
    try {
      batch = read({ map: source.descriptor, keys, values, count, from });
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      if (error.errno === Errno.ENOSPC && count < 2 * maxEntries + 16) {
        // One bucket of the hash holds more than the buffers: ask for the same with more room. A map may hold some more
        // elements than it was made for.
        count = Math.min(2 * maxEntries + 16, count * 4);
        keys = new Uint8Array(count * keySize);
        values = new Uint8Array(count * valueBufferSize);
        continue;
      }
      // A trie whose elements go away while the kernel looks for them.
      if (error.errno === Errno.EINTR && ++interruptions <= MAX_INTERRUPTIONS) continue;
      if (from === undefined && isUnsupported(error.errno)) return;
      throw error;
    }
    yield { count: batch.count, keys: new DataView(keys.buffer), values: new DataView(values.buffer) };
    if (batch.next === undefined) return;
    left -= batch.count;
    from = batch.next;
  }
}

/** EOPNOTSUPP and the kernel's internal ENOTSUPP: no batches for this type. EINVAL: none at all (before Linux 5.6). */
export function isUnsupported(errno: number): boolean {
  return errno === Errno.EOPNOTSUPP || errno === Errno.ENOTSUPP || errno === Errno.EINVAL;
}

/**
 * Keys first, then each value. The kernel starts over when the key that it is asked to go on from was deleted, so keys
 * are remembered, and a map that changes faster than it is read ends the walk at the latest after two rounds.
 */
function* walkKeys<T>(source: WalkSource, visit: Visit<T>): Generator<T, void, undefined> {
  for (const bytes of keysOf(source)) {
    const scratch = source.scratch().acquire();
    let result: T;
    try {
      scratch.key.set(bytes);
      // The element may be gone by now, or empty (a slot of a map of maps).
      const outcome = scratch.lookup();
      if (outcome === -Errno.EOPNOTSUPP || outcome === -Errno.ENOTSUPP) {
        throw new UnsupportedError("the kernel does not show what is in maps of this type", {
          hint: "set() and delete() work",
        });
      }
      if (outcome !== 0) continue;
      result = visit(scratch.keyView, 0, scratch.valueView, 0);
    } finally {
      scratch.release();
    }
    yield result;
  }
}

/** The keys at this moment, each once, without their values. Slots of arrays have keys when they are empty, too. */
export function keysOf(source: WalkSource): Uint8Array[] {
  const keys = new Map<string, Uint8Array>();
  let steps = 2 * source.maxEntries + 16;
  let key = mapNextKey({ map: source.descriptor });
  while (key !== undefined && steps-- > 0) {
    keys.set(latin1(key), key);
    key = mapNextKey({ map: source.descriptor, key });
  }
  return [...keys.values()];
}

/** One character for each byte, of keys of any length: arguments of a call would be limited to some ten thousand. */
function latin1({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("latin1");
}
