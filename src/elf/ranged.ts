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
export interface SectionRange {
  /** SHT_*. */
  readonly type: number;
  /** SHF_*; of 64-bit files the low 32 bits. */
  readonly flags: number;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  /** In memory, relative to where the file is loaded; 0 for sections that are not. */
  readonly address: number;
  /** Index of a related section: the strings of a table of symbols. */
  readonly link: number;
}

/** What of the file is mapped to where (Elf_Phdr). */
export interface Segment {
  /** PT_*. */
  readonly type: number;
  /** PF_*. */
  readonly flags: number;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** In memory, relative to where the file is loaded. */
  readonly address: number;
  /** Bytes, in the file. */
  readonly size: number;
}

/** The sections of a file. */
export interface ElfRanges {
  readonly littleEndian: boolean;
  /** Bytes of an address: 4 or 8. */
  readonly wordSize: 4 | 8;
  /** EM_*. */
  readonly machine: number;
  /** ET_*. */
  readonly type: number;
  /** All sections, by index. */
  sections(): readonly SectionRange[];
  /** All segments. @throws ElfError */
  segments(): readonly Segment[];
  /** The first section of that name. */
  find(name: string): SectionRange | undefined;
  /** The contents of a section. @throws ElfError as {@link read} */
  contents(section: SectionRange, name: string): Uint8Array;
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
    readonly segmentOffset: number;
    readonly tableOffset: number;
    readonly segmentSize: number;
    readonly segmentCount: number;
    readonly entrySize: number;
    readonly count: number;
    readonly nameTable: number;
  };
  readonly entry: {
    readonly size: number;
    readonly flags: number;
    readonly address: number;
    readonly offset: number;
    readonly length: number;
    readonly link: number;
    readonly info: number;
  };
  readonly segment: {
    readonly size: number;
    readonly flags: number;
    readonly offset: number;
    readonly address: number;
    readonly length: number;
  };
}

/** By EI_CLASS: Elf32_Ehdr, Elf32_Shdr and Elf32_Phdr, then those of Elf64. */
const layouts: Readonly<Record<number, ClassLayout>> = {
  1: {
    word: 4,
    header: {
      size: 52,
      segmentOffset: 28,
      tableOffset: 32,
      segmentSize: 42,
      segmentCount: 44,
      entrySize: 46,
      count: 48,
      nameTable: 50,
    },
    entry: { size: 40, flags: 8, address: 12, offset: 16, length: 20, link: 24, info: 28 },
    segment: { size: 32, flags: 24, offset: 4, address: 8, length: 16 },
  },
  2: {
    word: 8,
    header: {
      size: 64,
      segmentOffset: 32,
      tableOffset: 40,
      segmentSize: 54,
      segmentCount: 56,
      entrySize: 58,
      count: 60,
      nameTable: 62,
    },
    entry: { size: 64, flags: 8, address: 16, offset: 24, length: 32, link: 40, info: 44 },
    segment: { size: 56, flags: 4, offset: 8, address: 16, length: 32 },
  },
};

/** Bytes of a section table, and of the section names: a kernel built with a section for each function stays far below. */
const MAX_TABLE = 1 << 26;
const IDENT_SIZE = 16;
/** e_machine, in both classes. */
const MACHINE_OFFSET = 18;
/** e_type. */
const TYPE_OFFSET = 16;
/** e_phnum of files with more segments than fit: their number is in section 0 (UAPI linux/elf.h). */
const PN_XNUM = 0xffff;

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
  readonly #file: ByteReader;
  readonly #table: ByteReader;
  readonly #names: ByteReader;

  constructor(source: RangeSource, layout: ClassLayout, littleEndian: boolean) {
    this.#source = source;
    this.#layout = layout;
    this.#littleEndian = littleEndian;
    this.#file = this.#reader(readRange(source, 0, layout.header.size, "ELF header"));
    [this.#table, this.#names] = this.#readTables();
  }

  get littleEndian(): boolean {
    return this.#littleEndian;
  }

  get wordSize(): 4 | 8 {
    return this.#layout.word;
  }

  get machine(): number {
    return this.#file.u16(MACHINE_OFFSET);
  }

  get type(): number {
    return this.#file.u16(TYPE_OFFSET);
  }

  sections(): readonly SectionRange[] {
    const { size } = this.#layout.entry;
    return Array.from({ length: this.#table.length / size }, (_, index) => this.#entry(this.#table, index * size));
  }

  segments(): readonly Segment[] {
    const { header, segment, entry } = this.#layout;
    const file = this.#file;
    const stated = file.u16(header.segmentCount);
    const count = stated === PN_XNUM ? this.#table.u32(entry.info) : stated;
    if (count === 0) return [];
    if (file.u16(header.segmentSize) !== segment.size) {
      throw new ElfError("ELF_INVALID", `program headers of other than ${segment.size} bytes`, {
        offset: header.segmentSize,
      });
    }
    const size = count * segment.size;
    if (size > MAX_TABLE) throw tooLarge("table of program headers", size);
    const offset = this.#word(file, header.segmentOffset);
    const table = this.#reader(readRange(this.#source, offset, size, "table of program headers"));
    return Array.from({ length: count }, (_, index) => {
      const at = index * segment.size;
      return {
        type: table.u32(at),
        flags: table.u32(at + segment.flags),
        offset: this.#word(table, at + segment.offset),
        address: this.#word(table, at + segment.address),
        size: this.#word(table, at + segment.length),
      };
    });
  }

  has(name: string): boolean {
    return this.find(name) !== undefined;
  }

  read(name: string): Uint8Array | undefined {
    const section = this.find(name);
    return section === undefined ? undefined : this.contents(section, name);
  }

  contents({ type, flags, offset, size }: SectionRange, name: string): Uint8Array {
    if (type === SectionType.NOBITS || (flags & SectionFlag.COMPRESSED) !== 0) {
      const what = type === SectionType.NOBITS ? "has no contents in this file" : "is compressed";
      throw new ElfError("ELF_UNSUPPORTED", `the section ${what}`, { section: name });
    }
    return readRange(this.#source, offset, size, `section ${name}`);
  }

  find(name: string): SectionRange | undefined {
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
    const file = this.#file;
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
      address: this.#word(table, at + entry.address),
      link: table.u32(at + entry.link),
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
