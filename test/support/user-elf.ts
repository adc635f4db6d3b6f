// Executables with functions, as small as can be: both classes and byte orders, one segment, one table of symbols.

import { type ElfForm, ElfWriter } from "./elf-writer.js";

/** A symbol; by default a global function in section 1. A version stands in the name, as linkers write it in .symtab. */
export interface SymbolSpec {
  readonly name: string;
  readonly value: number;
  /** STT_* and STB_*. */
  readonly type?: number;
  readonly binding?: number;
  readonly section?: number;
}

/** A file whose only segment maps 0x400 bytes from file offset 0x200 on to address 0x1000. */
export function userElf(symbols: readonly SymbolSpec[], form: ElfForm = {}): Uint8Array {
  const wide = form.bits !== 32;
  const names = ["", ...symbols.map(({ name }) => name)];
  const strings = new TextEncoder().encode(`${names.join("\0")}\0`);
  const sectionNames = new TextEncoder().encode("\0.text\0.symtab\0.strtab\0.shstrtab\0");
  const symbolSize = wide ? 24 : 16;
  const [headerSize, segmentSize, sectionSize] = wide ? [64, 56, 64] : [52, 32, 40];
  const symbolsAt = 0x600;
  const stringsAt = symbolsAt + symbolSize * (symbols.length + 1);
  const namesAt = stringsAt + strings.length;
  const sectionsAt = namesAt + sectionNames.length;
  const out = new ElfWriter(sectionsAt + 5 * sectionSize, 3, form);
  out.word(wide ? 32 : 28, headerSize);
  out.word(wide ? 40 : 32, sectionsAt);
  out.u16(wide ? 54 : 42, segmentSize);
  out.u16(wide ? 56 : 44, 1);
  out.u16(wide ? 58 : 46, sectionSize);
  out.u16(wide ? 60 : 48, 5);
  out.u16(wide ? 62 : 50, 4);

  out.u32(headerSize, 1);
  out.u32(headerSize + (wide ? 4 : 24), 5);
  out.word(headerSize + (wide ? 8 : 4), 0x200);
  out.word(headerSize + (wide ? 16 : 8), 0x1000);
  out.word(headerSize + (wide ? 32 : 16), 0x400);
  out.word(headerSize + (wide ? 40 : 20), 0x400);

  let name = 1;
  for (const [index, { name: text, value, type = 2, binding = 1, section = 1 }] of symbols.entries()) {
    const at = symbolsAt + (index + 1) * symbolSize;
    out.u32(at, name);
    out.file[at + (wide ? 4 : 12)] = (binding << 4) | type;
    out.u16(at + (wide ? 6 : 14), section);
    out.word(at + (wide ? 8 : 4), value);
    name += new TextEncoder().encode(text).length + 1;
  }
  out.file.set(strings, stringsAt);
  out.file.set(sectionNames, namesAt);

  /** Name, type, address, offset, size and link of sections 1 to 4. */
  const sections = [
    [1, 1, 0x1000, 0x200, 0x400, 0],
    [7, 2, 0, symbolsAt, stringsAt - symbolsAt, 3],
    [15, 3, 0, stringsAt, strings.length, 0],
    [23, 3, 0, namesAt, sectionNames.length, 0],
  ] as const;
  for (const [index, [nameAt, type, address, offset, size, link]] of sections.entries()) {
    const at = sectionsAt + (index + 1) * sectionSize;
    out.u32(at, nameAt);
    out.u32(at + 4, type);
    out.word(at + (wide ? 16 : 12), address);
    out.word(at + (wide ? 24 : 16), offset);
    out.word(at + (wide ? 32 : 20), size);
    out.u32(at + (wide ? 40 : 24), link);
  }
  return out.file;
}
