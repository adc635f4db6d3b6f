// The first 64 bytes: is this an ELF object that BPF tools produced? Says precisely what it is instead when it is not,
// because handing over the wrong file is the most common mistake of all. libbpf.md 3.1 step 2.

import { ElfError } from "../errors.js";
import { ByteReader } from "./byte-reader.js";
import { ElfMachine, SpecialSection } from "./constants.js";

/** What the header says about the section table; every number is checked against the file. */
export interface ElfHeader {
  readonly littleEndian: boolean;
  readonly machine: number;
  readonly sectionTableOffset: number;
  readonly sectionCount: number;
  /** Index of the string table with the section names. */
  readonly nameTableIndex: number;
}

/** Size of one entry of the section table (Elf64_Shdr). */
export const SECTION_HEADER_SIZE = 64;

const HEADER_SIZE = 64;
const IDENT_SIZE = 16;
const PROGRAM_HEADER_SIZE = 56;

// The largest objects of the kernel's own selftests have a few hundred sections. The limit keeps the work that a crafted
// file can cause below some ten milliseconds.
const MAX_TABLE_ENTRIES = 16384;

const compileHint = "compile with clang -O2 -g -target bpf -c";

/** Files that get passed by mistake, by their first bytes. */
const otherFormats: readonly (readonly [magic: readonly number[], what: string, hint: string])[] = [
  [[0x42, 0x43, 0xc0, 0xde], "LLVM bitcode", "compile without -emit-llvm and -flto"],
  [[0x21, 0x3c, 0x61, 0x72, 0x63, 0x68, 0x3e], "an archive", "extract the object file that you want"],
  [[0x1f, 0x8b], "gzip data", "decompress it"],
];

/** Machines that people compile for when they forget `-target bpf` (EM_*). */
const machineNames: Readonly<Record<number, string>> = {
  2: "SPARC",
  3: "x86 (32-bit)",
  8: "MIPS",
  20: "PowerPC",
  21: "PowerPC 64",
  22: "s390",
  40: "ARM (32-bit)",
  43: "SPARC 64",
  62: "x86-64",
  183: "AArch64",
  243: "RISC-V",
  258: "LoongArch",
};

/** `e_type` of intact files that are not relocatable objects. */
const otherTypes: Readonly<Record<number, string>> = { 2: "an executable", 3: "a shared object", 4: "a core dump" };

/**
 * Checks the ELF header of a BPF object.
 *
 * @throws ElfError `ELF_INVALID` (no ELF file, or nonsense in a field), `ELF_TRUNCATED` (header or section table cut off),
 *   `ELF_UNSUPPORTED` (32-bit, other machine, not relocatable, more sections than any BPF object has)
 */
export function parseHeader(bytes: Uint8Array): ElfHeader {
  const littleEndian = checkIdent(bytes);
  if (bytes.length < HEADER_SIZE) throw truncatedHeader(bytes);
  const reader = new ByteReader(bytes, littleEndian);

  const machine = reader.u16(18);
  if (machine !== ElfMachine.BPF && machine !== ElfMachine.NONE) {
    const name = machineNames[machine];
    const what = name === undefined ? `machine ${machine}` : `${name} (machine ${machine})`;
    throw new ElfError("ELF_UNSUPPORTED", `the file is for ${what}, not for BPF`, { offset: 18, hint: compileHint });
  }
  const type = reader.u16(16);
  if (type !== 1) {
    const what = otherTypes[type];
    if (what === undefined) throw invalid(`unknown ELF file type ${type}`, 16);
    throw new ElfError("ELF_UNSUPPORTED", `the file is ${what}, not a relocatable object`, {
      offset: 16,
      hint: compileHint,
    });
  }
  const version = reader.u32(20);
  if (version !== 1) throw invalid(`unknown ELF version ${version}`, 20);

  checkProgramHeaders(reader);
  return { littleEndian, machine, ...locateSectionTable(reader) };
}

