// What is written into instructions (libbpf.md 4.12), loads and stores that change their width (4.11), and poison.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CORE_POISON_CALL } from "../../src/core-reloc/index.js";
import { CoreRelocationError } from "../../src/errors.js";
import type { Insn } from "../../src/insn/index.js";
import { setLogger } from "../../src/log.js";
import {
  array,
  code,
  decode,
  enumeration,
  enumeration64,
  exit,
  float,
  int,
  type Kind,
  kernelOf,
  ldx,
  mov,
  ptr,
  s32,
  s64,
  setUp,
  struct,
  type TypeMaker,
  u8,
  u16,
  u32,
  u64,
} from "./support.js";

const warnings: string[] = [];
let before: ReturnType<typeof setLogger>;
beforeEach(() => {
  warnings.length = 0;
  before = setLogger((level, message) => level === "warn" && warnings.push(message));
});
afterEach(() => {
  setLogger(before);
});

const s = (type: TypeMaker, bits = 0) => struct("s", 4096, ["f", bits, type]);
const poison: Insn = { opcode: 0x85, dst: 0, src: 0, off: 0, imm: CORE_POISON_CALL };

/** Relocates the first instruction of `insns`; all of them afterwards. */
function patch(ours: TypeMaker, theirs: TypeMaker, kind: Kind, insns: Uint8Array, access = "0:0") {
  const { relocator, record } = setUp(ours, kernelOf(theirs), access, kind);
  const result = relocator.apply(insns, record);
  return { ...result, insns: decode(insns) };
}

describe("immediates", () => {
  it("of 64-bit and 32-bit arithmetic", () => {
    for (const opcode of [0xb7, 0xb4, 0x07, 0x04]) {
      const insn = { ...mov(4), opcode };
      const result = patch(s(u32, 32), s(u32, 320), "byte_off", code(insn, exit));
      expect(result.insns).toEqual([{ ...insn, imm: 40 }, exit]);
      expect(result).toMatchObject({ insnIndex: 0, poisoned: false, value: 40n });
    }
  });

  it("are compared and written as signed numbers", () => {
    const result = patch(enumeration("e", { A: -1 }), enumeration("e", { A: -2 }), "enumval_value", code(mov(-1)), "0");
    expect(result.insns[0]!.imm).toBe(-2);
    expect(result.value).toBe(0xffff_ffff_ffff_fffen);
    const wide = () => patch(enumeration64("e", { A: 0xffff_ffffn }), s32, "enumval_exists", code(mov(1)), "0");
    expect(wide().insns[0]!.imm).toBe(0);
  });

  it("do not exist in register operations", () => {
    const add: Insn = { opcode: 0x0f, dst: 1, src: 2, off: 0, imm: 0 };
    expect(() => patch(s(u32), s(u32), "byte_off", code(add))).toThrow("has no immediate");
  });

  it("that the local types do not give mean stale records", () => {
    const insns = code(mov(5));
    expect(() => patch(s(u32, 32), s(u32, 64), "byte_off", insns)).toThrow(
      "the instruction holds 5 where the local types give 4",
    );
    expect(decode(insns)).toEqual([mov(5)]);
  });
});

