// .BTF.ext: hand-made bytes in both byte orders, every rule of its structure, and what clang wrote into the fixtures.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder, parseBtfExt } from "../../src/btf/index.js";
import { parseElf } from "../../src/elf/index.js";
import { BtfError } from "../../src/errors.js";
import { rawBtf, thrownBy } from "./raw-btf.js";

const strings = "\0.text\0tc\0a.c\0return 0;\x000:1\0";
const TEXT = 1;
const TC = 7;
const FILE = 10;
const LINE = 14;
const ACCESS = 24;

const btfOf = (littleEndian: boolean): Btf => Btf.parse(rawBtf({ types: [], strings, littleEndian }));

/** A .BTF.ext of header words (offsets and lengths) and words of the parts. */
function rawExt(header: readonly number[], words: readonly number[], littleEndian = true, tail = 0): Uint8Array {
  const headerLength = 8 + header.length * 4;
  const bytes = new Uint8Array(headerLength + words.length * 4 + tail);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xeb9f, littleEndian);
  view.setUint8(2, 1);
  [headerLength, ...header, ...words].forEach((word, i) => {
    view.setUint32(4 + i * 4, word, littleEndian);
  });
  return bytes;
}

const funcInfo = [8, TEXT, 2, 0, 3, 16, 4, TC, 1, 0, 5];
const lineInfo = [16, TC, 1, 24, FILE, LINE, (0x3fffff << 10) | 1023];
const core = [16, TC, 2, 8, 1, ACCESS, 0, 64, 2, ACCESS, 12];
const parts = [...funcInfo, ...lineInfo, ...core];
const header = [0, 44, 44, 28, 72, 44];

const funcInfoRead = [
  {
    sectionName: ".text",
    records: [
      { insnOffset: 0, typeId: 3 },
      { insnOffset: 16, typeId: 4 },
    ],
  },
  { sectionName: "tc", records: [{ insnOffset: 0, typeId: 5 }] },
];
const lineInfoRead = [
  {
    sectionName: "tc",
    records: [{ insnOffset: 24, fileNameOffset: FILE, lineOffset: LINE, line: 0x3fffff, column: 1023 }],
  },
];
const coreRead = [
  {
    sectionName: "tc",
    records: [
      { insnOffset: 8, typeId: 1, accessOffset: ACCESS, kind: 0 },
      { insnOffset: 64, typeId: 2, accessOffset: ACCESS, kind: 12 },
    ],
  },
];

const plain = <R>(sections: readonly { sectionName: string; records: Iterable<R> }[]): unknown =>
  sections.map(({ sectionName, records }) => ({ sectionName, records: [...records] }));

describe.each([true, false])("parts (little-endian: %s)", (littleEndian) => {
  it("are read", () => {
    const ext = parseBtfExt(rawExt(header, parts, littleEndian), btfOf(littleEndian));
    expect(plain(ext.funcInfo)).toEqual(funcInfoRead);
    expect(plain(ext.lineInfo)).toEqual(lineInfoRead);
    expect(plain(ext.coreRelocations)).toEqual(coreRead);
  });

  it("must have the byte order of the BTF", () => {
    expect(() => parseBtfExt(rawExt(header, parts, littleEndian), btfOf(!littleEndian))).toThrow(BtfError);
  });
});

