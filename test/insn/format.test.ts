import { existsSync, readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseElf, SectionFlag } from "../../src/elf/index.js";
import { ArgumentError } from "../../src/errors.js";
import { formatInsn, INSN_SIZE, isLdimm64, swapInsns } from "../../src/insn/index.js";
import { verifierTexts } from "./verifier-texts.js";

const bytesOf = (hex: string) =>
  Uint8Array.from(hex.replaceAll(" ", "").match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
const format = (hex: string) => formatInsn(bytesOf(hex), 0);

describe("formatInsn", () => {
  it.each(verifierTexts)("%s: %s, as the verifier prints it", (encoding, text) => {
    expect(format(encoding)).toBe(text);
  });

  it.each([
    ["18 01 00 00 02 00 00 00  00 00 00 00 00 00 00 00", "r1 = 0x2 ll"],
    ["18 01 00 00 78 56 34 12  00 00 00 00 ff ff ff ff", "r1 = 0xffffffff12345678 ll"],
    ["18 11 00 00 05 00 00 00  00 00 00 00 00 00 00 00", "r1 = map[fd:5]"],
    ["18 22 00 00 05 00 00 00  00 00 00 00 10 00 00 00", "r2 = map[fd:5][0]+16"],
    ["18 31 00 00 7b 00 00 00  00 00 00 00 00 00 00 00", "r1 = btf_id[123]"],
    ["18 31 00 00 7b 00 00 00  00 00 00 00 09 00 00 00", "r1 = btf_id[123] of btf[fd:9]"],
    ["18 42 00 00 fd ff ff ff  00 00 00 00 00 00 00 00", "r2 = subprog[-3]"],
    ["18 52 00 00 01 00 00 00  00 00 00 00 00 00 00 00", "r2 = map[idx:1]"],
    ["18 62 00 00 01 00 00 00  00 00 00 00 08 00 00 00", "r2 = map[idx:1][0]+8"],
    ["18 f2 00 00 01 00 00 00  00 00 00 00 00 00 00 00", "r2 = 0x1 ll"],
  ])("64-bit load %s: %s", (encoding, text) => {
    expect(format(encoding)).toBe(text);
    expect(formatInsn(bytesOf(encoding), 1)).toBe("");
  });

  it.each([
    ["85 00 00 00 0e 00 00 00", "call 14"],
    ["85 10 00 00 fb ff ff ff", "call pc-5"],
    ["85 20 00 00 7b 00 00 00", "call kernel-function#123"],
    ["85 20 03 00 7b 00 00 00", "call kernel-function#123 of btf[idx:3]"],
    ["07 00 01 00 05 00 00 00", "r0 += 5"],
    ["05 00 fe ff 00 00 00 00", "goto pc-2"],
    ["06 00 00 00 a0 86 01 00", "gotol pc+100000"],
    ["06 00 00 00 60 79 fe ff", "gotol pc-100000"],
    ["e5 00 05 00 00 00 00 00", "may_goto pc+5"],
    ["0d 01 00 00 00 00 00 00", "gotox r1"],
    ["bf a1 01 00 00 00 01 00", "r1 = addr_space_cast(r10, 1, 0)"],
  ])("%s: %s", (encoding, text) => {
    expect(format(encoding)).toBe(text);
  });

  it.each([
    ["end of the file inside a 64-bit load", "18 01 00 00 02 00 00 00", "(18) ???"],
    ["lone second half", "00 00 00 00 00 00 00 00", "(00) ???"],
    ["packet load of 64 bits", "38 00 00 00 00 00 00 00", "(38) ???"],
    ["sign-extending load of 64 bits", "99 a0 f8 ff 00 00 00 00", "(99) ???"],
    ["store of unknown mode", "22 00 00 00 00 00 00 00", "(22) ???"],
    ["register store of unknown mode", "83 00 00 00 00 00 00 00", "(83) ???"],
    ["atomic on 8 bits", "d3 2a f8 ff 00 00 00 00", "(d3) ???"],
    ["unknown atomic operation", "db 2a f8 ff 10 00 00 00", "(db) ???"],
    ["move that extends 7 bits", "bf 20 07 00 00 00 00 00", "(bf) ???"],
    ["32-bit move between address spaces", "bc 20 01 00 00 00 00 00", "(bc) ???"],
    ["swap of 8 bits", "d7 00 00 00 08 00 00 00", "(d7) ???"],
    ["unconditional swap with a direction", "df 00 00 00 10 00 00 00", "(df) ???"],
    ["arithmetic operation 0xe0", "e7 00 00 00 00 00 00 00", "(e7) ???"],
    ["32-bit call", "86 00 00 00 01 00 00 00", "(86) ???"],
    ["32-bit exit", "96 00 00 00 00 00 00 00", "(96) ???"],
    ["32-bit may_goto", "e6 00 00 00 00 00 00 00", "(e6) ???"],
    ["call of unknown kind", "85 70 00 00 01 00 00 00", "(85) ???"],
    ["jump operation 0xf0", "f5 00 00 00 00 00 00 00", "(f5) ???"],
  ])("%s", (_, encoding, text) => {
    expect(format(encoding)).toBe(text);
  });

  it("prints any bytes without throwing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        for (const index of [0, 1]) {
          const text = formatInsn(bytes, index);
          expect(text).not.toMatch(/undefined|NaN/);
          if (text === "") expect([index, bytes[0], bytes[8]]).toEqual([1, 0x18, 0]);
        }
      }),
      { numRuns: 5000 },
    );
    for (let opcode = 0; opcode < 256; opcode++) {
      expect(formatInsn(Uint8Array.of(opcode, 0, 0, 0, 0, 0, 0, 0), 0)).not.toMatch(/undefined|NaN|^$/);
    }
  });

  it("refuses an index outside of the bytes", () => {
    for (const index of [-1, 1, 0.5, Number.NaN])
      expect(() => formatInsn(new Uint8Array(8), index)).toThrow(ArgumentError);
  });
});

