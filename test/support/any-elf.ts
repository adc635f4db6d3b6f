// ELF files as other machines and linkers make them: both classes and byte orders, section numbers beyond 16 bits.

import { type ElfForm, ElfWriter } from "./elf-writer.js";

/** How the file is made. */
interface Form extends ElfForm {
  /** The count of sections and the index of their names lie in section 0. */
  readonly extended?: boolean;
  /** sh_type and sh_flags of the given sections. */
  readonly type?: number;
  readonly flags?: number;
}

/** A file for machine 62 (x86-64) with these sections, and one with their names. */
export function makeElf(
  contents: Readonly<Record<string, Uint8Array>>,
  { extended = false, type = 1, flags = 0, ...form }: Form,
): Uint8Array {
  const wide = form.bits !== 32;
  const [headerSize, entrySize] = wide ? [64, 64] : [52, 40];
  const names = ["", ...Object.keys(contents), ".shstrtab"];
  const nameBytes = new TextEncoder().encode(`${names.join("\0")}\0`);
  const parts = [...Object.values(contents), nameBytes];
  const tableOffset = headerSize + parts.reduce((size, part) => size + part.length, 0);
  const out = new ElfWriter(tableOffset + (parts.length + 1) * entrySize, 2, form);
  out.word(wide ? 40 : 32, tableOffset);
  out.u16(wide ? 58 : 46, entrySize);
  out.u16(wide ? 60 : 48, extended ? 0 : parts.length + 1);
  out.u16(wide ? 62 : 50, extended ? 0xffff : parts.length);
  if (extended) {
    out.word(tableOffset + (wide ? 32 : 20), parts.length + 1);
    out.u32(tableOffset + (wide ? 40 : 24), parts.length);
  }
  let offset = headerSize;
  let name = 1;
  for (const [index, part] of parts.entries()) {
    out.file.set(part, offset);
    const at = tableOffset + (index + 1) * entrySize;
    const isNames = part === nameBytes;
    out.u32(at, name);
    out.u32(at + 4, isNames ? 3 : type);
    out.word(at + 8, isNames ? 0 : flags);
    out.word(at + (wide ? 24 : 16), offset);
    out.word(at + (wide ? 32 : 20), part.length);
    offset += part.length;
    name += new TextEncoder().encode(names[index + 1]!).length + 1;
  }
  return out.file;
}
