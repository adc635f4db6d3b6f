// ELF files as other machines and linkers make them: both classes and byte orders, section numbers beyond 16 bits.

import { type ElfForm, ElfWriter, sizesOf } from "./elf-writer.js";

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
  const { header, section: entrySize } = sizesOf(wide);
  const names = ["", ...Object.keys(contents), ".shstrtab"];
  const nameBytes = new TextEncoder().encode(`${names.join("\0")}\0`);
  const parts = [...Object.values(contents), nameBytes];
  const tableOffset = header + parts.reduce((size, part) => size + part.length, 0);
  const out = new ElfWriter(tableOffset + (parts.length + 1) * entrySize, 2, form);
  const counts = extended ? { sections: 0, names: 0xffff } : { sections: parts.length + 1, names: parts.length };
  out.tables({ sectionsAt: tableOffset, ...counts });
  if (extended) {
    out.word(tableOffset + (wide ? 32 : 20), parts.length + 1);
    out.u32(tableOffset + (wide ? 40 : 24), parts.length);
  }
  let offset = header;
  let name = 1;
  for (const [index, part] of parts.entries()) {
    out.file.set(part, offset);
    const kind = part === nameBytes ? { type: 3 } : { type, flags };
    out.section(tableOffset, index + 1, { name, ...kind, offset, size: part.length });
    offset += part.length;
    name += new TextEncoder().encode(names[index + 1]!).length + 1;
  }
  return out.file;
}
