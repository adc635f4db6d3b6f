import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type ElfFile, parseElf } from "../../src/elf/index.js";
import { ArgumentError, ElfError } from "../../src/errors.js";
import { buildElf, type Elf, field, prog, sampleElf, shdr } from "./builder.js";

function elfError(bytes: Uint8Array): ElfError {
  try {
    parseElf(bytes);
  } catch (error) {
    if (error instanceof ElfError) return error;
    throw error;
  }
  throw new Error("the file was accepted");
}

const damaged = (damage: (elf: Elf) => void, littleEndian = true): ElfError => {
  const elf = sampleElf(littleEndian);
  damage(elf);
  return elfError(elf.bytes);
};

describe.each([
  ["little", true],
  ["big", false],
])("parseElf, %s-endian", (_, littleEndian) => {
  const elf = parseElf(sampleElf(littleEndian).bytes);

  it("reads the header", () => {
    expect(elf.littleEndian).toBe(littleEndian);
    expect(elf.machine).toBe(247);
    const old = sampleElf(littleEndian).u16(field.machine, 0);
    expect(parseElf(old.bytes).machine).toBe(0);
  });

  it("reads all words of a section exactly", () => {
    expect(elf.sections.map((s) => [s.index, s.name, s.type, s.size])).toEqual([
      [0, "", 0, 0],
      [1, prog.name, 1, 32],
      [2, ".bss", 8, 16],
      [3, `.rel${prog.name}`, 9, 32],
      [4, ".symtab", 2, 120],
      [5, ".strtab", 3, 1 + 6 + 6 + 18 + 7],
      [6, ".shstrtab", 3, 70],
    ]);
    const rel = elf.section(`.rel${prog.name}`);
    expect(rel).toMatchObject({ flags: 0x40, address: 0, link: 4, info: 1, alignment: 8, entrySize: 16 });
    const custom = {
      name: "x",
      type: 0x6fff4c03,
      flags: 0x8000_0001,
      address: 0x1_0000_0001,
      info: 0xffff_ffff,
      alignment: 4096,
    };
    expect(parseElf(buildElf([custom], littleEndian).bytes).section("x")).toMatchObject(custom);
  });

  it("gives contents as views into the input", () => {
    const { bytes } = sampleElf(littleEndian);
    const section = parseElf(bytes).section(prog.name)!;
    expect([...section.data]).toEqual(Array.from({ length: 32 }, (_, i) => i + 1));
    expect(section.data.buffer).toBe(bytes.buffer);
    expect(section.data.byteOffset).toBe(section.offset);
  });

  it("gives zeros for NOBITS, whatever follows in the file", () => {
    expect([...elf.section(".bss")!.data]).toEqual(new Array(16).fill(0));
    expect(elf.section(".bss")!.data).toBe(elf.section(".bss")!.data);
  });

  it("finds the first section of a name, and none of an unknown one", () => {
    const twice = buildElf(
      [
        { name: "a", type: 1, size: 0 },
        { name: "a", type: 1, size: 0 },
      ],
      littleEndian,
    );
    expect(parseElf(twice.bytes).section("a")?.index).toBe(1);
    expect(elf.section("absent")).toBeUndefined();
    expect(elf.section("__proto__")).toBeUndefined();
  });
});

describe("parseElf takes any kind of bytes", () => {
  const names = (elf: ElfFile) => elf.sections.map((s) => s.name);
  const expected = names(parseElf(sampleElf().bytes));

  it("a Buffer, without handing out Buffers", () => {
    const elf = parseElf(Buffer.from(sampleElf().bytes));
    expect(names(elf)).toEqual(expected);
    expect(elf.bytes.constructor).toBe(Uint8Array);
    expect(elf.section(prog.name)!.data.constructor).toBe(Uint8Array);
  });

  it("a view in the middle of a larger buffer", () => {
    const { bytes } = sampleElf();
    const larger = new Uint8Array(bytes.length + 20).fill(0xee);
    larger.set(bytes, 7);
    const elf = parseElf(larger.subarray(7, 7 + bytes.length));
    expect(names(elf)).toEqual(expected);
    expect(elf.section(prog.name)!.data[0]).toBe(1);
  });

  it("shared memory, which it copies", () => {
    const { bytes } = sampleElf();
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    const elf = parseElf(shared);
    shared.fill(0);
    expect(elf.section(prog.name)!.data[0]).toBe(1);
    expect(elf.symbols[1]?.name).toBe("count");
  });

  it("and nothing else", () => {
    expect(() => parseElf("ELF" as unknown as Uint8Array)).toThrow(ArgumentError);
    expect(() => parseElf(undefined as unknown as Uint8Array)).toThrow(ArgumentError);
  });
});

