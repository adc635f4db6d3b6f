// ELF files as other machines and linkers make them: both classes and byte orders, section numbers beyond 16 bits.

/** How the file is made; by default 64-bit little-endian. */
interface Form {
  readonly bits?: 32 | 64;
  readonly littleEndian?: boolean;
  /** The count of sections and the index of their names lie in section 0. */
  readonly extended?: boolean;
  /** sh_type and sh_flags of the given sections. */
  readonly type?: number;
  readonly flags?: number;
}

/** A file for machine 62 (x86-64) with these sections, and one with their names. */
export function makeElf(
  contents: Readonly<Record<string, Uint8Array>>,
  { bits = 64, littleEndian = true, extended = false, type = 1, flags = 0 }: Form,
): Uint8Array {
  const wide = bits === 64;
  const [headerSize, entrySize] = wide ? [64, 64] : [52, 40];
  const names = ["", ...Object.keys(contents), ".shstrtab"];
  const nameBytes = new TextEncoder().encode(`${names.join("\0")}\0`);
  const parts = [...Object.values(contents), nameBytes];
  const tableOffset = headerSize + parts.reduce((size, part) => size + part.length, 0);
  const file = new Uint8Array(tableOffset + (parts.length + 1) * entrySize);
  const view = new DataView(file.buffer);
  const u16 = (at: number, value: number) => view.setUint16(at, value, littleEndian);
  const u32 = (at: number, value: number) => view.setUint32(at, value, littleEndian);
  const word = (at: number, value: number) =>
    wide ? view.setBigUint64(at, BigInt(value), littleEndian) : u32(at, value);

  file.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, littleEndian ? 1 : 2, 1]);
  u16(16, 2);
  u16(18, 62);
  word(wide ? 40 : 32, tableOffset);
  u16(wide ? 58 : 46, entrySize);
  u16(wide ? 60 : 48, extended ? 0 : parts.length + 1);
  u16(wide ? 62 : 50, extended ? 0xffff : parts.length);
  if (extended) {
    word(tableOffset + (wide ? 32 : 20), parts.length + 1);
    u32(tableOffset + (wide ? 40 : 24), parts.length);
  }
  let offset = headerSize;
  let name = 1;
  for (const [index, part] of parts.entries()) {
    file.set(part, offset);
    const at = tableOffset + (index + 1) * entrySize;
    const isNames = part === nameBytes;
    u32(at, name);
    u32(at + 4, isNames ? 3 : type);
    word(at + 8, isNames ? 0 : flags);
    word(at + (wide ? 24 : 16), offset);
    word(at + (wide ? 32 : 20), part.length);
    offset += part.length;
    name += new TextEncoder().encode(names[index + 1]!).length + 1;
  }
  return file;
}
