// Sections of any ELF file (a kernel image, a module, an executable), however large: only what is asked for is read,
// through a function that the caller gives. Both classes and byte orders; for BPF objects see parse.ts.

import { ElfError } from "../errors.js";
import { ByteReader } from "./byte-reader.js";
import { SectionFlag, SectionType, SpecialSection } from "./constants.js";

/** Where to read from. */
export interface RangeSource {
  /** Bytes. */
  readonly size: number;
  /** Exactly `length` bytes from `offset` on; both lie within `size`. */
  read(offset: number, length: number): Uint8Array;
}

/** Where a section lies. */
interface SectionRange {
  /** SHT_*. */
  readonly type: number;
  /** SHF_*; of 64-bit files the low 32 bits. */
  readonly flags: number;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** The sections of a file. */
export interface ElfRanges {
  /** Whether there is a section of that name. */
  has(name: string): boolean;
  /**
   * The contents of the first section of that name; undefined when there is none.
   *
   * @throws ElfError `ELF_TRUNCATED` beyond the end of the file, `ELF_UNSUPPORTED` for a compressed section or one whose
   *   contents are not in the file (SHT_NOBITS, as in a file of debug information)
   */
  read(name: string): Uint8Array | undefined;
}

/** Where the fields of a class are, in bytes; `word` is the size of those that differ in size. */
interface ClassLayout {
  readonly word: 4 | 8;
  readonly header: {
    readonly size: number;
    readonly tableOffset: number;
    readonly entrySize: number;
    readonly count: number;
    readonly nameTable: number;
  };
  readonly entry: {
    readonly size: number;
    readonly flags: number;
    readonly offset: number;
    readonly length: number;
    readonly link: number;
  };
}

/** By EI_CLASS: Elf32_Ehdr and Elf32_Shdr, Elf64_Ehdr and Elf64_Shdr. */
const layouts: Readonly<Record<number, ClassLayout>> = {
  1: {
    word: 4,
    header: { size: 52, tableOffset: 32, entrySize: 46, count: 48, nameTable: 50 },
    entry: { size: 40, flags: 8, offset: 16, length: 20, link: 24 },
  },
  2: {
    word: 8,
    header: { size: 64, tableOffset: 40, entrySize: 58, count: 60, nameTable: 62 },
    entry: { size: 64, flags: 8, offset: 24, length: 32, link: 40 },
  },
};

/** Bytes of a section table, and of the section names: a kernel built with a section for each function stays far below. */
const MAX_TABLE = 1 << 26;
const IDENT_SIZE = 16;

/** True for what begins like an ELF file. */
export function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/**
 * Reads the section table of an ELF file of any machine and type.
 *
 * @throws ElfError `ELF_INVALID`, `ELF_TRUNCATED`, `ELF_UNSUPPORTED`, and what `source.read` throws
 */
export function readSectionTable(source: RangeSource): ElfRanges {
  const ident = readRange(source, 0, IDENT_SIZE, "ELF header");
  if (!isElf(ident)) throw new ElfError("ELF_INVALID", "not an ELF file", { offset: 0 });
  const layout = layouts[ident[4]!];
  if (layout === undefined) throw new ElfError("ELF_INVALID", `unknown ELF class ${ident[4]}`, { offset: 4 });
  if (ident[5] !== 1 && ident[5] !== 2) {
    throw new ElfError("ELF_INVALID", `unknown byte order ${ident[5]}`, { offset: 5 });
  }
  const littleEndian = ident[5] === 1;
  return new Sections(source, layout, littleEndian);
}

class Sections implements ElfRanges {
  readonly #source: RangeSource;
  readonly #layout: ClassLayout;
  readonly #littleEndian: boolean;
  readonly #table: ByteReader;
  readonly #names: ByteReader;

