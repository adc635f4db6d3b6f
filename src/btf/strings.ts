// The string section, read in place: names stay bytes until someone asks for one. Offsets of split BTF continue
// those of its base, so a table knows the table it continues.

import { invalidBtf } from "./wire.js";

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Bytes of a name at most (the kernel takes 512). Nothing keeps the names of a file from overlapping, so that a small one
 * could ask for gigabytes of text.
 */
export const MAX_NAME = 4096;

/** String section of a BTF, with the base's in front of it. */
export class StringTable {
  /** The section's own bytes: NUL-terminated strings. */
  readonly bytes: Uint8Array;
  readonly base: StringTable | undefined;
  /** Offset of `bytes[0]`; not 0 for split BTF. */
  readonly start: number;
  /** First offset behind the table. */
  readonly end: number;
  /** Where `bytes` begins in the .BTF data, for errors. */
  readonly #fileOffset: number;
  /** Offsets from … to (exclusive) at which no name can begin, because it would be too long; hardly ever any. */
  readonly #tooLong: readonly (readonly [from: number, to: number])[];

  /** @throws BtfError `BTF_INVALID` when the section does not begin (unless split) and end with NUL */
  constructor(bytes: Uint8Array, fileOffset: number, base: StringTable | undefined) {
    // Never a Buffer: one class of bytes wherever names are read, so that the engine compiles those loops once.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    this.base = base;
    this.start = base?.end ?? 0;
    this.end = this.start + bytes.length;
    this.#fileOffset = fileOffset;
    this.#tooLong = tooLongNames(bytes, this.start);
    if (bytes.length === 0) {
      if (base === undefined) throw invalidBtf("the string section is empty", fileOffset);
      return;
    }
    if (base === undefined && bytes[0] !== 0) {
      throw invalidBtf("the string section does not begin with the empty string", fileOffset);
    }
    if (bytes[bytes.length - 1] !== 0) {
      throw invalidBtf("the string section does not end with NUL", fileOffset + bytes.length - 1);
    }
  }

  /** True when the string at `offset` has more bytes than a name may have. Costs next to nothing. */
  isTooLong(offset: number): boolean {
    if (offset < this.start) return this.base?.isTooLong(offset) ?? false;
    if (this.#tooLong.length === 0) return false;
    // The last one that begins at or before the offset.
    let [low, high] = [0, this.#tooLong.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#tooLong[middle]![0] <= offset) low = middle + 1;
      else high = middle;
    }
    const range = this.#tooLong[low - 1];
    return range !== undefined && offset < range[1];
  }

  /** The table, this one or a base, whose own bytes hold `offset`. @throws BtfError when no table does */
  holder(offset: number): StringTable {
    let table: StringTable = this;
    while (offset < table.start && table.base !== undefined) table = table.base;
    if (!(offset >= table.start && offset < table.end) || !Number.isInteger(offset)) {
      throw invalidBtf(`string offset ${offset} is out of range`, this.#fileOffset);
    }
    return table;
  }

  /**
   * Decodes the string at `offset`. Damaged UTF-8 becomes U+FFFD.
   *
   * @throws BtfError when `offset` is out of range, or the string has more than `limit` bytes
   */
  decode(offset: number, limit = Number.POSITIVE_INFINITY): string {
    if (offset === 0) return "";
    const { bytes, start } = this.holder(offset);
    const from = offset - start;
    let end = from;
    let bits = 0;
    for (let byte = bytes[end]; byte !== 0 && byte !== undefined; byte = bytes[++end]) {
      bits |= byte;
      if (end - from >= limit) throw invalidBtf(`a name has more than ${limit} bytes`, this.#fileOffset + from);
    }
    return decodeRange(bytes, from, end, bits < 0x80);
  }
}

/** Looks at a byte here and there only: a string that is too long covers every place that is a name's length apart. */
function tooLongNames(bytes: Uint8Array, start: number): [from: number, to: number][] {
  const found: [number, number][] = [];
  for (let from = 0; from + MAX_NAME < bytes.length; ) {
    const nul = bytes.lastIndexOf(0, from + MAX_NAME);
    if (nul >= from) {
      from = nul + 1;
      continue;
    }
    const next = bytes.indexOf(0, from + MAX_NAME);
    const end = next < 0 ? bytes.length : next;
    found.push([start + from, start + end - MAX_NAME]);
    from = end + 1;
  }
  return found;
}

// Names are short: for them the decoder's fixed cost is several times that of going byte by byte.
const SHORT = 32;

function decodeRange(bytes: Uint8Array, from: number, end: number, ascii: boolean): string {
  if (!ascii || end - from > SHORT) return utf8.decode(bytes.subarray(from, end));
  let text = "";
  for (let at = from; at < end; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}
