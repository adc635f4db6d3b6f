// Types by name, without a string object per type: a hash table of ids in two typed arrays, keyed by essential name
// (libbpf.md 4.4 rule 1). Exact lookups and CO-RE candidate searches share it: names of one chain that differ in the
// flavor only are told apart by comparing bytes.

import type { StringTable } from "./strings.js";

const UNDERSCORE = 0x5f;
const THREE_UNDERSCORES = 0x5f5f5f;
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

const HASH_FACTOR = 31; // a shift and a subtraction, which shortens the chain that every byte lengthens

/**
 * Hash of the essential part of the NUL-terminated name at `from`. That the NUL is there is for the caller to know: a
 * loop that can run out of the bytes costs half as much again.
 */
function hashEssential(bytes: Uint8Array, from: number): number {
  let hash = 0;
  let window = 0;
  let at = from;
  for (let byte = bytes[at]!; byte !== 0; byte = bytes[++at]!) {
    // Rare, hence well predicted: single underscores, which are everywhere, cost no branch.
    window = ((window << 8) | byte) & 0xffffff;
    if (window === THREE_UNDERSCORES) return hashRange(bytes, from, essentialEnd(bytes, from));
    hash = (Math.imul(hash, HASH_FACTOR) + byte) | 0;
  }
  return hash;
}

function hashRange(bytes: Uint8Array, from: number, end: number): number {
  let hash = 0;
  for (let at = from; at < end; at++) hash = (Math.imul(hash, HASH_FACTOR) + bytes[at]!) | 0;
  return hash;
}

/** Spreads the hash, whose low bits are weak, over the buckets. */
function bucketOf(hash: number, mask: number): number {
  const mixed = Math.imul(hash, 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) & mask;
}

/** End of the essential part of the NUL-terminated name at `from`. */
function essentialEnd(bytes: Uint8Array, from: number): number {
  let cut = -1;
  let run = 0; // underscores just seen; a run that begins the name never counts as three
  let at = from;
  for (let byte = bytes[at]!; byte !== 0; byte = bytes[++at]!) {
    if (byte === UNDERSCORE) run += at === from ? 4 : 1;
    else {
      if (run === 3) cut = at - 3;
      run = 0;
    }
  }
  return cut < 0 ? at : cut;
}

/** Hash index over the own types of one BTF. Costs 6 to 8 bytes a type. */
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
    // Half of a kernel's types have names: about one in a bucket.
    const mask = 2 ** Math.floor(Math.log2(offsets.length + 1)) - 1;
    const heads = new Uint32Array(mask + 1);
    const next = new Uint32Array(offsets.length);
    const { bytes, start, end } = strings;
    // From the last to the first, so that chains are in ascending order.
    for (let index = offsets.length - 1; index >= 0; index--) {
      const name = words[offsets[index]!]!;
      // Behind the end: BTF that was trusted and should not have been. Names that nobody can ask for, and that overlap,
      // could take the square of the file's size.
      if (name === 0 || name >= end || strings.isTooLong(name)) continue;
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
    const found: number[] = [];
    const bytes = encode(name);
    const length = essentialEnd(bytes, 0);
    for (let index = this.#head(bytes); index >= 0; index = this.#next[index]! - 1) {
      const { bytes: own, start } = this.#strings.holder(this.#nameOffset(index));
      const from = this.#nameOffset(index) - start;
      if (startsWith(own, from, bytes, length) && essentialEnd(own, from) === from + length) found.push(index);
    }
    return found;
  }

  /** Position of the first type named exactly `name` that `accept` takes. */
  first(name: string, accept: (index: number) => boolean): number | undefined {
    const bytes = encode(name);
    const length = bytes.length - 1;
    for (let index = this.#head(bytes); index >= 0; index = this.#next[index]! - 1) {
      const { bytes: own, start } = this.#strings.holder(this.#nameOffset(index));
      const from = this.#nameOffset(index) - start;
      if (startsWith(own, from, bytes, length) && own[from + length] === 0 && accept(index)) return index;
    }
    return undefined;
  }

  /** First position of the chain that the types named `name` are in, -1 when it is empty. */
  #head(name: Uint8Array): number {
    if (name.length === 1 || name.indexOf(0) < name.length - 1) return -1;
    return this.#heads[bucketOf(hashEssential(name, 0), this.#mask)]! - 1;
  }

  #nameOffset(index: number): number {
    return this.#words[this.#offsets[index]!]!;
  }
}

function startsWith(bytes: Uint8Array, from: number, wanted: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[from + i] !== wanted[i]) return false;
  return true;
}

/** UTF-8 and a NUL; without the encoder's fixed cost for names that are ASCII. */
function encode(name: string): Uint8Array {
  const bytes = new Uint8Array(name.length + 1);
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code >= 0x80) return utf8.encode(`${name}\0`);
    bytes[i] = code;
  }
  return bytes;
}

function hashInBase(strings: StringTable, name: number): number {
  const table = strings.holder(name);
  return hashEssential(table.bytes, name - table.start);
}
