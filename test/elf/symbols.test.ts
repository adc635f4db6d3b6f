import { describe, expect, it } from "vitest";
import { type ElfFile, parseElf } from "../../src/elf/index.js";
import { ElfError } from "../../src/errors.js";
import { buildElf, Elf, type SectionInput, sampleElf, shdr, symbolTable } from "./builder.js";

function symbolsError(elf: ElfFile): ElfError {
  try {
    elf.symbols;
  } catch (error) {
    if (error instanceof ElfError) return error;
    throw error;
  }
  throw new Error("the symbols were accepted");
}

/** Position of symbol 1 (`count`) of the sample in the file. */
const firstSymbol = (elf: Elf) => parseElf(elf.bytes).section(".symtab")!.offset + 24;

describe.each([
  ["little", true],
  ["big", false],
])("symbols, %s-endian", (_, littleEndian) => {
  it("reads every field", () => {
    expect(parseElf(sampleElf(littleEndian).bytes).symbols).toEqual([
      { index: 0, name: "", value: 0, size: 0, type: 0, binding: 0, visibility: 0, sectionIndex: 0 },
      { index: 1, name: "count", value: 0, size: 32, type: 2, binding: 1, visibility: 0, sectionIndex: 1 },
      { index: 2, name: "total", value: 8, size: 8, type: 1, binding: 1, visibility: 2, sectionIndex: 2 },
      { index: 3, name: "LINUX_HAS_SYSCALL", value: 0, size: 0, type: 0, binding: 2, visibility: 0, sectionIndex: 0 },
      { index: 4, name: "file.c", value: 0, size: 0, type: 4, binding: 0, visibility: 0, sectionIndex: 0xfff1 },
    ]);
  });

  it("takes high indices from SHT_SYMTAB_SHNDX", () => {
    const { symtab, strtab } = symbolTable(
      [
        { name: "a", sectionIndex: 0xffff },
        { name: "b", sectionIndex: 2 },
      ],
      littleEndian,
    );
    const indices = new Elf(new Uint8Array(12), littleEndian).u32(4, 1).u32(8, 3);
    const build = (sections: SectionInput[]) => parseElf(buildElf(sections, littleEndian).bytes);
    const table: SectionInput = { name: ".symtab", type: 2, data: symtab, link: 2, entrySize: 24 };
    const strings: SectionInput = { name: ".strtab", type: 3, data: strtab };
    const extended: SectionInput = { name: ".symtab_shndx", type: 18, data: indices.bytes, link: 1 };
    expect(build([table, strings, extended]).symbols.map((s) => s.sectionIndex)).toEqual([0, 1, 2]);
    expect(symbolsError(build([table, strings])).message).toBe(
      "section .symtab, offset 0x18: symbol 1 needs a SHT_SYMTAB_SHNDX section, and there is none",
    );
    expect(symbolsError(build([table, strings, { ...extended, link: 2 }])).code).toBe("ELF_INVALID");
    expect(symbolsError(build([table, strings, { ...extended, size: 4 }])).code).toBe("ELF_TRUNCATED");
    indices.u32(4, 99);
    expect(symbolsError(build([table, strings, extended])).reason).toBe("symbol 1 lies in section 99 of 5");
  });

  it.each<[string, (elf: Elf) => void, RegExp]>([
    [
      "name outside",
      (e) => e.u32(firstSymbol(e), 38),
      /^section \.strtab, offset 0x26: a string starts beyond the end at 0x26/,
    ],
    [
      "section outside",
      (e) => e.u16(firstSymbol(e) + 6, 7),
      /^section \.symtab, offset 0x18: symbol 1 lies in section 7 of 7/,
    ],
    [
      "value of 2^60",
      (e) => e.u64(firstSymbol(e) + 8, 2n ** 60n),
      /^section \.symtab, offset 0x20: 0x1000000000000000 is no/,
    ],
    [
      "size of 2^60",
      (e) => e.u64(firstSymbol(e) + 16, 2n ** 60n),
      /^section \.symtab, offset 0x28: 0x1000000000000000 is no/,
    ],
    [
      "entry size",
      (e) => e.u64(e.header(4, shdr.entrySize), 16),
      /^section \.symtab: entries of 16 bytes instead of 24/,
    ],
    [
      "size",
      (e) => e.u64(e.header(4, shdr.size), 100),
      /^section \.symtab: 100 bytes are no whole number of 24-byte entries/,
    ],
    [
      "strings in no string table",
      (e) => e.u32(e.header(4, shdr.link), 1),
      /^section \.symtab: sh_link 1 should name a string table/,
    ],
    [
      "strings nowhere",
      (e) => e.u32(e.header(4, shdr.link), 99),
      /^section \.symtab: sh_link 99 should name a string table/,
    ],
    [
      "no NUL",
      (e) => e.u64(e.header(5, shdr.size), 37),
      /^section \.strtab, offset 0x1f: a string is not NUL-terminated/,
    ],
  ])("refuses: %s", (_, damage, message) => {
    const elf = sampleElf(littleEndian);
    damage(elf);
    const file = parseElf(elf.bytes); // sections stay readable
    const error = symbolsError(file);
    expect(error.message).toMatch(message);
    expect(error.code).toBe("ELF_INVALID");
  });
});

describe("symbol tables", () => {
  it("may be absent", () => {
    const elf = parseElf(buildElf([{ name: "license", type: 1, data: Uint8Array.of(0x47, 0) }]).bytes);
    expect([elf.symbols, elf.symbolTable]).toEqual([[], undefined]);
  });

  it("may be empty", () => {
    const elf = buildElf([
      { name: ".symtab", type: 2, link: 2, entrySize: 24 },
      { name: ".strtab", type: 3 },
    ]);
    expect(parseElf(elf.bytes).symbols).toEqual([]);
  });

  it("may leave the string table empty when no symbol has a name", () => {
    const elf = buildElf([
      { name: ".symtab", type: 2, data: new Uint8Array(24), link: 2, entrySize: 24 },
      { name: ".strtab", type: 3 },
    ]);
    expect(parseElf(elf.bytes).symbols[0]?.name).toBe("");
  });

  it("are read once, on first use", () => {
    const elf = parseElf(sampleElf().bytes);
    expect(elf.symbols).toBe(elf.symbols);
  });

  it("cannot cause unbounded work by sharing one long name", () => {
    const count = 40_000;
    const symtab = new Elf(new Uint8Array(count * 24), true);
    for (let i = 0; i < count; i++) symtab.u32(i * 24, i);
    const strtab = new Uint8Array(1_000_000).fill(0x61);
    strtab[strtab.length - 1] = 0;
    const { bytes } = buildElf([
      { name: ".symtab", type: 2, data: symtab.bytes, link: 2, entrySize: 24 },
      { name: ".strtab", type: 3, data: strtab },
    ]);
    const elf = parseElf(bytes);
    const start = performance.now();
    expect(symbolsError(elf).reason).toBe("the symbol names are unreasonably long");
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});
