// Access to the elements of one loaded map: a lookup is one encode, one system call, one decode, in scratch memory that
// belongs to the map (design.md section 4). Typed and raw access are the same code with different codecs.

import type { BtfCodec, BtfValue } from "../btf/index.js";
import { ArgumentError, addLocation } from "../errors.js";
import { Errno, type MapScratch, systemCallError } from "../syscall/index.js";

/** What an update may do: BPF_ANY (default), BPF_NOEXIST, BPF_EXIST, or any BPF_F_* word of flags. */
export type UpdateFlags = "any" | "noexist" | "exist" | bigint;

const updateFlags: Readonly<Record<string, bigint>> = { any: 0n, noexist: 1n, exist: 2n };

/** The flags word of an update. @throws ArgumentError */
export function updateFlagsWord(flags: UpdateFlags): bigint {
  if (typeof flags === "bigint") return flags;
  const word = Object.hasOwn(updateFlags, flags) ? updateFlags[flags] : undefined;
  if (word !== undefined) return word;
  throw new ArgumentError(`update flags are "any", "noexist", "exist" or a bigint, not ${JSON.stringify(flags)}`);
}

/** What element access needs from its map. */
export interface ElementSource {
  readonly name: string;
  /** The map's scratch memory. @throws StateError while the map is not loaded, or closed. */
  scratch(): MapScratch;
}

/** Reads and writes single elements through a pair of codecs. */
export class Elements<K extends BtfValue, V extends BtfValue> {
  readonly #source: ElementSource;
  readonly #key: BtfCodec;
  readonly #value: BtfCodec;

  constructor(source: ElementSource, key: BtfCodec, value: BtfCodec) {
    this.#source = source;
    this.#key = key;
    this.#value = value;
  }

  /** BPF_MAP_LOOKUP_ELEM; undefined when there is none. Without a key: peek of a queue or stack. */
  get(key: K | undefined, flags?: bigint): V | undefined {
    // Spelt out here and in set() instead of #with: its closure would cost a tenth of what the budget leaves.
    const scratch = this.#source.scratch().acquire();
    try {
      if (key !== undefined) this.#key.encode(scratch.keyView, 0, key);
      const result = scratch.lookup(flags);
      if (result === 0 || found(result, "LOOKUP_ELEM")) return this.#value.decode(scratch.valueView, 0) as V;
      return undefined;
    } catch (error) {
      throw addLocation(error, { map: this.#source.name });
    } finally {
      scratch.release();
    }
  }

  /** BPF_MAP_LOOKUP_AND_DELETE_ELEM; undefined when there is none. Without a key: pop of a queue or stack. */
  take(key: K | undefined, flags?: bigint): V | undefined {
    return this.#with((scratch) => {
      if (key !== undefined) this.#key.encode(scratch.keyView, 0, key);
      if (!found(scratch.lookupAndDelete(flags), "LOOKUP_AND_DELETE_ELEM")) return undefined;
      return this.#value.decode(scratch.valueView, 0) as V;
    });
  }

  /** BPF_MAP_LOOKUP_ELEM without decoding. */
  has(key: K): boolean {
    return this.#with((scratch) => {
      this.#key.encode(scratch.keyView, 0, key);
      return found(scratch.lookup(), "LOOKUP_ELEM");
    });
  }

  /** BPF_MAP_UPDATE_ELEM. Without a key: push to a queue or stack. */
  set(key: K | undefined, value: V, flags?: bigint): void {
    const scratch = this.#source.scratch().acquire();
    try {
      if (key !== undefined) this.#key.encode(scratch.keyView, 0, key);
      this.#value.encode(scratch.valueView, 0, value);
      const result = scratch.update(flags);
      if (result < 0) throw systemCallError("bpf(BPF_MAP_UPDATE_ELEM)", -result);
    } catch (error) {
      throw addLocation(error, { map: this.#source.name });
    } finally {
      scratch.release();
    }
  }

  /** BPF_MAP_DELETE_ELEM; false when there was none. */
  delete(key: K): boolean {
    return this.#with((scratch) => {
      this.#key.encode(scratch.keyView, 0, key);
      return found(scratch.delete(), "DELETE_ELEM");
    });
  }

  /** Decodes a key and a value that lie somewhere else, for iteration. */
  decode(keys: DataView, keyOffset: number, values: DataView, valueOffset: number): [K, V] {
    return [this.#key.decode(keys, keyOffset) as K, this.#value.decode(values, valueOffset) as V];
  }

  /** Borrows the scratch memory: a getter of a value that is being encoded may use the same map. */
  #with<R>(body: (scratch: MapScratch) => R): R {
    const scratch = this.#source.scratch().acquire();
    try {
      return body(scratch);
    } catch (error) {
      throw addLocation(error, { map: this.#source.name });
    } finally {
      scratch.release();
    }
  }
}

/** Tells apart "no such element" and a failure. */
function found(result: number, command: string): boolean {
  if (result === 0) return true;
  if (result === -Errno.ENOENT) return false;
  throw systemCallError(`bpf(BPF_MAP_${command})`, -result);
}
