// The bytes of an ELF file of either class and byte order, for tests that make such files.

/** Class and byte order; by default 64-bit little-endian. */
export interface ElfForm {
  readonly bits?: 32 | 64;
  readonly littleEndian?: boolean;
}

/** Bytes of the file header, and of an entry of each table. */
export function sizesOf(wide: boolean): {
  readonly header: number;
  readonly segment: number;
  readonly section: number;
} {
  return wide ? { header: 64, segment: 56, section: 64 } : { header: 52, segment: 32, section: 40 };
}

interface Tables {
  readonly sectionsAt: number;
  /** How many, the empty first one included. */
  readonly sections: number;
  /** Index of the section of names. */
  readonly names: number;
  readonly segments?: number;
}

interface SegmentSpec {
  /** PF_*. */
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

interface SectionSpec {
  readonly name: number;
  /** SHT_*, SHF_*. */
  readonly type: number;
  readonly flags?: number;
  readonly address?: number;
  readonly offset: number;
  readonly size: number;
  readonly link?: number;
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

  /** Where the tables are, and which section has the names of the others. */
  tables({ sectionsAt, sections, names, segments = 0 }: Tables): void {
    const { wide } = this;
    const { header, segment, section } = sizesOf(wide);
    if (segments > 0) this.word(wide ? 32 : 28, header);
    this.word(wide ? 40 : 32, sectionsAt);
    if (segments > 0) this.u16(wide ? 54 : 42, segment);
    this.u16(wide ? 56 : 44, segments);
    this.u16(wide ? 58 : 46, section);
    this.u16(wide ? 60 : 48, sections);
    this.u16(wide ? 62 : 50, names);
  }

  /** A segment of type PT_LOAD; its table follows the header. */
  segment(index: number, { flags, offset, address, size }: SegmentSpec): void {
    const { wide } = this;
    const { header, segment } = sizesOf(wide);
    const at = header + index * segment;
    this.u32(at, 1);
    this.u32(at + (wide ? 4 : 24), flags);
    this.word(at + (wide ? 8 : 4), offset);
    this.word(at + (wide ? 16 : 8), address);
    this.word(at + (wide ? 32 : 16), size);
    this.word(at + (wide ? 40 : 20), size);
  }

  /** A header of the section table that begins at `sectionsAt`; `name` is an offset into the names. */
  section(sectionsAt: number, index: number, spec: SectionSpec): void {
    const { wide } = this;
    const { name, type, flags = 0, address = 0, offset, size, link = 0 } = spec;
    const at = sectionsAt + index * sizesOf(wide).section;
    this.u32(at, name);
    this.u32(at + 4, type);
    this.word(at + 8, flags);
    this.word(at + (wide ? 16 : 12), address);
    this.word(at + (wide ? 24 : 16), offset);
    this.word(at + (wide ? 32 : 20), size);
    this.u32(at + (wide ? 40 : 24), link);
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
