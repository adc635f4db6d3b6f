// Access to the elements of one loaded map: a lookup is one encode, one system call, one decode, in scratch memory that
// belongs to the map (design.md section 4). Typed and raw access are the same code with different codecs.

import type { BtfCodec, BtfValue } from "../btf/index.js";
import { ArgumentError, addLocation } from "../errors.js";
import { Errno, type MapScratch, systemCallError } from "../syscall/index.js";

/** What an update may do: BPF_ANY (default), BPF_NOEXIST, BPF_EXIST, or any BPF_F_* word of flags. */
export type UpdateFlags = "any" | "noexist" | "exist" | bigint;

/** Options of a lookup. */
export interface GetOptions {
  /** Holds the element's `struct bpf_spin_lock` (BPF_F_LOCK, Linux 5.1), which the value must have. */
  lock?: boolean | undefined;
  /** Further BPF_F_* bits. */
  flags?: bigint | undefined;
}

/** Options of an update. */
export interface SetOptions {
  /** `"noexist"` refuses to replace, `"exist"` to insert; a bigint gives any BPF_F_* word. */
  flags?: UpdateFlags | undefined;
  /** Holds the element's `struct bpf_spin_lock` (BPF_F_LOCK, Linux 5.1), which the value must have. */
  lock?: boolean | undefined;
}

const updateFlags: Readonly<Record<string, bigint>> = { any: 0n, noexist: 1n, exist: 2n };

/** UAPI linux/bpf.h. The two last ones make the value that of one CPU; the upper half of the word is the CPU. */
const BPF_F_LOCK = 4n;
const BPF_F_CPU = 8n;
export const BPF_F_ALL_CPUS = 16n;

/** The flags word for one CPU's value. */
export function cpuFlags(cpu: number): bigint {
  return BPF_F_CPU | (BigInt(cpu) << 32n);
}

/** The flags word of an access. @throws ArgumentError */
export function flagsWord(options: SetOptions): bigint {
  if (typeof options !== "object" || options === null) {
    throw new ArgumentError(`the options must be an object, not ${JSON.stringify(options)}`, {
      hint: 'for example { flags: "noexist" }',
    });
  }
  const { flags = 0n, lock } = options;
  return (lock === true ? BPF_F_LOCK : 0n) | updateFlagsWord(flags);
}

/** The flags word of an update. @throws ArgumentError */
function updateFlagsWord(flags: UpdateFlags): bigint {
  if (typeof flags === "bigint") {
    // What is no u64 is refused where it is written.
    if (flags < 0n || (flags & (BPF_F_CPU | BPF_F_ALL_CPUS)) === 0n) return flags;
    throw new ArgumentError("BPF_F_CPU and BPF_F_ALL_CPUS change the size of a value", {
      hint: "use getCpu(), setCpu() and setAllCpus()",
    });
  }
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

/** The key where there are none, in queues, stacks and bloom filters. */
export const NO_KEY: Uint8Array = new Uint8Array(0);

/** Reads and writes single elements through a pair of codecs. */
export class Elements<K extends BtfValue, V extends BtfValue> {
  readonly key: BtfCodec;
  readonly value: BtfCodec;
  readonly #source: ElementSource;

  constructor(source: ElementSource, key: BtfCodec, value: BtfCodec) {
    this.#source = source;
    this.key = key;
    this.value = value;
  }

  /** BPF_MAP_LOOKUP_ELEM; undefined when there is none. With {@link NO_KEY}: peek of a queue or stack. */
  get(key: K, flags?: bigint): V | undefined {
    // Spelt out here and in set() instead of #with: its closure would cost a tenth of what the budget leaves.
    const scratch = this.#source.scratch().acquire();
    try {
      this.key.encode(scratch.keyView, 0, key);
      const result = scratch.lookup(flags);
      if (result === 0 || found(result, "LOOKUP_ELEM")) return this.value.decode(scratch.valueView, 0) as V;
      return undefined;
    } catch (error) {
      throw addLocation(error, { map: this.#source.name });
    } finally {
      scratch.release();
    }
  }

  /** BPF_MAP_LOOKUP_AND_DELETE_ELEM; undefined when there is none. With {@link NO_KEY}: pop of a queue or stack. */
  take(key: K, flags?: bigint): V | undefined {
    return this.#with((scratch) => {
      this.key.encode(scratch.keyView, 0, key);
      if (!found(scratch.lookupAndDelete(flags), "LOOKUP_AND_DELETE_ELEM")) return undefined;
      return this.value.decode(scratch.valueView, 0) as V;
    });
  }

  /** BPF_MAP_LOOKUP_ELEM without decoding. */
  has(key: K): boolean {
    return this.#with((scratch) => {
      this.key.encode(scratch.keyView, 0, key);
      return found(scratch.lookup(), "LOOKUP_ELEM");
    });
  }

  /** BPF_MAP_LOOKUP_ELEM of a bloom filter: whether `value` may have been added. */
  mayHold(value: V): boolean {
    return this.#with((scratch) => {
      this.value.encode(scratch.valueView, 0, value);
      return found(scratch.lookup(), "LOOKUP_ELEM");
    });
  }

  /** BPF_MAP_UPDATE_ELEM. With {@link NO_KEY}: push to a queue or stack. */
  set(key: K, value: V, flags?: bigint): void {
    const scratch = this.#source.scratch().acquire();
    try {
      this.key.encode(scratch.keyView, 0, key);
      this.value.encode(scratch.valueView, 0, value);
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
      this.key.encode(scratch.keyView, 0, key);
      return found(scratch.delete(), "DELETE_ELEM");
    });
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
