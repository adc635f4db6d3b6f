import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors.js";
import {
  BPF_CALL_INSN,
  BPF_PSEUDO,
  type Insn,
  isLdimm64,
  ldimm64At,
  Opcode,
  opcodeAt,
  readInsn,
  setImm,
  setLdimm64,
  setOff,
  setSource,
  swapInsns,
  writeInsn,
} from "../../src/insn/index.js";

const anyInsn: fc.Arbitrary<Insn> = fc.record({
  opcode: fc.integer({ min: 0, max: 255 }),
  dst: fc.integer({ min: 0, max: 15 }),
  src: fc.integer({ min: 0, max: 15 }),
  off: fc.integer({ min: -32768, max: 32767 }),
  imm: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
});

const sample: Insn = { opcode: 0x63, dst: 10, src: 1, off: -4, imm: -2 };
const sampleBytes = [0x63, 0x1a, 0xfc, 0xff, 0xfe, 0xff, 0xff, 0xff];

describe("one instruction", () => {
  it("has the layout of struct bpf_insn", () => {
    const bytes = new Uint8Array(24).fill(0xee);
    writeInsn(bytes, 1, sample);
    expect([...bytes]).toEqual([...new Array(8).fill(0xee), ...sampleBytes, ...new Array(8).fill(0xee)]);
    expect(readInsn(bytes, 1)).toEqual(sample);
    expect(opcodeAt(bytes, 1)).toBe(0x63);
  });

  it("reads back what was written", () => {
    fc.assert(
      fc.property(anyInsn, fc.integer({ min: 0, max: 3 }), (insn, index) => {
        const bytes = new Uint8Array(32);
        writeInsn(bytes, index, insn);
        expect(readInsn(bytes, index)).toEqual(insn);
      }),
    );
  });

  it("agrees with a DataView", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), (bytes) => {
        const view = new DataView(bytes.buffer);
        const { off, imm } = readInsn(bytes, 0);
        expect([off, imm]).toEqual([view.getInt16(2, true), view.getInt32(4, true)]);
      }),
    );
  });

  it("is patched field by field", () => {
    const bytes = Uint8Array.from(sampleBytes);
    setImm(bytes, 0, 0x12345678);
    expect(readInsn(bytes, 0)).toEqual({ ...sample, imm: 0x12345678 });
    setImm(bytes, 0, 0xffff_fffe);
    expect(readInsn(bytes, 0)).toEqual(sample);
    setOff(bytes, 0, 0x7ffe);
    expect(readInsn(bytes, 0)).toEqual({ ...sample, off: 0x7ffe });
    setSource(bytes, 0, BPF_PSEUDO.MAP_VALUE);
    expect(readInsn(bytes, 0)).toEqual({ ...sample, off: 0x7ffe, src: 2 });
  });

  it("is not written with a field that does not fit", () => {
    const bytes = Uint8Array.from(sampleBytes);
    const wrong: Partial<Insn>[] = [
      { opcode: 256 },
      { opcode: -1 },
      { dst: 16 },
      { src: -1 },
      { off: 0x8000 },
      { off: -0x8001 },
      { off: 0.5 },
      { imm: 2 ** 32 },
      { imm: -(2 ** 31) - 1 },
      { imm: Number.NaN },
    ];
    for (const field of wrong) expect(() => writeInsn(bytes, 0, { ...sample, ...field })).toThrow(ArgumentError);
    expect(() => setImm(bytes, 0, 2 ** 32)).toThrow("4294967296 does not fit the immediate of an instruction");
    expect(() => setOff(bytes, 0, -32769)).toThrow(ArgumentError);
    expect(() => setSource(bytes, 0, 16)).toThrow(ArgumentError);
    expect([...bytes]).toEqual(sampleBytes);
  });

  it("is not sought outside of the bytes", () => {
    const bytes = new Uint8Array(23);
    for (const index of [-1, 2, 1.5, Number.NaN, 2 ** 53]) {
      expect(() => readInsn(bytes, index)).toThrow(ArgumentError);
      expect(() => writeInsn(bytes, index, sample)).toThrow(ArgumentError);
      expect(() => setImm(bytes, index, 1)).toThrow(ArgumentError);
      expect(() => isLdimm64(bytes, index)).toThrow(ArgumentError);
    }
    expect(() => readInsn(bytes, 2)).toThrow("no instruction 2 among 2");
  });

  it("can be made from the call template", () => {
    const bytes = new Uint8Array(8);
    writeInsn(bytes, 0, { ...BPF_CALL_INSN, imm: 195896080 });
    expect([...bytes]).toEqual([0x85, 0, 0, 0, 0x10, 0x23, 0xad, 0x0b]);
  });
});

describe("64-bit immediates", () => {
  const load = () => {
    const bytes = new Uint8Array(24);
    writeInsn(bytes, 1, { opcode: Opcode.LDIMM64, dst: 3, src: BPF_PSEUDO.BTF_ID, off: 0, imm: 0 });
    return bytes;
  };

  it("span two instructions", () => {
    const bytes = load();
    setLdimm64(bytes, 1, 0x1122_3344_8877_6655n);
    expect([...bytes.subarray(8)]).toEqual([
      0x18, 0x33, 0, 0, 0x55, 0x66, 0x77, 0x88, 0, 0, 0, 0, 0x44, 0x33, 0x22, 0x11,
    ]);
    expect(ldimm64At(bytes, 1)).toBe(0x1122_3344_8877_6655n);
    expect([isLdimm64(bytes, 0), isLdimm64(bytes, 1), isLdimm64(bytes, 2)]).toEqual([false, true, false]);
  });

  it("read back what was written, modulo 2^64", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (value) => {
        const bytes = load();
        setLdimm64(bytes, 1, value);
        expect(ldimm64At(bytes, 1)).toBe(BigInt.asUintN(64, value));
      }),
    );
  });

  it("are refused where they do not fit", () => {
    const bytes = load();
    expect(() => setLdimm64(bytes, 1, 2n ** 64n)).toThrow(ArgumentError);
    expect(() => setLdimm64(bytes, 1, -(2n ** 63n) - 1n)).toThrow(ArgumentError);
    expect(() => setLdimm64(bytes, 0, 1n)).toThrow("instruction 0 is no load of a 64-bit immediate");
    expect(() => ldimm64At(bytes.subarray(0, 16), 1)).toThrow(ArgumentError);
    expect(() => setLdimm64(bytes.subarray(0, 16), 1, 1n)).toThrow(ArgumentError);
  });
});

describe("swapInsns", () => {
  it("turns a big-endian instruction into a little-endian one", () => {
    // The sample as clang -target bpfeb writes it: registers are bit fields, so they change places too.
    const bytes = Uint8Array.of(0x63, 0xa1, 0xff, 0xfc, 0xff, 0xff, 0xff, 0xfe);
    swapInsns(bytes);
    expect([...bytes]).toEqual(sampleBytes);
  });

  it("twice is the identity", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 8 }).chain((n) => fc.uint8Array({ minLength: n * 8, maxLength: n * 8 })),
        (bytes) => {
          const copy = bytes.slice();
          swapInsns(copy);
          swapInsns(copy);
          expect(copy).toEqual(bytes);
        },
      ),
    );
  });

  it("refuses a part of an instruction", () => {
    expect(() => swapInsns(new Uint8Array(12))).toThrow("12 bytes are no whole number of 8-byte instructions");
  });
});
