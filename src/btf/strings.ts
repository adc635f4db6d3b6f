// The string section, read in place: names stay bytes until someone asks for one. Offsets of split BTF continue
// those of its base, so a table knows the table it continues.

import { invalidBtf } from "./wire.js";

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

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

  /** @throws BtfError `BTF_INVALID` when the section does not begin (unless split) and end with NUL */
  constructor(bytes: Uint8Array, fileOffset: number, base: StringTable | undefined) {
    // Never a Buffer: one class of bytes wherever names are read, so that the engine compiles those loops once.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    this.base = base;
    this.start = base?.end ?? 0;
    this.end = this.start + bytes.length;
    this.#fileOffset = fileOffset;
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
    for (let byte = bytes[end]; byte !== 0 && byte !== undefined; byte = bytes[++end]) bits |= byte;
    if (end - from > limit) throw invalidBtf(`a name of ${end - from} bytes is too long`, this.#fileOffset + from);
    return decodeRange(bytes, from, end, bits < 0x80);
  }
}

// Names are short: for them the decoder's fixed cost is several times that of going byte by byte.
const SHORT = 32;

function decodeRange(bytes: Uint8Array, from: number, end: number, ascii: boolean): string {
  if (!ascii || end - from > SHORT) return utf8.decode(bytes.subarray(from, end));
  let text = "";
  for (let at = from; at < end; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}
