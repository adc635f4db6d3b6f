// Executables with USDT probes, as small as can be: both classes and byte orders, a segment of code and one of data.

import { type ElfForm, ElfWriter, sizesOf } from "./elf-writer.js";

/** A note; numbers as the linker writes them. */
export interface NoteSpec {
  readonly provider: string;
  readonly name: string;
  readonly args?: string;
  readonly location: number;
  readonly semaphore?: number;
  /** Where the linker thought that section .stapsdt.base would be. */
  readonly base?: number;
  readonly owner?: string;
  readonly type?: number;
}

/** Code is at file offset 0x200 and address 0x1000, data at 0x300 and 0x3000, 0x100 bytes each; the base is at 0x1080. */
export const usdtPlaces = { code: 0x1000, codeAt: 0x200, data: 0x3000, dataAt: 0x300, size: 0x100, base: 0x1080 };

/** A file with these probes. */
export function usdtElf(notes: readonly NoteSpec[], form: ElfForm = {}): Uint8Array {
  const wide = form.bits !== 32;
  const word = wide ? 8 : 4;
  const texts = notes.map(({ provider, name, args = "" }) => utf8(`${provider}\0${name}\0${args}\0`));
  const noteSize = (text: Uint8Array): number => 12 + 8 + align4(3 * word + text.length);
  const names = utf8("\0.note.stapsdt\0.stapsdt.base\0.shstrtab\0");
  const notesAt = 0x400;
  const notesSize = texts.reduce((sum, text) => sum + noteSize(text), 0);
  const namesAt = notesAt + notesSize;
  const sectionsAt = namesAt + names.length;
  const out = new ElfWriter(sectionsAt + 4 * sizesOf(wide).section, 3, form);

  out.tables({ sectionsAt, sections: 4, names: 3, segments: 2 });
  const { code, codeAt, data, dataAt, size, base } = usdtPlaces;
  out.segment(0, { flags: 5, offset: codeAt, address: code, size });
  out.segment(1, { flags: 6, offset: dataAt, address: data, size });

  let at = notesAt;
  for (const [index, { location, semaphore = 0, base: noted = 0, owner = "stapsdt", type = 3 }] of notes.entries()) {
    const text = texts[index]!;
    out.u32(at, 8);
    out.u32(at + 4, 3 * word + text.length);
    out.u32(at + 8, type);
    out.file.set(utf8(owner).subarray(0, 8), at + 12);
    for (const [which, value] of [location, noted, semaphore].entries()) out.word(at + 20 + which * word, value);
    out.file.set(text, at + 20 + 3 * word);
    at += noteSize(text);
  }
  out.file.set(names, namesAt);

  out.section(sectionsAt, 1, { name: 1, type: 7, offset: notesAt, size: notesSize });
  out.section(sectionsAt, 2, { name: 15, type: 1, address: base, offset: codeAt + base - code, size: 1 });
  out.section(sectionsAt, 3, { name: 29, type: 3, offset: namesAt, size: names.length });
  return out.file;
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

function align4(size: number): number {
  return Math.ceil(size / 4) * 4;
}