describe("files that are something else", () => {
  it.each<[string, Uint8Array, string, RegExp]>([
    ["nothing", new Uint8Array(), "ELF_INVALID", /^offset 0x0: the file is empty$/],
    ["text", new TextEncoder().encode("#!/bin/sh\n"), "ELF_INVALID", /^offset 0x0: not an ELF file$/],
    [
      "bitcode",
      Uint8Array.from([0x42, 0x43, 0xc0, 0xde, 0, 0]),
      "ELF_INVALID",
      /LLVM bitcode \(compile without -emit-llvm/,
    ],
    ["an archive", new TextEncoder().encode("!<arch>\nx"), "ELF_INVALID", /but an archive/],
    [
      "a lone magic",
      Uint8Array.from([0x7f, 0x45, 0x4c, 0x46]),
      "ELF_TRUNCATED",
      /inside the ELF header \(4 of 64 bytes\)/,
    ],
    [
      "node itself",
      readFileSync(process.execPath).subarray(0, 4096),
      "ELF_UNSUPPORTED",
      /not for BPF \(compile with clang/,
    ],
  ])("%s", (_, bytes, code, message) => {
    const error = elfError(bytes);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});

describe("damaged headers", () => {
  it.each<[string, (elf: Elf) => void, string, number, RegExp]>([
    ["32-bit", (e) => e.bytes.set([1], field.class), "ELF_UNSUPPORTED", 4, /32-bit ELF/],
    ["unknown class", (e) => e.bytes.set([3], field.class), "ELF_INVALID", 4, /unknown ELF class 3/],
    ["unknown byte order", (e) => e.bytes.set([0], field.byteOrder), "ELF_INVALID", 5, /unknown byte order 0/],
    ["unknown ident version", (e) => e.bytes.set([2], field.identVersion), "ELF_INVALID", 6, /unknown ELF version 2/],
    ["unknown version", (e) => e.u32(field.version, 7), "ELF_INVALID", 20, /unknown ELF version 7/],
    [
      "x86-64",
      (e) => e.u16(field.machine, 62),
      "ELF_UNSUPPORTED",
      18,
      /for x86-64 \(machine 62\), not for BPF \(compile with clang -O2 -g -target bpf/,
    ],
    ["AArch64", (e) => e.u16(field.machine, 183), "ELF_UNSUPPORTED", 18, /for AArch64/],
    ["odd machine", (e) => e.u16(field.machine, 999), "ELF_UNSUPPORTED", 18, /for machine 999, not/],
    ["executable", (e) => e.u16(field.type, 2), "ELF_UNSUPPORTED", 16, /an executable, not a relocatable object/],
    ["shared object", (e) => e.u16(field.type, 3), "ELF_UNSUPPORTED", 16, /a shared object/],
    ["core dump", (e) => e.u16(field.type, 4), "ELF_UNSUPPORTED", 16, /a core dump/],
    ["type 0", (e) => e.u16(field.type, 0), "ELF_INVALID", 16, /unknown ELF file type 0/],
    ["no section table", (e) => e.u64(field.sectionTable, 0), "ELF_INVALID", 40, /no section table/],
    ["section table at 2^63", (e) => e.u64(field.sectionTable, 1n << 63n), "ELF_INVALID", 40, /no plausible size/],
    [
      "section table outside",
      (e) => e.u64(field.sectionTable, 1 << 20),
      "ELF_TRUNCATED",
      1 << 20,
      /section table \(7 sections\) ends at 0x1001c0, the file at/,
    ],
    ["header size", (e) => e.u16(field.sectionHeaderSize, 40), "ELF_INVALID", 58, /40 bytes instead of 64/],
    ["extended count", (e) => e.u16(field.sectionCount, 0), "ELF_UNSUPPORTED", 60, /extended section numbering/],
    [
      "extended name index",
      (e) => e.u16(field.nameTableIndex, 0xffff),
      "ELF_UNSUPPORTED",
      62,
      /extended section numbering/,
    ],
    ["too many sections", (e) => e.u16(field.sectionCount, 0xfeff), "ELF_UNSUPPORTED", 60, /65279 sections/],
    ["one section too many", (e) => e.u16(field.sectionCount, 8), "ELF_TRUNCATED", 0x230, /section table/],
    ["no name table", (e) => e.u16(field.nameTableIndex, 0), "ELF_INVALID", 62, /no table of section names/],
    [
      "name table index",
      (e) => e.u16(field.nameTableIndex, 7),
      "ELF_INVALID",
      62,
      /section 7 should hold the section names/,
    ],
    [
      "segments of odd size",
      (e) => e.u16(field.segmentCount, 1).u64(field.segmentTable, 64),
      "ELF_INVALID",
      54,
      /segment headers of 0 bytes/,
    ],
    [
      "segments outside",
      (e) => e.u16(field.segmentCount, 99).u16(field.segmentSize, 56).u64(field.segmentTable, 64),
      "ELF_TRUNCATED",
      64,
      /segment table ends/,
    ],
    [
      "too many segments",
      (e) => e.u16(field.segmentCount, 0xffff).u16(field.segmentSize, 56).u64(field.segmentTable, 64),
      "ELF_UNSUPPORTED",
      56,
      /65535 segments/,
    ],
  ])("%s", (name, damage, code, offset, message) => {
    for (const littleEndian of [true, false]) {
      const error = damaged(damage, littleEndian);
      expect([name, error.code]).toEqual([name, code]);
      if (name !== "one section too many") expect(error.location.offset).toBe(offset);
      expect(error.message).toMatch(message);
    }
  });

  it("accepts a sound segment table", () => {
    const elf = sampleElf().u16(field.segmentCount, 1).u16(field.segmentSize, 56).u64(field.segmentTable, 64);
    expect(parseElf(elf.bytes).sections).toHaveLength(7);
  });
});

describe("damaged section tables", () => {
  const set = (index: number, at: number, value: number | bigint) => (e: Elf) =>
    at === shdr.name || at === shdr.type || at === shdr.link
      ? e.u32(e.header(index, at), Number(value))
      : e.u64(e.header(index, at), value);

  it.each<[string, (elf: Elf) => void, string, RegExp]>([
    [
      "beyond the end",
      set(1, shdr.size, 0x1000_0000),
      "ELF_TRUNCATED",
      /^section raw_tp\/sys_enter: 268435456 bytes at file offset 0x40 reach beyond the end of the file/,
    ],
    [
      "offset beyond the end",
      set(1, shdr.offset, 1 << 30),
      "ELF_TRUNCATED",
      /^section raw_tp\/sys_enter: 32 bytes at file offset 0x40000000 reach/,
    ],
    [
      "offset and size wrap around",
      (e) => {
        set(1, shdr.offset, 2n ** 53n - 1n)(e);
        set(1, shdr.size, 2n ** 53n - 1n)(e);
      },
      "ELF_TRUNCATED",
      /reach beyond/,
    ],
    ["size of 2^64 - 1", set(1, shdr.size, 2n ** 64n - 1n), "ELF_INVALID", /0xffffffffffffffff is no plausible size/],
    [
      "alignment 3",
      set(1, shdr.alignment, 3),
      "ELF_INVALID",
      /^section raw_tp.*alignment 3 is no plausible power of two/,
    ],
    ["alignment 2^40", set(1, shdr.alignment, 2n ** 40n), "ELF_INVALID", /no plausible power of two/],
    ["alignment 2^31 + 1", set(1, shdr.alignment, 2n ** 31n + 1n), "ELF_INVALID", /no plausible power of two/],
    [
      "names in no string table",
      set(6, shdr.type, 1),
      "ELF_INVALID",
      /section 6 should hold the section names, but is no string table/,
    ],
    ["name outside", set(1, shdr.name, 70), "ELF_INVALID", /the name of section 1 lies outside the string table/],
    ["name without NUL", set(6, shdr.size, 69), "ELF_INVALID", /the name of section 6 is not NUL-terminated/],
    ["name table cut off", set(6, shdr.size, 1 << 20), "ELF_TRUNCATED", /^section with index 6: 1048576 bytes/],
    [
      "zeros beyond the limit",
      set(2, shdr.size, 2 ** 30 + 1),
      "ELF_UNSUPPORTED",
      /^section \.bss: 1073741825 bytes of zero-initialised data/,
    ],
    [
      "second symbol table",
      set(5, shdr.type, 2),
      "ELF_INVALID",
      /^section \.strtab: a second symbol table; the first is section 4/,
    ],
  ])("%s", (_, damage, code, message) => {
    for (const littleEndian of [true, false]) {
      const error = damaged(damage, littleEndian);
      expect(error.message).toMatch(message);
      expect(error.code).toBe(code);
    }
  });

  it("allocates the zeros of NOBITS only when asked", () => {
    const before = process.memoryUsage().arrayBuffers;
    const elf = parseElf(buildElf([{ name: ".bss", type: 8, size: 2 ** 30 }]).bytes);
    expect(elf.section(".bss")?.size).toBe(2 ** 30);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });

  it("limits the zeros of all sections together", () => {
    const half = { type: 8, size: 2 ** 29 + 1 };
    expect(
      elfError(
        buildElf([
          { name: ".bss.a", ...half },
          { name: ".bss.b", ...half },
        ]).bytes,
      ).code,
    ).toBe("ELF_UNSUPPORTED");
  });

  it("ignores what an inactive entry says", () => {
    const elf = sampleElf();
    for (let at = 8; at < 64; at += 8) elf.u64(elf.header(0, at), 2n ** 64n - 1n);
    expect(parseElf(elf.bytes).sections[0]).toMatchObject({ name: "", size: 0, offset: 0 });
  });
});

describe("work is bounded", () => {
  const timed = (bytes: Uint8Array): { error: ElfError; ms: number } => {
    const start = performance.now();
    const error = elfError(bytes);
    return { error, ms: performance.now() - start };
  };

  // typescript.md section 2: 23.7 s and four billion characters in elfy alone.
  it("refuses 2000 section names that share one string of 2.1 MB", () => {
    const names = new Uint8Array(2_100_000).fill(0x61);
    names[names.length - 1] = 0;
    const elf = buildElf([
      ...Array.from({ length: 2000 }, () => ({ name: "s", type: 1 })),
      { name: "long", type: 3, data: names },
    ]);
    elf.u16(field.nameTableIndex, 2001);
    for (let i = 0; i < 2000; i++) elf.u32(elf.header(i, shdr.name), i);
    const { error, ms } = timed(elf.bytes);
    expect(error.message).toMatch(/the name of section 0 is unreasonably long/);
    expect(ms).toBeLessThan(20_000);
    elf.bytes[elf.bytes.indexOf(0, 64 + 2_000_000)] = 0x61; // no NUL at all: the file of the original attack
    expect(timed(elf.bytes).ms).toBeLessThan(20_000);
  });

  it("refuses names that are each short enough and too long together", () => {
    const names = new Uint8Array(8001).fill(0x61);
    names[8000] = 0;
    const elf = buildElf([
      ...Array.from({ length: 2000 }, () => ({ name: "s", type: 1 })),
      { name: "long", type: 3, data: names },
    ]);
    elf.u16(field.nameTableIndex, 2001);
    for (let i = 0; i < 2000; i++) elf.u32(elf.header(i, shdr.name), 0);
    const { error, ms } = timed(elf.bytes);
    expect(error.message).toMatch(/the section names are unreasonably long/);
    expect(ms).toBeLessThan(20_000);
  });

  it("reads the greatest number of sections in little time", () => {
    const { bytes } = buildElf(Array.from({ length: 16382 }, () => ({ name: "s", type: 1 })));
    parseElf(bytes);
    const start = performance.now();
    expect(parseElf(bytes).sections).toHaveLength(16384);
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});

const fixtures = new URL("../../fixtures/", import.meta.url);
// Objects of types alone, for CO-RE, have no code.
const objects = existsSync(fixtures)
  ? readdirSync(fixtures).filter((name) => /^[^.]+(\.(?!types_)\w+)?\.bpf\.o$/.test(name))
  : [];

describe.skipIf(objects.length === 0)("compiled objects", () => {
  it.each(objects)("%s", (name) => {
    const elf = parseElf(readFileSync(new URL(name, fixtures)));
    expect(elf.machine).toBe(247);
    expect(elf.section("license")?.size).toBeGreaterThan(0);
    const functions = elf.symbols.filter((s) => s.type === 2);
    expect(functions.length).toBeGreaterThan(0);
    for (const f of functions) expect(f.value + f.size).toBeLessThanOrEqual(elf.sections[f.sectionIndex]!.size);
  });
});
