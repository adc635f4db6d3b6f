// Writes small ELF64 files by hand, sound ones and broken ones, in either byte order.

export interface SectionInput {
  name: string;
  type: number;
  flags?: number;
  address?: number;
  link?: number;
  info?: number;
  alignment?: number;
  entrySize?: number;
  data?: Uint8Array;
  /** Overrides the length of `data`; for NOBITS. */
  size?: number;
}

export interface SymbolInput {
  name: string;
  value?: number;
  size?: number;
  type?: number;
  binding?: number;
  visibility?: number;
  sectionIndex?: number;
}

export interface RelocationInput {
  offset: number;
  type: number;
  symbolIndex: number;
  addend?: bigint;
}

/** File offsets of the fields that tests like to damage. */
export const field = {
  class: 4,
  byteOrder: 5,
  identVersion: 6,
  type: 16,
  machine: 18,
  version: 20,
  segmentTable: 32,
  sectionTable: 40,
  segmentSize: 54,
  segmentCount: 56,
  sectionHeaderSize: 58,
  sectionCount: 60,
  nameTableIndex: 62,
} as const;

/** Offsets inside one section header. */
export const shdr = {
  name: 0,
  type: 4,
  flags: 8,
  address: 16,
  offset: 24,
  size: 32,
  link: 40,
  info: 44,
  alignment: 48,
  entrySize: 56,
} as const;

export class Elf {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly littleEndian: boolean;

  constructor(bytes: Uint8Array, littleEndian: boolean) {
    this.bytes = bytes;
    this.littleEndian = littleEndian;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u16(offset: number, value: number): this {
    this.view.setUint16(offset, value, this.littleEndian);
    return this;
  }
  u32(offset: number, value: number): this {
    this.view.setUint32(offset, value, this.littleEndian);
    return this;
  }
  u64(offset: number, value: number | bigint): this {
    this.view.setBigUint64(offset, BigInt(value), this.littleEndian);
    return this;
  }
  /** File offset of a field of section header `index`. */
  header(index: number, at: number): number {
    return Number(this.view.getBigUint64(field.sectionTable, this.littleEndian)) + index * 64 + at;
  }
}

/** Lays out header, contents, names, section table. Section 0 (empty) and the last one (`.shstrtab`) are added. */
export function buildElf(sections: readonly SectionInput[], littleEndian = true): Elf {
  const all: SectionInput[] = [{ name: "", type: 0 }, ...sections, { name: ".shstrtab", type: 3, alignment: 1 }];
  const names = stringTable(all.map((s) => s.name));
  all[all.length - 1]!.data = names.bytes;

  let end = 64;
  const offsets = all.map((s) => {
    const alignment = s.alignment ?? 1;
    const offset = Math.ceil(end / Math.max(alignment, 1)) * Math.max(alignment, 1);
    end = offset + (s.data?.length ?? 0);
    return s.type === 0 ? 0 : offset;
  });
  const table = Math.ceil(end / 8) * 8;
  const elf = new Elf(new Uint8Array(table + all.length * 64), littleEndian);
  elf.bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, littleEndian ? 1 : 2, 1]);
  elf.u16(field.type, 1).u16(field.machine, 247).u32(field.version, 1).u64(field.sectionTable, table);
  elf.u16(52, 64).u16(field.sectionHeaderSize, 64).u16(field.sectionCount, all.length);
  elf.u16(field.nameTableIndex, all.length - 1);
  all.forEach((s, i) => {
    if (s.data !== undefined) elf.bytes.set(s.data, offsets[i]!);
    const at = table + i * 64;
    elf
      .u32(at + shdr.name, names.offsetOf(s.name))
      .u32(at + shdr.type, s.type)
      .u64(at + shdr.flags, s.flags ?? 0);
    elf.u64(at + shdr.address, s.address ?? 0).u64(at + shdr.offset, offsets[i]!);
    elf
      .u64(at + shdr.size, s.size ?? s.data?.length ?? 0)
      .u32(at + shdr.link, s.link ?? 0)
      .u32(at + shdr.info, s.info ?? 0);
    elf.u64(at + shdr.alignment, s.alignment ?? 0).u64(at + shdr.entrySize, s.entrySize ?? 0);
  });
  return elf;
}