const fixtures = new URL("../../fixtures/", import.meta.url);
// Objects of types alone, for CO-RE, have no code.
const objects = existsSync(fixtures)
  ? readdirSync(fixtures).filter((name) => /^[^.]+(\.(?!types_)\w+)?\.bpf\.o$/.test(name))
  : [];

describe.skipIf(objects.length === 0)("compiled objects", () => {
  it.each(objects)("every instruction of %s has a text", (name) => {
    const elf = parseElf(readFileSync(new URL(name, fixtures)));
    let count = 0;
    for (const { flags, data } of elf.sections) {
      if ((flags & SectionFlag.EXECINSTR) === 0) continue;
      const insns = data.slice();
      if (!elf.littleEndian) swapInsns(insns);
      for (let index = 0; index < insns.length / INSN_SIZE; index++) {
        expect(formatInsn(insns, index)).not.toMatch(/\?\?\?|^$/);
        if (isLdimm64(insns, index)) index++;
        count++;
      }
    }
    expect(count).toBeGreaterThan(1);
  });

  it.skipIf(!objects.includes("minimal.eb.bpf.o"))("both byte orders of one source print the same", () => {
    const texts = (name: string) => {
      const elf = parseElf(readFileSync(new URL(name, fixtures)));
      return elf.sections
        .filter(({ flags, size }) => (flags & SectionFlag.EXECINSTR) !== 0 && size > 0)
        .map(({ data }) => {
          const insns = data.slice();
          if (!elf.littleEndian) swapInsns(insns);
          return Array.from({ length: insns.length / INSN_SIZE }, (_, index) => formatInsn(insns, index));
        });
    };
    expect(texts("minimal.eb.bpf.o")).toEqual(texts("minimal.bpf.o"));
    expect(texts("minimal.bpf.o").flat().at(-1)).toBe("exit");
  });
});