/** Checks `e_ident`; returns whether the file is little-endian. */
function checkIdent(bytes: Uint8Array): boolean {
  if (!startsWith(bytes, [0x7f, 0x45, 0x4c, 0x46].slice(0, Math.max(bytes.length, 1)))) {
    const other = otherFormats.find(([magic]) => startsWith(bytes, magic));
    const what = bytes.length === 0 ? "the file is empty" : `not an ELF file${other ? ` but ${other[1]}` : ""}`;
    throw new ElfError("ELF_INVALID", what, { offset: 0, hint: other?.[2] });
  }
  if (bytes.length < IDENT_SIZE) throw truncatedHeader(bytes);
  if (bytes[4] === 1) {
    throw new ElfError("ELF_UNSUPPORTED", "the file is 32-bit ELF; BPF objects are 64-bit", {
      offset: 4,
      hint: compileHint,
    });
  }
  if (bytes[4] !== 2) throw invalid(`unknown ELF class ${bytes[4]}`, 4);
  if (bytes[5] !== 1 && bytes[5] !== 2) throw invalid(`unknown byte order ${bytes[5]}`, 5);
  if (bytes[6] !== 1) throw invalid(`unknown ELF version ${bytes[6]}`, 6);
  return bytes[5] === 1;
}

// Relocatable objects have no segments. Some tool may write a table nevertheless; elfy reads it, so it has to be sound.
function checkProgramHeaders(reader: ByteReader): void {
  const count = reader.u16(56);
  if (count === 0) return;
  const offset = reader.safeU64(32);
  if (offset === 0) return;
  if (reader.u16(54) !== PROGRAM_HEADER_SIZE) throw invalid(`segment headers of ${reader.u16(54)} bytes`, 54);
  if (count > MAX_TABLE_ENTRIES) throw tooMany(count, "segments", 56);
  checkTable(reader, offset, count * PROGRAM_HEADER_SIZE, "segment table");
}

function locateSectionTable(
  reader: ByteReader,
): Pick<ElfHeader, "sectionTableOffset" | "sectionCount" | "nameTableIndex"> {
  const sectionTableOffset = reader.safeU64(40);
  if (sectionTableOffset === 0) throw invalid("the file has no section table", 40);
  const entrySize = reader.u16(58);
  if (entrySize !== SECTION_HEADER_SIZE) throw invalid(`section headers of ${entrySize} bytes instead of 64`, 58);

  const sectionCount = reader.u16(60);
  const nameTableIndex = reader.u16(62);
  // Extended numbering: the true count, or index, lies in section 0.
  if (sectionCount === 0 || nameTableIndex === SpecialSection.XINDEX) {
    throw new ElfError("ELF_UNSUPPORTED", "extended section numbering (65280 sections or more, or none)", {
      offset: sectionCount === 0 ? 60 : 62,
    });
  }
  if (sectionCount > MAX_TABLE_ENTRIES) throw tooMany(sectionCount, "sections", 60);
  checkTable(
    reader,
    sectionTableOffset,
    sectionCount * SECTION_HEADER_SIZE,
    `section table (${sectionCount} sections)`,
  );

  if (nameTableIndex === SpecialSection.UNDEF) throw invalid("the file has no table of section names", 62);
  if (nameTableIndex >= sectionCount) {
    throw invalid(
      `section ${nameTableIndex} should hold the section names, but there are ${sectionCount} sections`,
      62,
    );
  }
  return { sectionTableOffset, sectionCount, nameTableIndex };
}

function checkTable(reader: ByteReader, offset: number, size: number, what: string): void {
  if (offset <= reader.length && size <= reader.length - offset) return;
  const end = `0x${(offset + size).toString(16)}`;
  throw new ElfError("ELF_TRUNCATED", `the ${what} ends at ${end}, the file at 0x${reader.length.toString(16)}`, {
    offset,
  });
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}

function truncatedHeader(bytes: Uint8Array): ElfError {
  return new ElfError(
    "ELF_TRUNCATED",
    `the file ends inside the ELF header (${bytes.length} of ${HEADER_SIZE} bytes)`,
    {
      offset: bytes.length,
    },
  );
}

function invalid(reason: string, offset: number): ElfError {
  return new ElfError("ELF_INVALID", reason, { offset });
}

function tooMany(count: number, what: string, offset: number): ElfError {
  return new ElfError("ELF_UNSUPPORTED", `${count} ${what}; at most ${MAX_TABLE_ENTRIES} are handled`, { offset });
}
