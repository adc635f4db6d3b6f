// Many elements at once: batches where the kernel can (Linux 5.6), about five times as fast per element as single calls
// (typescript.md 1.4), else one after another.

import type { BtfValue } from "../btf/index.js";
import { ArgumentError, addLocation, type ErrorLocation, SystemCallError, UnsupportedError } from "../errors.js";
import type { MapTypeRule } from "../object/index.js";
import {
  Errno,
  mapDelete,
  mapDeletePresent,
  mapLookupAndDeleteBatch,
  mapShape,
  mapUpdate,
  mapUpdateBatch,
} from "../syscall/index.js";
import type { Elements } from "./elements.js";
import { BATCH_BYTES, batches, isUnsupported, keysOf, type WalkSource, walk } from "./walk.js";

/** What many elements are given as. @throws ArgumentError */
export function checkIterable<T>(value: Iterable<T>, what: string, where?: ErrorLocation): Iterable<T> {
  if (typeof (value as Partial<Iterable<T>> | null | undefined)?.[Symbol.iterator] === "function") return value;
  throw new ArgumentError(`the ${what} must be an array or something else to iterate over`, where);
}

/** Elements being collected for one system call. */
class Chunk {
  readonly size: number;
  readonly keys: Uint8Array;
  readonly values: Uint8Array;
  readonly keyView: DataView;
  readonly valueView: DataView;
  readonly #keySize: number;
  readonly #valueSize: number;
  count = 0;

  /** @param expected elements at most, as far as is known */
  constructor(keySize: number, valueSize: number, expected: number) {
    this.#keySize = keySize;
    this.#valueSize = valueSize;
    this.size = Math.max(1, Math.min(expected, Math.floor(BATCH_BYTES / (keySize + valueSize))));
    this.keys = new Uint8Array(this.size * keySize);
    this.values = new Uint8Array(this.size * valueSize);
    this.keyView = new DataView(this.keys.buffer);
    this.valueView = new DataView(this.values.buffer);
  }

  get keyOffset(): number {
    return this.count * this.#keySize;
  }

  get valueOffset(): number {
    return this.count * this.#valueSize;
  }

