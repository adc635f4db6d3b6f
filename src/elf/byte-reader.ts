// Reads numbers and strings of either byte order out of bytes that nobody has vouched for: every access is checked, and
// what does not fit is an ElfError that names the place.

import { ElfError } from "../errors.js";

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Bounds-checked access to `bytes` in one byte order. Offsets are in bytes from the start of `bytes`. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly littleEndian: boolean;
  readonly #view: DataView;
  readonly #section: string | undefined;

  /** @param section name of the section that `bytes` are the contents of; errors carry it. Leave it out for a whole file. */
  constructor(bytes: Uint8Array, littleEndian: boolean, section?: string) {
    this.bytes = bytes;
    this.littleEndian = littleEndian;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#section = section;
  }

  /** Number of bytes. */
  get length(): number {
    return this.bytes.length;
  }

  /** Throws `ELF_TRUNCATED` unless `size` bytes lie at `offset`. */
  need(offset: number, size: number): void {
    if (Number.isSafeInteger(offset) && offset >= 0 && size >= 0 && size <= this.length - offset) return;
    throw new ElfError(
      "ELF_TRUNCATED",
      `${size} bytes are needed here, beyond the end at 0x${this.length.toString(16)}`,
      {
        section: this.#section,
        offset,
      },
    );
  }

  u8(offset: number): number {
    this.need(offset, 1);
    return this.#view.getUint8(offset);
  }

  u16(offset: number): number {
    this.need(offset, 2);
    return this.#view.getUint16(offset, this.littleEndian);
  }

  u32(offset: number): number {
    this.need(offset, 4);
    return this.#view.getUint32(offset, this.littleEndian);
  }

  u64(offset: number): bigint {
    this.need(offset, 8);
    return this.#view.getBigUint64(offset, this.littleEndian);
  }

  i64(offset: number): bigint {
    this.need(offset, 8);
    return this.#view.getBigInt64(offset, this.littleEndian);
  }

  /** A 64-bit field that is an address, offset, size or count. Throws `ELF_INVALID` when it is 2^53 or more. */
  safeU64(offset: number): number {
    const low = this.u32(this.littleEndian ? offset : offset + 4);
    const high = this.u32(this.littleEndian ? offset + 4 : offset);
    if (high < 0x20_0000) return high * 0x1_0000_0000 + low;
    throw new ElfError("ELF_INVALID", `0x${this.u64(offset).toString(16)} is no plausible size or address`, {
      section: this.#section,
      offset,
    });
  }

  /** Offset of the NUL that ends the string at `offset`. Throws `ELF_INVALID` when there is none before `end`. */
  stringEnd(offset: number, end: number = this.length): number {
    if (offset < end) {
      const terminator = this.bytes.indexOf(0, offset);
      if (terminator !== -1 && terminator < end) return terminator;
    }
    const reason =
      offset < end ? "a string is not NUL-terminated" : `a string starts beyond the end at 0x${end.toString(16)}`;
    throw new ElfError("ELF_INVALID", reason, { section: this.#section, offset });
  }

  /** The NUL-terminated UTF-8 string at `offset`; its NUL has to come before `end`. Throws `ELF_INVALID` otherwise. */
  string(offset: number, end: number = this.length): string {
    return utf8.decode(this.bytes.subarray(offset, this.stringEnd(offset, end)));
  }
}
