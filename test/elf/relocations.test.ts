import { describe, expect, it } from "vitest";
import { BpfRelocationType, parseElf, parseRelocations } from "../../src/elf/index.js";
import { ArgumentError, ElfError } from "../../src/errors.js";
import {
  buildElf,
  type Elf,
  prog,
  relocationTable,
  type SectionInput,
  sampleElf,
  shdr,
  symbolTable,
} from "./builder.js";

const relName = `.rel${prog.name}`;
const relocationsOf = ({ bytes }: Elf, name: string = relName) => {
  const elf = parseElf(bytes);
  return parseRelocations(elf, elf.section(name)!);
};

function relocationError(elf: Elf, name?: string): ElfError {
  try {
    relocationsOf(elf, name);
  } catch (error) {
    if (error instanceof ElfError) return error;
    throw error;
  }
  throw new Error("the relocations were accepted");
}

const relOffset = (elf: Elf) => parseElf(elf.bytes).section(relName)!.offset;

describe.each([
  ["little", true],
  ["big", false],
])("relocations, %s-endian", (_, littleEndian) => {
  it("reads SHT_REL", () => {
    expect(relocationsOf(sampleElf(littleEndian))).toEqual([
      { offset: 0, type: BpfRelocationType["64_64"], symbolIndex: 2, addend: undefined },
      { offset: 16, type: BpfRelocationType["64_32"], symbolIndex: 3, addend: undefined },
    ]);
  });

  it("reads SHT_RELA with signed addends", () => {
    const { symtab, strtab } = symbolTable([{ name: "x" }], littleEndian);
    const entries = [
      { offset: 8, type: 2, symbolIndex: 1, addend: -5n },
      { offset: 0, type: 0xffff_ffff, symbolIndex: 0, addend: 2n ** 62n },
    ];
    const elf = buildElf(
      [
        { name: ".data", type: 1, data: new Uint8Array(16) },
        { name: ".rela.data", type: 4, data: relocationTable(entries, littleEndian), link: 3, info: 1, entrySize: 24 },
        { name: ".symtab", type: 2, data: symtab, link: 4, entrySize: 24 },
        { name: ".strtab", type: 3, data: strtab },
      ],
      littleEndian,
    );
    expect(relocationsOf(elf, ".rela.data")).toEqual(entries);
  });

  it.each<[string, (elf: Elf) => void, RegExp]>([
    [
      "offset at the end",
      (e) => e.u64(relOffset(e) + 16, 32),
      /^section \.relraw_tp\/sys_enter, offset 0x10: offset 0x20 lies outside section raw_tp\/sys_enter, which ends at 0x20/,
    ],
    ["offset of 2^63", (e) => e.u64(relOffset(e), 2n ** 63n), /0x8000000000000000 is no plausible size or address/],
    [
      "symbol",
      (e) => e.u64(relOffset(e) + 8, (5n << 32n) | 1n),
      /^section \.relraw_tp\/sys_enter, offset 0x0: symbol 5 of 5/,
    ],
    ["entry size", (e) => e.u64(e.header(3, shdr.entrySize), 24), /entries of 24 bytes instead of 16/],
    ["size", (e) => e.u64(e.header(3, shdr.size), 24), /24 bytes are no whole number of 16-byte entries/],
    ["no target", (e) => e.u32(e.header(3, shdr.info), 0), /sh_info 0 should name the section to relocate/],
    ["target outside", (e) => e.u32(e.header(3, shdr.info), 7), /sh_info 7 should name the section to relocate/],
    ["other symbol table", (e) => e.u32(e.header(3, shdr.link), 5), /sh_link 5 should name the symbol table/],
    ["damaged symbol table", (e) => e.u64(e.header(4, shdr.entrySize), 0), /^section \.symtab: entries of 0 bytes/],
  ])("refuses: %s", (_, damage, message) => {
    const elf = sampleElf(littleEndian);
    damage(elf);
    const error = relocationError(elf);
    expect(error.message).toMatch(message);
    expect(error.code).toBe("ELF_INVALID");
  });
});

describe("relocation sections", () => {
  it("need a symbol table", () => {
    const sections: SectionInput[] = [
      { name: "code", type: 1, data: new Uint8Array(8) },
      { name: relName, type: 9, data: new Uint8Array(16), info: 1, entrySize: 16 },
    ];
    expect(relocationError(buildElf(sections)).reason).toBe("sh_link 0 should name the symbol table");
  });

  it("are the caller's choice", () => {
    const elf = parseElf(sampleElf().bytes);
    expect(() => parseRelocations(elf, elf.section(prog.name)!)).toThrow(ArgumentError);
  });
});
