// Executables with functions, as small as can be: both classes and byte orders, one segment, one table of symbols.

import { type ElfForm, ElfWriter, sizesOf } from "./elf-writer.js";

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
  const symbolsAt = 0x600;
  const stringsAt = symbolsAt + symbolSize * (symbols.length + 1);
  const namesAt = stringsAt + strings.length;
  const sectionsAt = namesAt + sectionNames.length;
  const out = new ElfWriter(sectionsAt + 5 * sizesOf(wide).section, 3, form);
  out.tables({ sectionsAt, sections: 5, names: 4, segments: 1 });
  out.segment(0, { flags: 5, offset: 0x200, address: 0x1000, size: 0x400 });

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

  out.section(sectionsAt, 1, { name: 1, type: 1, address: 0x1000, offset: 0x200, size: 0x400 });
  out.section(sectionsAt, 2, { name: 7, type: 2, offset: symbolsAt, size: stringsAt - symbolsAt, link: 3 });
  out.section(sectionsAt, 3, { name: 15, type: 3, offset: stringsAt, size: strings.length });
  out.section(sectionsAt, 4, { name: 23, type: 3, offset: namesAt, size: sectionNames.length });
  return out.file;
}