describe("64-bit immediates", () => {
  it("take a value over both halves", () => {
    const ours = enumeration64("e", { A: 0x1_0000_0002n });
    const theirs = enumeration64("e", { A: 0xfedc_ba98_7654_3210n }, { signed: false });
    const { insns } = patch(ours, theirs, "enumval_value", code(0x1_0000_0002n, exit), "0");
    expect(insns).toEqual([
      { opcode: 0x18, dst: 3, src: 0, off: 0, imm: 0x76543210 },
      { opcode: 0, dst: 0, src: 0, off: 0, imm: 0xfedcba98 | 0 },
      exit,
    ]);
  });

  it("are compared over both halves", () => {
    expect(() => patch(s(u32, 32), s(u32), "byte_off", code(0x1_0000_0004n))).toThrow(
      "the instruction holds 4294967300",
    );
  });

  it.each<[string, (bytes: Uint8Array) => void]>([
    ["a pseudo source", (bytes) => bytes.set([0x13], 1)],
    ["an offset", (bytes) => bytes.set([1], 2)],
    ["an opcode in the second half", (bytes) => bytes.set([0x95], 8)],
    ["registers in the second half", (bytes) => bytes.set([0x10], 9)],
    ["an offset in the second half", (bytes) => bytes.set([1], 11)],
    ["another load of the class", (bytes) => bytes.set([0x20], 0)],
  ])("with %s are refused", (_, damage) => {
    const insns = code(0n);
    damage(insns);
    expect(() => patch(s(u32), s(u32), "byte_off", insns)).toThrow(CoreRelocationError);
  });

  it("without a second half are refused", () => {
    expect(() => patch(s(u32), s(u32), "byte_off", code(0n).slice(0, 8))).toThrow("no plain ldimm64");
  });
});

describe("other instructions", () => {
  it.each([0x95, 0x05, 0x15, 0x16, 0x85])("opcode %i cannot be relocated", (opcode) => {
    expect(() => patch(s(u32), s(u32), "byte_off", code({ ...exit, opcode }))).toThrow("cannot be relocated");
  });
});

