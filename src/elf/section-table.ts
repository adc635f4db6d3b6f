// The section table: elfy walks it, fenced in by our own checks. Before elfy runs, everything that it would take on trust
// is checked (it clamps sizes silently and scans names without a bound); afterwards the words that it loses or misreads
// (type, flags, alignment, entry size, exact 64-bit values) are read again, and NOBITS sections get zeros instead of the
// bytes that happen to follow. The faults are listed in typescript.md section 2.

import { ElfError } from "../errors.js";
import { ByteReader } from "./byte-reader.js";
import { SectionType } from "./constants.js";
import { readSectionsWithElfy } from "./elfy-adapter.js";
import { type ElfHeader, SECTION_HEADER_SIZE } from "./header.js";
import type { ElfSection } from "./types.js";

/** One entry of the section table, as numbers; checked against the file. */
type RawSection = Omit<ElfSection, "name" | "data" | "link" | "info">;

// A section name may hold a path and a function (`uprobe//usr/lib/…:function`): PATH_MAX plus a long C++ name.
const MAX_NAME_LENGTH = 8192;
// Names may share the tails of one string, so their sum can exceed the string table by far. This is a generous 256 bytes
// for each of 16384 sections, and elfy reads it in some ten milliseconds.
const MAX_NAME_BYTES = 4 << 20;
// Of all NOBITS sections together: they cost nothing in the file, so the file's size does not bound them.
const MAX_ZERO_BYTES = 2 ** 30;

const noBytes = new Uint8Array();

/**
 * Reads the section table of a file whose header has been checked.
 *
 * @throws ElfError `ELF_INVALID`, `ELF_TRUNCATED` (contents beyond the end of the file) or `ELF_UNSUPPORTED` (too large)
 */
export function parseSections(bytes: Uint8Array<ArrayBuffer>, header: ElfHeader): ElfSection[] {
  const file = new ByteReader(bytes, header.littleEndian);
  const names = readNames(file, header);
  let zeroBytes = 0;
  const raw = names.map((name, index) => {
    const section = readSection(file, header, index, name);
    if (section.type === SectionType.NOBITS) {
      zeroBytes += section.size;
      if (zeroBytes > MAX_ZERO_BYTES) throw tooManyZeros(name, section.size);
    }
    return section;
  });
  return readSectionsWithElfy(bytes).map(({ name, link, info }, index) => {
    // Field by field, in the order of the interface: spreads here cost more than everything else together.
    const { type, flags, address, offset, size, alignment, entrySize } = raw[index]!;
    const data = type === SectionType.NOBITS ? noBytes : bytes.subarray(offset, offset + size);
    const section = { index, name, type, flags, address, offset, size, link, info, alignment, entrySize, data };
    return type === SectionType.NOBITS ? zeroSection(section) : section;
  });
}

/** The names of all sections. Bounds what elfy will have to scan, and gives the checks of the other fields a name to tell. */
function readNames(file: ByteReader, header: ElfHeader): string[] {
  const { nameTableIndex } = header;
  const table = readSection(file, header, nameTableIndex, `with index ${nameTableIndex}`);
  if (table.type !== SectionType.STRTAB) {
    const reason = `section ${nameTableIndex} should hold the section names, but is no string table`;
    throw new ElfError("ELF_INVALID", reason, { offset: entryOffset(header, nameTableIndex) });
  }
  const strings = new ByteReader(file.bytes.subarray(table.offset, table.offset + table.size), file.littleEndian);

  const starts: number[] = [];
  let total = 0;
  for (let index = 0; index < header.sectionCount; index++) {
    const at = entryOffset(header, index);
    const start = file.u32(at);
    const length = nameLength(strings, start, at, index);
    total += length;
    if (length > MAX_NAME_LENGTH || total > MAX_NAME_BYTES) {
      const what = length > MAX_NAME_LENGTH ? `the name of section ${index} is` : "the section names are";
      throw new ElfError("ELF_INVALID", `${what} unreasonably long`, { offset: at });
    }
    starts.push(start);
  }
  return starts.map((start) => strings.string(start));
}

function nameLength(strings: ByteReader, start: number, at: number, index: number): number {
  try {
    return strings.stringEnd(start) - start;
  } catch (cause) {
    const why = start < strings.length ? "is not NUL-terminated" : "lies outside the string table";
    throw new ElfError("ELF_INVALID", `the name of section ${index} ${why}`, { offset: at, cause });
  }
}

function readSection(file: ByteReader, header: ElfHeader, index: number, name: string): RawSection {
  const at = entryOffset(header, index);
  const type = file.u32(at + 4);
  // The fields of an inactive entry mean nothing (and those of entry 0 are used for extended numbering).
  if (type === SectionType.NULL) {
    return { index, type, flags: 0, address: 0, offset: 0, size: 0, alignment: 0, entrySize: 0 };
  }
  const section: RawSection = {
    index,
    type,
    flags: file.u32(at + (file.littleEndian ? 8 : 12)),
    address: file.safeU64(at + 16),
    offset: file.safeU64(at + 24),
    size: file.safeU64(at + 32),
    alignment: file.safeU64(at + 48),
    entrySize: file.safeU64(at + 56),
  };
  checkBounds(section, file, name, at);
  return section;
}

function checkBounds({ type, offset, size, alignment }: RawSection, file: ByteReader, name: string, at: number): void {
  if (alignment > 2 ** 31 || (alignment & (alignment - 1)) !== 0) {
    throw new ElfError("ELF_INVALID", `the alignment ${alignment} is no plausible power of two`, {
      section: name,
      offset: at,
    });
  }
  if (type === SectionType.NOBITS || size <= file.length - offset) return;
  const reason = `${size} bytes at file offset 0x${offset.toString(16)} reach beyond the end of the file at 0x${file.length.toString(16)}`;
  throw new ElfError("ELF_TRUNCATED", reason, { section: name });
}

function entryOffset(header: ElfHeader, index: number): number {
  return header.sectionTableOffset + index * SECTION_HEADER_SIZE;
}

/** A section without contents in the file. Its zeros are made when somebody asks for them. */
function zeroSection(section: ElfSection): ElfSection {
  let data: Uint8Array | undefined;
  return {
    ...section,
    get data() {
      try {
        data ??= new Uint8Array(section.size);
      } catch (cause) {
        throw new ElfError("ELF_UNSUPPORTED", `no memory for ${section.size} bytes of zeros`, {
          section: section.name,
          cause,
        });
      }
      return data;
    },
  };
}

function tooManyZeros(section: string, size: number): ElfError {
  const reason = `${size} bytes of zero-initialised data; at most 1 GiB is handled, for all sections together`;
  return new ElfError("ELF_UNSUPPORTED", reason, { section });
}