  constructor(source: RangeSource, layout: ClassLayout, littleEndian: boolean) {
    this.#source = source;
    this.#layout = layout;
    this.#littleEndian = littleEndian;
    [this.#table, this.#names] = this.#readTables();
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  read(name: string): Uint8Array | undefined {
    const section = this.#find(name);
    if (section === undefined) return undefined;
    const { type, flags, offset, size } = section;
    if (type === SectionType.NOBITS || (flags & SectionFlag.COMPRESSED) !== 0) {
      const what = type === SectionType.NOBITS ? "has no contents in this file" : "is compressed";
      throw new ElfError("ELF_UNSUPPORTED", `the section ${what}`, { section: name });
    }
    return readRange(this.#source, offset, size, `section ${name}`);
  }

  #find(name: string): SectionRange | undefined {
    const wanted = new TextEncoder().encode(`${name}\0`);
    const { bytes } = this.#names;
    for (let at = 0; at < this.#table.length; at += this.#layout.entry.size) {
      const start = this.#table.u32(at);
      if (wanted.every((byte, index) => bytes[start + index] === byte)) return this.#entry(this.#table, at);
    }
    return undefined;
  }

  #readTables(): [table: ByteReader, names: ByteReader] {
    const { header, entry } = this.#layout;
    const file = this.#reader(readRange(this.#source, 0, header.size, "ELF header"));
    const tableOffset = this.#word(file, header.tableOffset);
    if (tableOffset === 0) throw new ElfError("ELF_INVALID", "the file has no section table", { offset: 0 });
    const entrySize = file.u16(header.entrySize);
    if (entrySize !== entry.size) {
      throw new ElfError("ELF_INVALID", `section headers of ${entrySize} bytes instead of ${entry.size}`, {
        offset: header.entrySize,
      });
    }
    // Extended numbering: what does not fit in 16 bits lies in entry 0.
    const first = this.#reader(readRange(this.#source, tableOffset, entry.size, "section table"));
    const count = file.u16(header.count) || this.#word(first, entry.length);
    const index = file.u16(header.nameTable);
    const nameTable = index === SpecialSection.XINDEX ? first.u32(entry.link) : index;
    if (count > MAX_TABLE / entry.size) throw tooLarge("section table", count * entry.size);
    const table = this.#reader(readRange(this.#source, tableOffset, count * entry.size, "section table"));
    if (nameTable === SpecialSection.UNDEF || nameTable >= count) {
      throw new ElfError("ELF_INVALID", `no section ${nameTable} for the names of ${count} sections`, {
        offset: header.nameTable,
      });
    }
    const { offset, size } = this.#entry(table, nameTable * entry.size);
    if (size > MAX_TABLE) throw tooLarge("table of section names", size);
    return [table, this.#reader(readRange(this.#source, offset, size, "table of section names"))];
  }

  #entry(table: ByteReader, at: number): SectionRange {
    const { entry, word } = this.#layout;
    const highWord = word === 8 && !this.#littleEndian ? 4 : 0;
    return {
      type: table.u32(at + 4),
      flags: table.u32(at + entry.flags + highWord),
      offset: this.#word(table, at + entry.offset),
      size: this.#word(table, at + entry.length),
    };
  }

  #word(reader: ByteReader, at: number): number {
    return this.#layout.word === 8 ? reader.safeU64(at) : reader.u32(at);
  }

  #reader(bytes: Uint8Array): ByteReader {
    return new ByteReader(bytes, this.#littleEndian);
  }
}

function readRange(source: RangeSource, offset: number, length: number, what: string): Uint8Array {
  if (offset > source.size || length > source.size - offset) {
    const end = `0x${(offset + length).toString(16)}`;
    throw new ElfError("ELF_TRUNCATED", `the ${what} ends at ${end}, the file at 0x${source.size.toString(16)}`, {
      offset,
    });
  }
  return source.read(offset, length);
}

function tooLarge(what: string, size: number): ElfError {
  return new ElfError("ELF_UNSUPPORTED", `a ${what} of ${size} bytes; at most ${MAX_TABLE} are handled`, { offset: 0 });
}
