// Arguments of USDT probes: the grammar of x86-64 and arm64, and the records for <bpf/usdt.bpf.h>.

import { describe, expect, it } from "vitest";
import { parseUsdtArguments, USDT_SPEC_SIZE, usdtSpec } from "../../src/elf/index.js";
import { ArgumentError, UnsupportedError } from "../../src/errors.js";

const X86 = 62;
const ARM64 = 183;
const at = (size: number, signed: boolean, rest: object): object => ({ size, signed, value: 0n, ...rest });

/** Offsets in struct pt_regs of x86-64. */
const rax = 80;
const rbp = 32;
const rdi = 112;
const rsp = 152;
const rdx = 96;
const r8 = 72;
const rip = 128;

const x86: Readonly<Record<string, object>> = {
  "8@%rax": at(8, false, { kind: "register", register: rax }),
  "-4@%edi": at(4, true, { kind: "register", register: rdi }),
  "-1@%r8b": at(1, true, { kind: "register", register: r8 }),
  "2@%dx": at(2, false, { kind: "register", register: rdx }),
  "-1@%dil": at(1, true, { kind: "register", register: rdi }),
  "-4@$-9": at(4, true, { kind: "constant", register: 0, value: -9n }),
  "8@$0x10": at(8, false, { kind: "constant", register: 0, value: 16n }),
  "-4@-20(%rbp)": at(4, true, { kind: "memory", register: rbp, value: -20n }),
  "8@(%rsp)": at(8, false, { kind: "memory", register: rsp }),
  "8@1234(%rip)": at(8, false, { kind: "memory", register: rip, value: 1234n }),
  "-2@8(%rax,%rdx,4)": at(2, true, { kind: "indexed", register: rax, index: rdx, shift: 2, value: 8n }),
  "1@(%rax,%rdx)": at(1, false, { kind: "indexed", register: rax, index: rdx, shift: 0 }),
  "8@( %rax , %r8 , 8 )": at(8, false, { kind: "indexed", register: rax, index: r8, shift: 3 }),
};

const arm64: Readonly<Record<string, object>> = {
  "-4@x3": at(4, true, { kind: "register", register: 24 }),
  "8@sp": at(8, false, { kind: "register", register: 248 }),
  "8@[sp, 56]": at(8, false, { kind: "memory", register: 248, value: 56n }),
  "-4@[x29,-20]": at(4, true, { kind: "memory", register: 232, value: -20n }),
  "1@[x0]": at(1, false, { kind: "memory", register: 0 }),
  "-4@-9": at(4, true, { kind: "constant", register: 0, value: -9n }),
};

describe("arguments of USDT probes", () => {
  it.each(Object.entries(x86))("on x86-64: %s", (text, expected) => {
    expect(parseUsdtArguments(text, X86)).toEqual([expected]);
  });

  it.each(Object.entries(arm64))("on arm64: %s", (text, expected) => {
    expect(parseUsdtArguments(text, ARM64)).toEqual([expected]);
  });

  it("are separated by blanks; none at all is fine", () => {
    expect(parseUsdtArguments(` ${Object.keys(x86).slice(0, 12).join("  ")}\t`, X86)).toEqual(
      Object.values(x86).slice(0, 12),
    );
    expect(parseUsdtArguments(Object.keys(arm64).join(" "), ARM64)).toEqual(Object.values(arm64));
    expect([parseUsdtArguments("", X86), parseUsdtArguments(":x", X86)]).toEqual([[], []]);
  });

  it.each([
    "3@%rax",
    "8@%xmm0",
    "8f@%xmm0",
    "@%rax",
    "8@",
    "8@rax",
    "8@8(%rax,%rdx,3)",
    "8@%rax8@%rax",
    "8@(%rax",
    "x",
    Array(13).fill("8@%rax").join(" "),
  ])("are refused: %s", (text) => {
    expect(() => parseUsdtArguments(text, X86)).toThrow(ArgumentError);
  });

  it("of other machines are not known", () => {
    expect(() => parseUsdtArguments("8@%r1", 22)).toThrow(UnsupportedError);
  });

  it("become records that the program reads", () => {
    const spec = usdtSpec(parseUsdtArguments("-4@$-9 8@%rdi -2@8(%rax,%rdx,4)", X86), 77n);
    const view = new DataView(spec.buffer);
    expect(spec.length).toBe(USDT_SPEC_SIZE);
    expect([view.getBigInt64(0, true), view.getUint32(8, true), view.getUint8(14), view.getUint8(15)]).toEqual([
      -9n,
      0,
      1,
      32,
    ]);
    expect([view.getUint32(24, true), view.getInt16(28, true), view.getUint8(30), view.getUint8(31)]).toEqual([
      1,
      rdi,
      0,
      0,
    ]);
    expect(view.getUint32(40, true)).toBe(3 | (rdx << 8) | (2 << 20));
    expect([view.getInt16(44, true), view.getUint8(47)]).toEqual([rax, 48]);
    expect([view.getBigUint64(192, true), view.getInt16(200, true)]).toEqual([77n, 3]);
  });
});
