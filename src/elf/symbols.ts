// The symbol table. Indices and names are checked here once, so that nobody above has to.

import { ElfError } from "../errors.js";
import { ByteReader } from "./byte-reader.js";
import { SectionType, SpecialSection } from "./constants.js";
import type { ElfSection, ElfSymbol } from "./types.js";

/** Size of one Elf64_Sym. */
export const SYMBOL_SIZE = 24;

// Symbols may share the tails of one string, so the sum of their names can exceed the string table by far.
const MAX_NAME_BYTES = 16 << 20;

/**
 * The section of type SHT_SYMTAB; undefined when there is none.
 *
 * @throws ElfError `ELF_INVALID` when there are several (libbpf refuses that too: libbpf.md 3.1 step 3)
 */
export function findSymbolTable(sections: readonly ElfSection[]): ElfSection | undefined {
  const [table, second] = sections.filter((section) => section.type === SectionType.SYMTAB);
  if (second === undefined) return table;
  throw new ElfError("ELF_INVALID", `a second symbol table; the first is section ${table?.index}`, {
    section: second.name,
  });
}

/**
 * Reads all symbols; entry `i` of the result is symbol `i` of the file, so the null symbol comes first.
 *
 * @throws ElfError `ELF_INVALID` or `ELF_TRUNCATED`
 */
export function parseSymbols(sections: readonly ElfSection[], table: ElfSection, littleEndian: boolean): ElfSymbol[] {
  const count = entryCount(table, SYMBOL_SIZE);
  const reader = new ByteReader(table.data, littleEndian, table.name);
  const names = nameReader(sections, table, littleEndian);
  const sectionIndexOf = sectionIndexReader(sections, table, littleEndian);

  const symbols: ElfSymbol[] = [];
  for (let index = 0; index < count; index++) {
    const at = index * SYMBOL_SIZE;
    const info = reader.u8(at + 4);
    symbols.push({
      index,
      name: names(reader.u32(at), at),
      value: reader.safeU64(at + 8),
      size: reader.safeU64(at + 16),
      type: info & 0xf,
      binding: info >> 4,
      visibility: reader.u8(at + 5) & 3,
      sectionIndex: sectionIndexOf(index, reader.u16(at + 6), at),
    });
  }
  return symbols;
}

/** Number of entries of a section that is a table of `size`-byte entries. Throws `ELF_INVALID` when it is not quite that. */
export function entryCount(section: ElfSection, size: number): number {
  if (section.entrySize !== size) {
    throw new ElfError("ELF_INVALID", `entries of ${section.entrySize} bytes instead of ${size}`, {
      section: section.name,
    });
  }
  if (section.size % size !== 0) {
    throw new ElfError("ELF_INVALID", `${section.size} bytes are no whole number of ${size}-byte entries`, {
      section: section.name,
    });
  }
  return section.size / size;
}

function nameReader(
  sections: readonly ElfSection[],
  table: ElfSection,
  littleEndian: boolean,
): (nameOffset: number, at: number) => string {
  const stringTable = sections[table.link];
  if (stringTable?.type !== SectionType.STRTAB) {
    throw new ElfError("ELF_INVALID", `sh_link ${table.link} should name a string table`, { section: table.name });
  }
  const strings = new ByteReader(stringTable.data, littleEndian, stringTable.name);
  // Many symbols have the same name (none at all, mostly).
  const known = new Map<number, string>();
  let total = 0;
  return (nameOffset, at) => {
    let name = known.get(nameOffset);
    if (name === undefined) {
      // An object whose symbols have no names may leave the string table empty.
      const end = nameOffset === 0 && strings.length === 0 ? 0 : strings.stringEnd(nameOffset);
      total += end - nameOffset;
      if (total > MAX_NAME_BYTES) {
        throw new ElfError("ELF_INVALID", "the symbol names are unreasonably long", {
          section: table.name,
          offset: at,
        });
      }
      name = end === nameOffset ? "" : strings.string(nameOffset);
      known.set(nameOffset, name);
    }
    return name;
  };
}

/** `st_shndx` as an index into `sections`, or a special value as it is. */
function sectionIndexReader(
  sections: readonly ElfSection[],
  table: ElfSection,
  littleEndian: boolean,
): (symbolIndex: number, sectionIndex: number, at: number) => number {
  const extended = sections.find(({ type, link }) => type === SectionType.SYMTAB_SHNDX && link === table.index);
  const indices = extended && new ByteReader(extended.data, littleEndian, extended.name);
  return (symbolIndex, sectionIndex, at) => {
    let index = sectionIndex;
    if (index === SpecialSection.XINDEX) {
      if (indices === undefined) {
        throw new ElfError("ELF_INVALID", `symbol ${symbolIndex} needs a SHT_SYMTAB_SHNDX section, and there is none`, {
          section: table.name,
          offset: at,
        });
      }
      index = indices.u32(symbolIndex * 4);
    } else if (index >= SpecialSection.LORESERVE) {
      return index;
    }
    if (index < sections.length) return index;
    throw new ElfError("ELF_INVALID", `symbol ${symbolIndex} lies in section ${index} of ${sections.length}`, {
      section: table.name,
      offset: at,
    });
  };
}