function stringTable(names: readonly string[]): { bytes: Uint8Array; offsetOf: (name: string) => number } {
  const encoder = new TextEncoder();
  const offsets = new Map<string, number>([["", 0]]);
  const parts = [0];
  for (const name of names) {
    if (offsets.has(name)) continue;
    offsets.set(name, parts.length);
    parts.push(...encoder.encode(name), 0);
  }
  return { bytes: Uint8Array.from(parts), offsetOf: (name) => offsets.get(name)! };
}

/** Contents of a symbol table; the null symbol is added in front. */
export function symbolTable(
  symbols: readonly SymbolInput[],
  littleEndian = true,
): { symtab: Uint8Array; strtab: Uint8Array } {
  const names = stringTable(symbols.map((s) => s.name));
  const out = new Elf(new Uint8Array((symbols.length + 1) * 24), littleEndian);
  symbols.forEach((s, i) => {
    const at = (i + 1) * 24;
    out.u32(at, names.offsetOf(s.name));
    out.bytes[at + 4] = ((s.binding ?? 0) << 4) | (s.type ?? 0);
    out.bytes[at + 5] = s.visibility ?? 0;
    out
      .u16(at + 6, s.sectionIndex ?? 0)
      .u64(at + 8, s.value ?? 0)
      .u64(at + 16, s.size ?? 0);
  });
  return { symtab: out.bytes, strtab: names.bytes };
}

/** Contents of an SHT_REL section, or of an SHT_RELA section when the first entry has an addend. */
export function relocationTable(entries: readonly RelocationInput[], littleEndian = true): Uint8Array {
  const size = entries[0]?.addend === undefined ? 16 : 24;
  const out = new Elf(new Uint8Array(entries.length * size), littleEndian);
  entries.forEach((r, i) => {
    out.u64(i * size, r.offset).u64(i * size + 8, (BigInt(r.symbolIndex) << 32n) | BigInt(r.type));
    if (size === 24) out.u64(i * size + 16, BigInt.asUintN(64, r.addend ?? 0n));
  });
  return out.bytes;
}

export const prog = { index: 1, name: "raw_tp/sys_enter" } as const;

/** What clang makes of a one-program object: code, .bss, symbols, relocations. Sections: 1 code, 2 .bss, 3 rel, 4 symtab, 5 strtab. */
export function sampleElf(littleEndian = true): Elf {
  const { symtab, strtab } = symbolTable(
    [
      { name: "count", type: 2, binding: 1, sectionIndex: 1, size: 32 },
      { name: "total", type: 1, binding: 1, sectionIndex: 2, size: 8, value: 8, visibility: 2 },
      { name: "LINUX_HAS_SYSCALL", binding: 2 },
      { name: "file.c", type: 4, sectionIndex: 0xfff1 },
    ],
    littleEndian,
  );
  const rel = relocationTable(
    [
      { offset: 0, type: 1, symbolIndex: 2 },
      { offset: 16, type: 10, symbolIndex: 3 },
    ],
    littleEndian,
  );
  const code = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
  return buildElf(
    [
      { name: prog.name, type: 1, flags: 6, data: code, alignment: 8 },
      { name: ".bss", type: 8, flags: 3, size: 16, alignment: 8 },
      { name: `.rel${prog.name}`, type: 9, flags: 0x40, data: rel, link: 4, info: 1, alignment: 8, entrySize: 16 },
      { name: ".symtab", type: 2, data: symtab, link: 5, info: 1, alignment: 8, entrySize: 24 },
      { name: ".strtab", type: 3, data: strtab, alignment: 1 },
    ],
    littleEndian,
  );
}
