// Types by name, without a string object per type: a hash table of ids in two typed arrays, keyed by essential name
// (libbpf.md 4.4 rule 1). Exact lookups and CO-RE candidate searches share it: names of one chain that differ in the
// flavor only are told apart by comparing bytes.

import type { StringTable } from "./strings.js";

const UNDERSCORE = 0x5f;
const utf8 = new TextEncoder();

/**
 * The name without its CO-RE flavor: `task_struct___v2` → `task_struct`. The separator is exactly three underscores
 * between other characters; the last one counts (libbpf: bpf_core_essential_name_len).
 */
export function essentialName(name: string): string {
  for (let at = name.lastIndexOf("___"); at > 0; at = name.lastIndexOf("___", at - 1)) {
    const separated = name.charCodeAt(at - 1) !== UNDERSCORE && name.charCodeAt(at + 3) !== UNDERSCORE;
    if (separated && at + 3 < name.length) return name.slice(0, at);
  }
  return name;
}

// FNV-1a, 32 bits. Both loops below must agree on it.
const HASH_SEED = 0x811c9dc5;
const HASH_FACTOR = 0x01000193;

function hashBytes(bytes: Uint8Array): number {
  let hash = HASH_SEED;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, HASH_FACTOR);
  return hash;
}

/** FNV mixes upward only: fold the high bits down before masking. */
const bucketOf = (hash: number, mask: number): number => (hash ^ (hash >>> 15)) & mask;

/** Hash of the essential part of the NUL-terminated name at `from`. */
function hashEssential(bytes: Uint8Array, from: number): number {
  let hash = HASH_SEED;
  let essential = 0;
  let cut = false;
  let beforeRun = 0;
  let run = 0; // underscores just seen; a run that begins the name never counts as three
  let at = from;
  for (let byte = bytes[at]; byte !== 0 && byte !== undefined; byte = bytes[++at]) {
    if (byte === UNDERSCORE) {
      if (run === 0) beforeRun = hash;
      run += at === from ? 4 : 1;
    } else if (run !== 0) {
      if (run === 3) {
        essential = beforeRun;
        cut = true;
      }
      run = 0;
    }
    hash = Math.imul(hash ^ byte, HASH_FACTOR);
  }
  return cut ? essential : hash;
}

/** End of the essential part of the NUL-terminated name at `from`. */
function essentialEnd(bytes: Uint8Array, from: number): number {
  let cut = -1;
  let run = 0;
  let at = from;
  for (let byte = bytes[at]; byte !== 0 && byte !== undefined; byte = bytes[++at]) {
    if (byte === UNDERSCORE) run += at === from ? 4 : 1;
    else {
      if (run === 3) cut = at - 3;
      run = 0;
    }
  }
  return cut < 0 ? at : cut;
}

/** Hash index over the own types of one BTF. Costs 4 bytes a type and 4 to 8 bytes a bucket, one bucket a type. */
export class NameIndex {
  readonly #strings: StringTable;
  readonly #words: Uint32Array;
  readonly #offsets: Uint32Array;
  readonly #mask: number;
  /** By bucket: index of the first type plus one; 0 ends a chain. */
  readonly #heads: Uint32Array;
  /** By type: the next one of the chain, in ascending order. */
  readonly #next: Uint32Array;

  /** @param offsets word index of every type in `words`; positions in it are what the look-ups return */
  constructor(words: Uint32Array, offsets: Uint32Array, strings: StringTable) {
    this.#strings = strings;
    this.#words = words;
    this.#offsets = offsets;
    const mask = 2 ** Math.ceil(Math.log2(offsets.length + 1)) - 1;
    const heads = new Uint32Array(mask + 1);
    const next = new Uint32Array(offsets.length);
    const { bytes, start } = strings;
    // From the last to the first, so that chains are in ascending order.
    for (let index = offsets.length - 1; index >= 0; index--) {
      const name = words[offsets[index]!]!;
      if (name === 0) continue;
      const hash = name >= start ? hashEssential(bytes, name - start) : hashInBase(strings, name);
      const bucket = bucketOf(hash, mask);
      next[index] = heads[bucket]!;
      heads[bucket] = index + 1;
    }
    this.#mask = mask;
    this.#heads = heads;
    this.#next = next;
  }

  /** Positions of the types whose essential name is that of `name`, ascending. */
  essential(name: string): number[] {
    return this.#search(utf8.encode(essentialName(name)), (bytes, from, end) => essentialEnd(bytes, from) === end);
  }

  /** Position of the first type named `name` that `accept` takes. */
  first(name: string, accept: (index: number) => boolean): number | undefined {
    const wanted = utf8.encode(name);
    const key = utf8.encode(essentialName(name));
    for (let index = this.#head(key); index >= 0; index = this.#next[index]! - 1) {
      if (this.#matches(index, wanted, atNul) && accept(index)) return index;
    }
    return undefined;
  }

  #search(wanted: Uint8Array, ends: EndTest): number[] {
    const found: number[] = [];
    if (wanted.length === 0) return found;
    for (let index = this.#head(wanted); index >= 0; index = this.#next[index]! - 1) {
      if (this.#matches(index, wanted, ends)) found.push(index);
    }
    return found;
  }

  #head(key: Uint8Array): number {
    return this.#heads[bucketOf(hashBytes(key), this.#mask)]! - 1;
  }

  #matches(index: number, wanted: Uint8Array, ends: EndTest): boolean {
    const name = this.#words[this.#offsets[index]!]!;
    const { bytes, start } = this.#strings.holder(name);
    const from = name - start;
    for (let i = 0; i < wanted.length; i++) if (bytes[from + i] !== wanted[i]) return false;
    return ends(bytes, from, from + wanted.length);
  }
}

type EndTest = (bytes: Uint8Array, from: number, end: number) => boolean;

const atNul: EndTest = (bytes, _from, end) => bytes[end] === 0;

function hashInBase(strings: StringTable, name: number): number {
  const table = strings.holder(name);
  return hashEssential(table.bytes, name - table.start);
}
