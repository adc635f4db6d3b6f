// Executables with USDT probes, as small as can be: both classes and byte orders, a segment of code and one of data.

import { type ElfForm, ElfWriter } from "./elf-writer.js";

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
  const [headerSize, segmentSize, sectionSize] = wide ? [64, 56, 64] : [52, 32, 40];
  const notesAt = 0x400;
  const notesSize = texts.reduce((sum, text) => sum + noteSize(text), 0);
  const namesAt = notesAt + notesSize;
  const sectionsAt = namesAt + names.length;
  const out = new ElfWriter(sectionsAt + 4 * sectionSize, 3, form);

  out.word(wide ? 32 : 28, headerSize);
  out.word(wide ? 40 : 32, sectionsAt);
  out.u16(wide ? 54 : 42, segmentSize);
  out.u16(wide ? 56 : 44, 2);
  out.u16(wide ? 58 : 46, sectionSize);
  out.u16(wide ? 60 : 48, 4);
  out.u16(wide ? 62 : 50, 3);

  const { code, codeAt, data, dataAt, size, base } = usdtPlaces;
  for (const [index, [flags, offset, address]] of [[5, codeAt, code] as const, [6, dataAt, data] as const].entries()) {
    const at = headerSize + index * segmentSize;
    out.u32(at, 1);
    out.u32(at + (wide ? 4 : 24), flags);
    out.word(at + (wide ? 8 : 4), offset);
    out.word(at + (wide ? 16 : 8), address);
    out.word(at + (wide ? 32 : 16), size);
    out.word(at + (wide ? 40 : 20), size);
  }

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

  /** Name, type, address, offset and size of sections 1 to 3. */
  const sections = [
    [1, 7, 0, notesAt, notesSize],
    [15, 1, base, codeAt + base - code, 1],
    [29, 3, 0, namesAt, names.length],
  ] as const;
  for (const [index, [name, type, address, offset, length]] of sections.entries()) {
    const entry = sectionsAt + (index + 1) * sectionSize;
    out.u32(entry, name);
    out.u32(entry + 4, type);
    out.word(entry + (wide ? 16 : 12), address);
    out.word(entry + (wide ? 24 : 16), offset);
    out.word(entry + (wide ? 32 : 20), length);
  }
  return out.file;
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

function align4(size: number): number {
  return Math.ceil(size / 4) * 4;
}
