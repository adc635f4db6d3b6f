// Sections of ELF files of any machine, read piece by piece.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseElf, type RangeSource, readSectionTable } from "../../src/elf/index.js";
import { ElfError } from "../../src/errors.js";
import { makeElf } from "../support/any-elf.js";
import { fixtureBytes, fixtureNames } from "../support/fixtures.js";

/** Counts what is read. */
function counted(bytes: Uint8Array): RangeSource & { total: number } {
  return {
    size: bytes.length,
    total: 0,
    read(offset, length) {
      expect(offset + length).toBeLessThanOrEqual(bytes.length);
      this.total += length;
      return bytes.slice(offset, offset + length);
    },
  };
}

describe("sections read by range", () => {
  it("are those of the whole file", () => {
    for (const name of fixtureNames()) {
      const bytes = fixtureBytes(name);
      const elf = readSectionTable(counted(bytes));
      for (const section of parseElf(bytes).sections) {
        const where = `${name} ${section.name}`;
        expect(elf.has(section.name), where).toBe(true);
        if (section.name === "" || section.type === 8) continue;
        expect(elf.read(section.name), where).toEqual(Uint8Array.from(parseElf(bytes).section(section.name)!.data));
      }
      expect(elf.has(".BT")).toBe(false);
      expect(elf.has("BTF")).toBe(false);
      expect(elf.read(".BTFx")).toBeUndefined();
    }
  });

  it("are found in executables, without reading the rest", () => {
    const bytes = new Uint8Array(readFileSync(process.execPath));
    const source = counted(bytes);
    const elf = readSectionTable(source);
    expect(new TextDecoder().decode(elf.read(".interp"))).toMatch(/ld-linux.*\0$/);
    expect(source.total).toBeLessThan(bytes.length / 100);
  });

  it("are found in files of both classes and byte orders, and with extended numbering", () => {
    const contents = Uint8Array.of(1, 2, 3, 4, 5);
    for (const bits of [32, 64] as const) {
      for (const littleEndian of [true, false]) {
        for (const extended of [true, false]) {
          const file = makeElf({ ".text": new Uint8Array(40), ".BTF": contents }, { bits, littleEndian, extended });
          const elf = readSectionTable(counted(file));
          expect(elf.read(".BTF"), `${bits} ${littleEndian} ${extended}`).toEqual(contents);
        }
      }
    }
  });

  it("without contents in the file, or compressed, are errors", () => {
    const file = (type: number, flags: number) =>
      readSectionTable(counted(makeElf({ ".BTF": new Uint8Array(8) }, { littleEndian: false, type, flags })));
    expect(() => file(8, 0).read(".BTF")).toThrow(/section \.BTF: the section has no contents in this file/);
    expect(() => file(1, 0x800).read(".BTF")).toThrow(/section \.BTF: the section is compressed/);
  });

  it("of damaged files are errors, and never more is read than there is", () => {
    const good = makeElf({ ".text": new Uint8Array(16), ".BTF": Uint8Array.of(1, 2, 3) }, {});
    const attempt = (bytes: Uint8Array): unknown => {
      try {
        return readSectionTable(counted(bytes)).read(".BTF");
      } catch (error) {
        expect(error).toBeInstanceOf(ElfError);
        return undefined;
      }
    };
    for (let length = 0; length < good.length; length++) attempt(good.subarray(0, length));
    for (let at = 0; at < good.length; at++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
        const bad = good.slice();
        bad[at] = value;
        attempt(bad);
      }
    }
    expect(() => readSectionTable(counted(new Uint8Array(3)))).toThrow(/ELF header ends at 0x10, the file at 0x3/);
    expect(() => readSectionTable(counted(new Uint8Array(64)))).toThrow(/not an ELF file/);
  });
});
