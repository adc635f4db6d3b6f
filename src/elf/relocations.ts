// SHT_REL and SHT_RELA sections: where in another section a symbol's address or number is to be put.

import { ArgumentError, ElfError } from "../errors.js";
import { ByteReader } from "./byte-reader.js";
import { SectionType } from "./constants.js";
import type { ElfFile } from "./parse.js";
import { entryCount, SYMBOL_SIZE } from "./symbols.js";
import type { ElfRelocation, ElfSection } from "./types.js";

const REL_SIZE = 16;
const RELA_SIZE = 24;

/**
 * Reads the relocations of `section` (SHT_REL or SHT_RELA) in file order. The section they apply to is
 * `elf.sections[section.info]`, which is checked to exist; offsets lie inside it and symbols exist.
 *
 * @throws ElfError `ELF_INVALID`; ArgumentError when `section` is of another type
 */
export function parseRelocations(elf: ElfFile, section: ElfSection): ElfRelocation[] {
  const withAddend = section.type === SectionType.RELA;
  if (!withAddend && section.type !== SectionType.REL) {
    throw new ArgumentError("not a section of relocations", { section: section.name });
  }
  const size = withAddend ? RELA_SIZE : REL_SIZE;
  const count = entryCount(section, size);
  const target = targetOf(elf, section);
  const symbolCount = symbolCountOf(elf, section);
  const reader = new ByteReader(section.data, elf.littleEndian, section.name);

  const relocations: ElfRelocation[] = [];
  for (let at = 0; at < count * size; at += size) {
    const offset = reader.safeU64(at);
    // r_info is one 64-bit word: symbol in the high half, type in the low one.
    const symbolIndex = reader.u32(at + (elf.littleEndian ? 12 : 8));
    const type = reader.u32(at + (elf.littleEndian ? 8 : 12));
    if (offset >= target.size) {
      const end = `0x${target.size.toString(16)}`;
      throw invalid(`offset 0x${offset.toString(16)} lies outside section ${target.name}, which ends at ${end}`, at);
    }
    if (symbolIndex >= symbolCount) throw invalid(`symbol ${symbolIndex} of ${symbolCount}`, at);
    relocations.push({ offset, type, symbolIndex, addend: withAddend ? reader.i64(at + 16) : undefined });
  }
  return relocations;

  function invalid(reason: string, offset: number): ElfError {
    return new ElfError("ELF_INVALID", reason, { section: section.name, offset });
  }
}

function targetOf(elf: ElfFile, section: ElfSection): ElfSection {
  const target = elf.sections[section.info];
  if (target !== undefined && target.type !== SectionType.NULL) return target;
  throw new ElfError("ELF_INVALID", `sh_info ${section.info} should name the section to relocate`, {
    section: section.name,
  });
}

function symbolCountOf(elf: ElfFile, section: ElfSection): number {
  if (elf.symbolTable === undefined || elf.symbolTable.index !== section.link) {
    throw new ElfError("ELF_INVALID", `sh_link ${section.link} should name the symbol table`, {
      section: section.name,
    });
  }
  return entryCount(elf.symbolTable, SYMBOL_SIZE);
}
