// Bitfields (libbpf.md 4.10): the unit that is loaded, and the shifts that take the field out of it, in both byte orders.
// The shifts are checked by doing what a program does with them.

import { describe, expect, it } from "vitest";
import {
  enumeration,
  int,
  kernelOf,
  relocate,
  s32,
  s64,
  struct,
  type TypeMaker,
  u8,
  u16,
  u32,
  u64,
} from "./support.js";

/** A target struct with the bitfield `f`, and a local one with `f` elsewhere. */
const target = (type: TypeMaker, bitOffset: number, width: number) =>
  struct("s", 64, ["pad", 0, u64], ["f", bitOffset, type, width]);
const local = (type: TypeMaker) => struct("s", 64, ["f", 3, type, 2]);

const kinds = ["byte_off", "byte_sz", "lshift_u64", "rshift_u64", "signed"] as const;
function facts(ours: TypeMaker, theirs: TypeMaker, littleEndian: boolean): number[] {
  const kernel = kernelOf(theirs);
  return kinds.map((kind) => {
    // rshift and signed are validated against the local field; the others are not.
    const original = kind === "rshift_u64" ? 62n : 0n;
    return Number(relocate(ours, kernel, "0:0", kind, original, { littleEndian }));
  });
}

describe.each([
  ["u8 in its byte", u8, 65, 3, { offset: 8, size: 1 }],
  ["u8 over a byte boundary", u8, 70, 4, { offset: 8, size: 2 }],
  ["u16 over a word boundary of two", u16, 92, 7, { offset: 8, size: 8 }],
  ["u32 in the second word", u32, 100, 20, { offset: 12, size: 4 }],
  ["u32 over a word boundary", u32, 90, 12, { offset: 8, size: 8 }],
  ["u64 as wide as itself", u64, 64, 64, { offset: 8, size: 8 }],
  ["enum", enumeration("e", { A: 1 }), 66, 5, { offset: 8, size: 4 }],
  ["signed int", s32, 128, 5, { offset: 16, size: 4 }],
])("%s", (_, type, bitOffset, width, unit) => {
  it.each([true, false])("little endian: %s", (littleEndian) => {
    const ours = local(type === s32 ? u32 : type);
    const [offset, size, left, right, signed] = facts(ours, target(type, bitOffset, width), littleEndian);
    expect({ offset, size }).toEqual(unit);
    expect(signed).toBe(type === s32 ? 1 : 0);

    // Put the field into memory as a C compiler does, load the unit, shift as told.
    const memory = new Uint8Array(64).fill(0xff);
    const value = 0x5a5a5a5a5a5a5a5an & ((1n << BigInt(width)) - 1n);
    for (let bit = 0; bit < width; bit++) {
      // Little endian numbers bits from the lowest of each byte, big endian from the highest.
      const at = bitOffset + bit;
      const mask = littleEndian ? 1 << (at % 8) : 0x80 >> (at % 8);
      const isSet = (value >> BigInt(littleEndian ? bit : width - 1 - bit)) & 1n;
      memory[at >> 3] = isSet ? memory[at >> 3]! | mask : memory[at >> 3]! & ~mask;
    }
    let loaded = 0n;
    for (let i = 0; i < size!; i++) {
      loaded |= BigInt(memory[offset! + i]!) << BigInt(8 * (littleEndian ? i : size! - 1 - i));
    }
    expect(BigInt.asUintN(64, loaded << BigInt(left!)) >> BigInt(right!)).toBe(value);
  });
});

describe("bitfields", () => {
  it("that no aligned u64 holds fail the load", () => {
    const kernel = kernelOf(target(u64, 100, 40));
    expect(() => relocate(local(u32), kernel, "0:0", "byte_off", 0n)).toThrow("does not fit into an aligned u64");
    expect(relocate(local(u32), kernel, "0:0", "field_exists", 1n)).toBe(1n);
  });

  it("become plain fields and the other way round", () => {
    const plain = struct("s", 16, ["f", 64, s64]);
    expect(facts(local(u64), plain, true)).toEqual([8, 8, 0, 0, 1]);
    expect(relocate(plain, kernelOf(target(u8, 65, 3)), "0:0", "lshift_u64", 0n)).toBe(60n);
    expect(relocate(plain, kernelOf(target(u8, 65, 3)), "0:0", "rshift_u64", 0n)).toBe(61n);
  });

  it("are validated for sign and right shift only", () => {
    const kernel = kernelOf(target(u32, 100, 20));
    for (const kind of ["byte_off", "byte_sz", "lshift_u64"] as const) {
      expect(relocate(local(u32), kernel, "0:0", kind, 12345n)).not.toBe("poison");
    }
    for (const kind of ["rshift_u64", "signed"] as const) {
      expect(() => relocate(local(u32), kernel, "0:0", kind, 12345n)).toThrow("the instruction holds 12345");
    }
  });

  it("of a type without size or of another kind are refused", () => {
    const odd = int("odd", 0);
    expect(() => relocate(local(odd), kernelOf(local(odd)), "0:0", "byte_off", 0n)).toThrow("bitfield of kind int");
  });

  it("that are missing poison", () => {
    const kernel = kernelOf(struct("s", 8, ["g", 0, u32, 3]));
    expect(relocate(local(u32), kernel, "0:0", "lshift_u64", 0n)).toBe("poison");
    expect(relocate(local(u32), kernel, "0:0", "field_exists", 1n)).toBe(0n);
  });
});