describe("loads and stores", () => {
  it("take the offset; mode, class and registers stay", () => {
    const store: Insn = { opcode: 0x63, dst: 1, src: 2, off: 4, imm: 0 };
    const storeImm: Insn = { opcode: 0x62, dst: 1, src: 0, off: 4, imm: 77 };
    const atomic: Insn = { opcode: 0xc3, dst: 1, src: 2, off: 4, imm: 0xf1 };
    for (const insn of [ldx("W", 4), store, storeImm, atomic]) {
      expect(patch(s(u32, 32), s(u32, 96), "byte_off", code(insn)).insns).toEqual([{ ...insn, off: 12 }]);
    }
  });

  it("have room for 32767", () => {
    expect(patch(s(u8), s(u8, 32767 * 8), "byte_off", code(ldx("B", 0))).insns).toEqual([ldx("B", 32767)]);
    expect(() => patch(s(u8), s(u8, 32768 * 8), "byte_off", code(ldx("B", 0)))).toThrow("exceeds 32767");
    expect(patch(s(u8), s(u8, 32768 * 8), "byte_off", code(mov(0))).insns).toEqual([mov(32768)]);
  });

  it("are validated", () => {
    expect(() => patch(s(u32, 32), s(u32), "byte_off", code(ldx("W", 8)))).toThrow("the instruction holds 8");
  });

  const bool = int("_Bool", 1, false, { bool: true });
  const char = int("char", 1, true, { char: true });
  const signedBool = int("_Bool", 1, true, { bool: true });
  it.each<[string, TypeMaker, "B" | "H" | "W" | "DW", TypeMaker, "B" | "H" | "W" | "DW"]>([
    ["u32 to u64", u32, "W", u64, "DW"],
    ["u64 to u8", u64, "DW", u8, "B"],
    ["u16 to u32", u16, "H", u32, "W"],
    ["u64 to bool", u64, "DW", bool, "B"],
    ["char to u32, a char counts as unsigned", char, "B", u32, "W"],
    ["u32 to signed bool", u32, "W", signedBool, "B"],
    ["s32 to s32", s32, "W", int("other", 4, true), "W"],
    ["s32 to u32", s32, "W", u32, "W"],
    ["pointers", ptr(), "DW", ptr(u8), "DW"],
    ["float of one size", float("float", 4), "W", float("f", 4), "W"],
  ])("change their width: %s", (_, ours, from, theirs, to) => {
    const result = patch(s(ours), s(theirs, 64), "byte_off", code(ldx(from, 0)));
    expect(result).toMatchObject({ poisoned: false, insns: [ldx(to, 8)] });
    expect(warnings).toEqual([]);
  });

  it("keep the mode when the width changes", () => {
    const signExtending: Insn = { ...ldx("W", 0), opcode: 0x81 };
    expect(patch(s(u32), s(u16, 64), "byte_off", code(signExtending)).insns).toEqual([
      { ...signExtending, opcode: 0x89, off: 8 },
    ]);
  });

  it.each<[string, TypeMaker, TypeMaker]>([
    ["signed ints", s32, s64],
    ["signed to unsigned", s32, u64],
    ["unsigned to signed", u32, s64],
    ["enums", enumeration("e", { A: 1 }), enumeration("e", { A: 1 }, { size: 8 })],
    ["floats", float("f", 4), float("d", 8)],
    ["whole arrays", array(u32, 1), array(u64, 1)],
    ["a field that became a bitfield", u32, s32],
  ])("cannot change their width for %s: poison and a warning", (name, ours, theirs) => {
    const target = name.includes("bitfield") ? struct("s", 8, ["f", 3, u32, 5]) : s(theirs);
    const insns = code(ldx("W", 0), exit);
    const result = patch(s(ours), target, "byte_off", insns);
    expect(result.insns).toEqual([poison, exit]);
    expect(result).toMatchObject({ poisoned: true, value: 0n });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/CO-RE <byte_off> .* struct s\.f \(0:0 @ offset 0\): instruction 0 .* unsigned/);
    // Arithmetic with the same offset is no access and goes through.
    expect(patch(s(ours), target, "byte_off", code(mov(0))).poisoned).toBe(false);
  });

  it("look at elements of arrays: as accessors they resize, by their innermost size", () => {
    const elements = patch(s(array(u32, 4)), s(array(u64, 4)), "byte_off", code(ldx("W", 8)), "0:0:2");
    expect(elements.insns).toEqual([ldx("DW", 16)]);
    const same = patch(s(array(u32, 4)), s(array(u32, 9), 64), "byte_off", code(ldx("W", 0)), "0:0");
    expect(same.insns).toEqual([ldx("W", 8)]);
    const nested = patch(
      s(array(array(u32, 2), 2)),
      s(array(array(u32, 3), 2)),
      "byte_off",
      code(ldx("W", 8)),
      "0:0:1",
    );
    expect(nested.insns).toEqual([ldx("W", 12)]);
  });

  it("must access the whole field to be resized", () => {
    expect(() => patch(s(u32), s(u64), "byte_off", code(ldx("B", 0)))).toThrow("does not access all 4 bytes");
    expect(patch(s(u32), s(u32, 64), "byte_off", code(ldx("B", 0))).insns).toEqual([ldx("B", 8)]);
  });

  it("have only widths 1, 2, 4 and 8", () => {
    const u128 = int("unsigned __int128", 16);
    expect(() => patch(s(u64), s(u128), "byte_off", code(ldx("DW", 0)))).toThrow("no instruction accesses 16 bytes");
    expect(() => patch(s(u128), s(u64), "byte_off", code(ldx("DW", 0)))).toThrow("does not access all 16 bytes");
  });
});

describe("poison", () => {
  const missing = struct("s", 4, ["other", 0, u32]);

  it.each<[string, Uint8Array]>([
    ["arithmetic", code(mov(0), exit)],
    ["a load", code(ldx("W", 0), exit)],
    ["anything else, without looking at it", code(exit, exit)],
  ])("replaces %s by a call of no helper", (_, insns) => {
    const result = patch(s(u32), missing, "byte_off", insns);
    expect(result.insns).toEqual([poison, exit]);
    expect(result).toMatchObject({ poisoned: true, value: 0n });
    expect(warnings).toEqual([]);
  });

  it("replaces both halves of a 64-bit immediate", () => {
    expect(patch(s(u32), missing, "byte_off", code(0n, exit)).insns).toEqual([poison, poison, exit]);
    expect(patch(s(u32), missing, "byte_off", code(0n).slice(0, 8)).insns).toEqual([poison]);
  });

  it("has libbpf's number", () => {
    expect(CORE_POISON_CALL).toBe(0xbad2310);
  });
});
