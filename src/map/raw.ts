// The elements of a map as bytes: for keys and values that no BTF describes, and for those who want no decoding.

import type { MapTypeRule } from "../object/index.js";
import type { FileDescriptor } from "../syscall/index.js";
import { type MapScratch, mapShape } from "../syscall/index.js";
import { Elements, flagsWord, type GetOptions, type SetOptions } from "./elements.js";
import { bytesCodec } from "./value-codec.js";
import { walk } from "./walk.js";

/** What a {@link RawMap} needs from its map. */
interface RawSource {
  readonly name: string;
  readonly maxEntries: number;
  readonly descriptor: FileDescriptor;
  scratch(): MapScratch;
}

/**
 * Byte access to the elements of a map. Keys have the map's key size; values its value size, or for per-CPU maps one
 * value for each possible CPU, each padded to 8 bytes. Byte order is the machine's.
 */
export class RawMap implements Iterable<[Uint8Array, Uint8Array]> {
  readonly #source: RawSource;
  readonly #rule: MapTypeRule;
  #made: Elements<Uint8Array, Uint8Array> | undefined;

  /** @internal */
  constructor(source: RawSource, rule: MapTypeRule) {
    this.#source = source;
    this.#rule = rule;
  }

  get #elements(): Elements<Uint8Array, Uint8Array> {
    if (this.#made === undefined) {
      const { keySize, valueBufferSize } = mapShape(this.#source.descriptor);
      this.#made = new Elements(this.#source, bytesCodec(keySize, "key"), bytesCodec(valueBufferSize, "value"));
    }
    return this.#made;
  }

  /** The value's bytes, or undefined. */
  get(key: Uint8Array, options?: GetOptions): Uint8Array | undefined {
    return this.#elements.get(key, options && flagsWord(options));
  }

  /** True when there is a value for `key`. */
  has(key: Uint8Array): boolean {
    return this.#elements.has(key);
  }

  /** Inserts or replaces. */
  set(key: Uint8Array, value: Uint8Array, options?: SetOptions): this {
    this.#elements.set(key, value, options && flagsWord(options));
    return this;
  }

  /** Removes; true when there was such a key. */
  delete(key: Uint8Array): boolean {
    return this.#elements.delete(key);
  }

  /** All elements, as copies. */
  *entries(): Generator<[Uint8Array, Uint8Array], void, undefined> {
    const { key, value } = this.#elements;
    yield* walk(this.#source, this.#rule, (keys, keyAt, values, valueAt): [Uint8Array, Uint8Array] => [
      key.decode(keys, keyAt) as Uint8Array,
      value.decode(values, valueAt) as Uint8Array,
    ]);
  }

  [Symbol.iterator](): Generator<[Uint8Array, Uint8Array], void, undefined> {
    return this.entries();
  }
}
