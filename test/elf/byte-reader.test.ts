import { describe, expect, it } from "vitest";
import { ByteReader } from "../../src/elf/index.js";
import { ElfError } from "../../src/errors.js";

const bytes = Uint8Array.from([0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x88]);
const le = new ByteReader(bytes, true, ".data");
const be = new ByteReader(bytes, false, ".data");

function errorOf(body: () => unknown): ElfError {
  try {
    body();
  } catch (error) {
    if (error instanceof ElfError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("ByteReader", () => {
  it("reads both byte orders", () => {
    expect([le.u8(1), le.u16(0), le.u32(0), le.u64(0)]).toEqual([2, 0x0201, 0x04030201, 0x8807060504030201n]);
    expect([be.u8(1), be.u16(0), be.u32(0), be.u64(0)]).toEqual([2, 0x0102, 0x01020304, 0x0102030405060788n]);
    expect(le.u32(4)).toBe(0x88070605);
    expect(le.i64(0)).toBe(0x8807060504030201n - (1n << 64n));
  });

  it("respects the byteOffset of its view", () => {
    expect(new ByteReader(bytes.subarray(2, 4), true).u16(0)).toBe(0x0403);
    expect(errorOf(() => new ByteReader(bytes.subarray(2, 4), true).u16(1)).code).toBe("ELF_TRUNCATED");
  });

  it("names section and offset of an access beyond the end", () => {
    const error = errorOf(() => le.u32(5));
    expect(error.code).toBe("ELF_TRUNCATED");
    expect(error.message).toBe("section .data, offset 0x5: 4 bytes are needed here, beyond the end at 0x8");
    for (const offset of [-1, 8, 1.5, Number.NaN, 2 ** 60, Number.POSITIVE_INFINITY]) {
      expect(errorOf(() => le.u8(offset)).code).toBe("ELF_TRUNCATED");
      expect(errorOf(() => le.u64(offset)).code).toBe("ELF_TRUNCATED");
    }
  });

  it("turns 64-bit sizes into numbers up to 2^53 - 1 only", () => {
    const at = (value: bigint, littleEndian: boolean) => {
      const eight = new Uint8Array(8);
      new DataView(eight.buffer).setBigUint64(0, value, littleEndian);
      return new ByteReader(eight, littleEndian);
    };
    for (const littleEndian of [true, false]) {
      expect(at(2n ** 53n - 1n, littleEndian).safeU64(0)).toBe(Number.MAX_SAFE_INTEGER);
      expect(at(0x1_2345_6789n, littleEndian).safeU64(0)).toBe(0x1_2345_6789);
      for (const value of [2n ** 53n, 2n ** 64n - 1n]) {
        expect(errorOf(() => at(value, littleEndian).safeU64(0)).code).toBe("ELF_INVALID");
      }
    }
  });

  it("reads strings up to their NUL, and only with one", () => {
    const strings = new ByteReader(new TextEncoder().encode("\0abc\0ä\0end"), true, ".strtab");
    expect([strings.string(0), strings.string(1), strings.string(3), strings.string(5)]).toEqual(["", "abc", "c", "ä"]);
    expect(errorOf(() => strings.string(1, 4)).reason).toBe("a string is not NUL-terminated");
    expect(errorOf(() => strings.string(8)).reason).toBe("a string is not NUL-terminated");
    expect(errorOf(() => strings.string(11)).reason).toBe("a string starts beyond the end at 0xb");
    expect(errorOf(() => strings.string(11)).code).toBe("ELF_INVALID");
  });
});