describe("structure", () => {
  const btf = btfOf(true);

  it("reads literal bytes", () => {
    const bytes = Uint8Array.of(
      ...[0x9f, 0xeb, 0x01, 0x00, 0x18, 0x00, 0x00, 0x00],
      ...[0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
      ...[0x08, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00],
      ...[0x28, 0x01, 0x00, 0x00, 0x2a, 0x00, 0x00, 0x00],
    );
    const ext = parseBtfExt(bytes, btf);
    expect(plain(ext.funcInfo)).toEqual([{ sectionName: "tc", records: [{ insnOffset: 296, typeId: 42 }] }]);
    expect(ext.lineInfo).toEqual([]);
    expect(ext.coreRelocations).toEqual([]);
  });

  it("may lack the CO-RE part, or have a longer header", () => {
    expect(parseBtfExt(rawExt([0, 44, 44, 28], [...funcInfo, ...lineInfo]), btf).coreRelocations).toEqual([]);
    const longer = parseBtfExt(rawExt([...header, 7, 7], parts), btf);
    expect(plain(longer.coreRelocations)).toEqual(coreRead);
  });

  it("ignores what longer records have besides", () => {
    const ext = parseBtfExt(rawExt([0, 36, 0, 0], [12, TC, 2, 0, 3, 99, 16, 4, 99]), btf);
    expect([...ext.funcInfo[0]!.records]).toEqual([
      { insnOffset: 0, typeId: 3 },
      { insnOffset: 16, typeId: 4 },
    ]);
  });

  it("makes records once", () => {
    const ext = parseBtfExt(rawExt(header, parts), btf);
    expect(ext.lineInfo[0]?.records).toBe(ext.lineInfo[0]?.records);
  });

  it("reads bytes at any alignment", () => {
    const shifted = new Uint8Array(rawExt(header, parts).length + 1);
    shifted.set(rawExt(header, parts), 1);
    expect(plain(parseBtfExt(shifted.subarray(1), btf).coreRelocations)).toEqual(coreRead);
  });

  it.each<[string, Uint8Array, number]>([
    ["no magic", Uint8Array.of(1, 2, ...new Uint8Array(30)), 0],
    ["too few bytes", rawExt(header, []).subarray(0, 23), 0],
    ["a part that is not aligned", rawExt([2, 44, 0, 0], parts), 8],
    ["a part beyond the data", rawExt([0, 0, 44, 0x80000000], parts), 16],
    ["a part that begins beyond the data", rawExt([0, 0, 0, 0, 0xfffffffc, 4], parts), 24],
    ["a part without a record size", rawExt([0, 3, 0, 0], parts), 24],
    ["a record size below the minimum", rawExt([0, 20, 0, 0], [4, TC, 1, 0, 3]), 24],
    ["a record size of zero", rawExt([0, 20, 0, 0], [0, TC, 1, 0, 3]), 24],
    ["a record size that is no multiple of four", rawExt([0, 24, 0, 0], [10, TC, 1, 0, 3, 0]), 24],
    ["a line record of the size of a function's", rawExt([0, 0, 0, 20], [8, TC, 1, 0, 3]), 24],
    ["a part without sections", rawExt([0, 4, 0, 0], [8]), 24],
    ["a section header cut short", rawExt([0, 8, 0, 0], [8, TC]), 28],
    ["no records in a section", rawExt([0, 20, 0, 0], [8, TC, 0, 0, 3]), 32],
    ["more records than data", rawExt([0, 20, 0, 0], [8, TC, 2, 0, 3]), 32],
    ["a count that overflows 32 bits", rawExt([0, 20, 0, 0], [8, TC, 0x20000001, 0, 3]), 32],
    ["a section name out of range", rawExt([0, 20, 0, 0], [8, 999, 1, 0, 3]), 28],
    ["bytes behind the last section", rawExt([0, 24, 0, 0], [8, TC, 1, 0, 3, 7]), 44],
  ])("refuses %s", (_name, bytes, offset) => {
    const error = thrownBy(() => parseBtfExt(bytes, btf));
    expect(error).toBeInstanceOf(BtfError);
    expect(error).toMatchObject({ code: "BTF_INVALID", location: { section: ".BTF.ext", offset } });
  });

  it("refuses versions, flags and header lengths that it does not know", () => {
    for (const [at, value] of [
      [2, 2],
      [3, 1],
      [4, 23],
      [7, 1],
    ] as const) {
      const bytes = rawExt(header, parts);
      bytes[at] = value;
      expect(thrownBy(() => parseBtfExt(bytes, btf))).toMatchObject({ code: "BTF_INVALID" });
    }
  });
});

describe.each(["core.bpf.o", "core.eb.bpf.o"])("clang's %s", (file) => {
  const elf = parseElf(new Uint8Array(readFileSync(new URL(`../../fixtures/${file}`, import.meta.url))));
  const bytesOf = (name: string): Uint8Array => {
    const section = elf.section(name)!;
    return elf.bytes.subarray(section.offset, section.offset + section.size);
  };
  const btf = Btf.parse(bytesOf(".BTF"));
  const ext = parseBtfExt(bytesOf(".BTF.ext"), btf);

  it("names functions, lines and access strings that exist", () => {
    expect(btf.littleEndian).toBe(file === "core.bpf.o");
    expect(ext.funcInfo.length).toBeGreaterThan(0);
    expect(ext.lineInfo.length).toBeGreaterThan(0);
    expect(ext.coreRelocations.length).toBeGreaterThan(0);
    for (const { sectionName, records } of ext.funcInfo) {
      const size = elf.section(sectionName)!.size;
      for (const { insnOffset, typeId } of records) {
        expect(btf.type(typeId).kind).toBe("func");
        expect(insnOffset).toBeLessThan(size);
      }
    }
    for (const { sectionName, records } of ext.lineInfo) {
      const size = elf.section(sectionName)!.size;
      for (const { insnOffset, fileNameOffset, line, lineOffset } of records) {
        expect(insnOffset % 8).toBe(0);
        expect(insnOffset).toBeLessThan(size);
        expect(btf.string(fileNameOffset)).toMatch(/\.[ch]$/);
        expect(line).toBeGreaterThan(0);
        btf.string(lineOffset);
      }
    }
    for (const { records } of ext.coreRelocations) {
      for (const { typeId, accessOffset, kind } of records) {
        expect(btf.type(typeId).kind).not.toBe("void");
        expect(btf.string(accessOffset)).toMatch(/^\d+(:\d+)*$/);
        expect(kind).toBeLessThanOrEqual(12);
      }
    }
  });

  it("is written again byte for byte, and in the other byte order with the same types", () => {
    expect(BtfBuilder.from(btf).build()).toEqual(btf.bytes);
    const swapped = Btf.parse(BtfBuilder.from(btf, { littleEndian: !btf.littleEndian }).build());
    expect(swapped.littleEndian).toBe(!btf.littleEndian);
    for (let id = 0; id < btf.typeCount; id++) expect(swapped.type(id)).toEqual(btf.type(id));
  });
});
