// The bytes of an ELF file of either class and byte order, for tests that make such files.

/** Class and byte order; by default 64-bit little-endian. */
export interface ElfForm {
  readonly bits?: 32 | 64;
  readonly littleEndian?: boolean;
}

/** Bytes that begin with the identification of an ELF file for machine 62 (x86-64). */
export class ElfWriter {
  readonly file: Uint8Array<ArrayBuffer>;
  /** 64-bit. */
  readonly wide: boolean;
  readonly #view: DataView;
  readonly #littleEndian: boolean;

  /** @param type of the file, ET_* */
  constructor(size: number, type: number, { bits = 64, littleEndian = true }: ElfForm) {
    this.file = new Uint8Array(size);
    this.wide = bits === 64;
    this.#view = new DataView(this.file.buffer);
    this.#littleEndian = littleEndian;
    this.file.set([0x7f, 0x45, 0x4c, 0x46, this.wide ? 2 : 1, littleEndian ? 1 : 2, 1]);
    this.u16(16, type);
    this.u16(18, 62);
  }

  u16(at: number, value: number): void {
    this.#view.setUint16(at, value, this.#littleEndian);
  }

  u32(at: number, value: number): void {
    this.#view.setUint32(at, value, this.#littleEndian);
  }

  /** An address, offset or size. */
  word(at: number, value: number): void {
    if (this.wide) this.#view.setBigUint64(at, BigInt(value), this.#littleEndian);
    else this.u32(at, value);
  }
}