  key(index: number): Uint8Array {
    return this.keys.subarray(index * this.#keySize, (index + 1) * this.#keySize);
  }

  value(index: number): Uint8Array {
    return this.values.subarray(index * this.#valueSize, (index + 1) * this.#valueSize);
  }
}

function lengthOf(items: Iterable<unknown>): number {
  if (Array.isArray(items)) return items.length;
  return items instanceof Map || items instanceof Set ? items.size : Infinity;
}

/**
 * Sets all entries, in order. The entries are encoded in lots of some thousand, each of which is written at once.
 *
 * @throws SystemCallError: entries before the one that it names are in the map
 */
export function setAll<K extends BtfValue, V extends BtfValue>(
  source: WalkSource,
  rule: MapTypeRule,
  elements: Elements<K, V>,
  entries: Iterable<readonly [K, V]>,
  flags: bigint,
): void {
  try {
    const { keySize, valueBufferSize } = mapShape(source.descriptor);
    const chunk = new Chunk(keySize, valueBufferSize, lengthOf(entries));
    const { key: keyCodec, value: valueCodec } = elements;
    const writer = new Writer(source, rule, flags);
    for (const entry of checkIterable(entries, "entries")) {
      if (!Array.isArray(entry)) throw new ArgumentError("an entry must be a pair: [key, value]");
      const [key, value] = entry as readonly [K, V];
      keyCodec.encode(chunk.keyView, chunk.keyOffset, key);
      valueCodec.encode(chunk.valueView, chunk.valueOffset, value);
      if (++chunk.count === chunk.size) writer.write(chunk);
    }
    writer.write(chunk);
  } catch (error) {
    throw addLocation(error, { map: source.name });
  }
}

/** Writes chunks, in batches until the kernel turns out to have none for the map's type. */
class Writer {
  readonly #source: WalkSource;
  readonly #flags: bigint;
  #batch: boolean;

  constructor(source: WalkSource, rule: MapTypeRule, flags: bigint) {
    this.#source = source;
    this.#flags = flags;
    this.#batch = rule.batch !== undefined;
  }

  write(chunk: Chunk): void {
    const { count, keys, values } = chunk;
    chunk.count = 0;
    if (count === 0 || (this.#batch && this.#writeBatch(keys, values, count))) return;
    const map = this.#source.descriptor;
    for (let i = 0; i < count; i++) mapUpdate({ map, key: chunk.key(i), value: chunk.value(i), flags: this.#flags });
  }

  /** False when the kernel cannot. EINVAL may have other reasons too: single calls find out. */
  #writeBatch(keys: Uint8Array, values: Uint8Array, count: number): boolean {
    // A batch takes BPF_F_LOCK only (before Linux 7.0), and EINVAL would not tell that from a kernel without batches.
    if ((this.#flags & ~4n) !== 0n) return false;
    try {
      mapUpdateBatch({ map: this.#source.descriptor, keys, values, count, elementFlags: this.#flags });
      return true;
    } catch (error) {
      if (!(error instanceof SystemCallError) || !isUnsupported(error.errno)) throw error;
      this.#batch = false;
      return false;
    }
  }
}

/** Removes those of the keys that are there, and tells how many. */
export function deleteMany<K extends BtfValue, V extends BtfValue>(
  source: WalkSource,
  rule: MapTypeRule,
  elements: Elements<K, V>,
  keys: Iterable<K>,
): number {
  try {
    const { keySize } = mapShape(source.descriptor);
    const chunk = new Chunk(keySize, 0, lengthOf(keys));
    let removed = 0;
    for (const key of checkIterable(keys, "keys")) {
      elements.key.encode(chunk.keyView, chunk.keyOffset, key);
      if (++chunk.count === chunk.size) removed += deleteChunk(source, rule, chunk);
    }
    return removed + deleteChunk(source, rule, chunk);
  } catch (error) {
    throw addLocation(error, { map: source.name });
  }
}

function deleteChunk(source: WalkSource, rule: MapTypeRule, chunk: Chunk): number {
  const { descriptor } = source;
  const { count, keys } = chunk;
  chunk.count = 0;
  if (count === 0) return 0;
  if (rule.batch !== undefined) {
    try {
      return mapDeletePresent({ map: descriptor, keys, count });
    } catch (error) {
      if (!(error instanceof SystemCallError) || !isUnsupported(error.errno)) throw error;
    }
  }
  let removed = 0;
  for (let i = 0; i < count; i++) if (deleteOne(source, rule, chunk.key(i))) removed++;
  return removed;
}

/** Whether the kernel meant to say that there was nothing to remove. */
export function isEmptySlot(error: unknown, rule: MapTypeRule): boolean {
  return rule.emptyIsInvalid === true && error instanceof SystemCallError && error.errno === Errno.EINVAL;
}

function deleteOne({ descriptor }: WalkSource, rule: MapTypeRule, key: Uint8Array): boolean {
  try {
    return mapDelete({ map: descriptor, key });
  } catch (error) {
    if (isEmptySlot(error, rule)) return false;
    throw error;
  }
}

/**
 * Removes everything that is in the map now; the elements of an array become zero instead. What others add meanwhile may
 * or may not stay.
 */
export function clear(source: WalkSource, rule: MapTypeRule): void {
  try {
    if (rule.keyless === "filter") throw new UnsupportedError("what was added to a bloom filter stays in it");
    if (rule.keyless === "queue") clearQueue(source);
    else if (rule.fixed === true) clearArray(source, rule);
    else if (!clearBatches(source, rule)) for (const key of keysOf(source)) deleteOne(source, rule, key);
  } catch (error) {
    throw addLocation(error, { map: source.name });
  }
}

/** False when the kernel has no such batches for the map's type. */
function clearBatches(source: WalkSource, rule: MapTypeRule): boolean {
  if (rule.batch === undefined || rule.startsOver === true) return false;
  let started = false;
  for (const _ of batches(source, rule, mapLookupAndDeleteBatch)) started = true;
  return started;
}

function clearArray(source: WalkSource, rule: MapTypeRule): void {
  const { keySize, valueBufferSize } = mapShape(source.descriptor);
  const chunk = new Chunk(keySize, valueBufferSize, source.maxEntries);
  const writer = new Writer(source, rule, 0n);
  for (let index = 0; index < source.maxEntries; index++) {
    chunk.keyView.setUint32(chunk.keyOffset, index, true);
    if (++chunk.count === chunk.size) writer.write(chunk);
  }
  writer.write(chunk);
}

function clearQueue(source: WalkSource): void {
  const scratch = source.scratch().acquire();
  try {
    // A queue that is filled all the time is never empty.
    for (let i = 0; i < 2 * source.maxEntries && scratch.lookupAndDelete() === 0; i++);
  } finally {
    scratch.release();
  }
}

/** How many elements there are, by asking for all keys; of slots, for all that are not empty. */
export function count(source: WalkSource, rule: MapTypeRule): number {
  if (rule.fixed === true) return source.maxEntries;
  if (rule.batch !== undefined && rule.startsOver !== true) {
    let sum = 0;
    let started = false;
    for (const batch of batches(source, rule)) {
      started = true;
      sum += batch.count;
    }
    if (started) return sum;
  }
  if (rule.indexed !== true) return keysOf(source).length;
  let filled = 0;
  for (const _ of walk(source, rule, () => true)) filled++;
  return filled;
}
