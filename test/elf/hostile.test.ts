// Files from strangers: whatever is cut off or changed, the answer is an ElfError or a file whose numbers hold, and soon.

import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ElfFile, parseElf, parseRelocations } from "../../src/elf/index.js";
import { ElfError } from "../../src/errors.js";
import { sampleElf } from "./builder.js";

/** Parses everything there is to parse. Any error but ElfError escapes. */
function outcome(bytes: Uint8Array): { elf: ElfFile | undefined; errors: ElfError[] } {
  const errors: ElfError[] = [];
  const attempt = <T>(body: () => T): T | undefined => {
    try {
      return body();
    } catch (error) {
      if (!(error instanceof ElfError)) throw error;
      expect(error.code).toMatch(/^ELF_/);
      errors.push(error);
      return undefined;
    }
  };
  const elf = attempt(() => parseElf(bytes));
  if (elf !== undefined) {
    checkSections(elf);
    const symbols = attempt(() => elf.symbols) ?? [];
    symbols.forEach((symbol, i) => {
      expect(symbol.index).toBe(i);
      expect(symbol.sectionIndex < elf.sections.length || symbol.sectionIndex >= 0xff00).toBe(true);
    });
    for (const section of elf.sections) {
      if (section.type !== 9 && section.type !== 4) continue;
      for (const r of attempt(() => parseRelocations(elf, section)) ?? []) {
        expect(r.offset).toBeLessThan(elf.sections[section.info]!.size);
      }
    }
  }
  return { elf, errors };
}

function checkSections(elf: ElfFile): void {
  elf.sections.forEach((section, i) => {
    expect(section.index).toBe(i);
    if (section.type === 8) {
      // Do not touch the data of a section that claims a gigabyte.
      expect(section.size).toBeLessThanOrEqual(2 ** 30);
      return;
    }
    expect(section.data.length).toBe(section.size);
    expect(section.offset + section.size).toBeLessThanOrEqual(elf.bytes.length);
  });
}

describe.each([
  ["little", true],
  ["big", false],
])("a damaged file, %s-endian", (_, littleEndian) => {
  const sound = sampleElf(littleEndian).bytes;

  it("is refused when cut off at any length", () => {
    for (let length = 0; length < sound.length; length++) {
      const { elf, errors } = outcome(sound.slice(0, length));
      expect([length, elf]).toEqual([length, undefined]);
      expect(errors[0]?.code).toBe(length === 0 ? "ELF_INVALID" : "ELF_TRUNCATED");
    }
    expect(outcome(sound).errors).toEqual([]);
  });

  it("gives ElfError or sound numbers when header and section table are changed", () => {
    const view = new DataView(sound.buffer);
    const table = Number(view.getBigUint64(40, littleEndian));
    const offsets = fc.oneof(fc.integer({ min: 0, max: 63 }), fc.integer({ min: table, max: sound.length - 1 }));
    const values = fc.oneof(fc.constantFrom(0, 1, 2, 7, 8, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 }));
    const changes = fc.array(fc.tuple(offsets, values), { minLength: 1, maxLength: 6 });
    let accepted = 0;
    let slow = 0;
    fc.assert(
      fc.property(changes, (list) => {
        const bytes = sound.slice();
        for (const [offset, value] of list) bytes[offset] = value;
        const start = performance.now();
        const { elf } = outcome(bytes);
        // A neighbour on the machine may steal one time slice, but not twice from the same input.
        if (performance.now() - start > 1000) {
          const again = performance.now();
          outcome(bytes);
          if (performance.now() - again > 1000) slow++;
        }
        if (elf !== undefined) accepted++;
      }),
      { numRuns: 4000 },
    );
    expect(slow).toBe(0);
    expect(accepted).toBeGreaterThan(50); // the mutations reach beyond the first checks
    expect(accepted).toBeLessThan(4000);
  });
});

describe("random bytes", () => {
  it("behind a sound header never give anything but ElfError", () => {
    const header = sampleElf().bytes.slice(0, 64);
    new DataView(header.buffer).setBigUint64(40, 64n, true);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 600 }), (tail) => {
        const bytes = new Uint8Array(64 + tail.length);
        bytes.set(header);
        bytes.set(tail, 64);
        outcome(bytes);
      }),
    );
  });
});

const object = new URL("../../fixtures/minimal.bpf.o", import.meta.url);

describe.skipIf(!existsSync(object))("a compiled object", () => {
  it("cut off at any length, or with any byte changed in 40 places, gives ElfError or sound numbers", () => {
    const sound = new Uint8Array(readFileSync(object));
    expect(outcome(sound).errors).toEqual([]);
    for (let length = 0; length < sound.length; length += 7)
      expect(outcome(sound.slice(0, length)).elf).toBeUndefined();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { minLength: 1, maxLength: 40 }),
        (changes) => {
          const bytes = sound.slice();
          for (const [offset, value] of changes) bytes[offset] = value;
          outcome(bytes);
        },
      ),
      { numRuns: 300 },
    );
  });
});
