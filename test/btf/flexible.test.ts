// Flexible array members: as many elements as the bytes have room for.

import { describe, expect, it } from "vitest";
import { type BtfValue, compileCodec } from "../../src/btf/index.js";
import { Types } from "./codec-types.js";

describe("flexible array members", () => {
  for (const codegen of [true, false]) {
    it(`take what lies behind the struct (${codegen ? "generated" : "interpreted"})`, () => {
      const types = new Types();
      const [u8, u16, u32] = [types.int("unsigned char", 1), types.int("u16", 2), types.int("u32", 4)];
      const char = types.int("char", 1, "signed");
      const make = (element: number, name = "rest") => {
        const id = types.struct("s", 8, [
          ["n", u32, 0],
          ["k", u8, 32],
          [name, types.array(element, 0), element === char || element === u8 ? 40 : 64],
        ]);
        return compileCodec(types, id, { codegen });
      };
      const bytes = new Uint8Array(32);
      bytes.set([9, 0, 0, 0, 1, 104, 105, 33, 111, 0, 7, 8, 9, 10, 11], 4);
      const view = new DataView(bytes.buffer);
      expect(make(u16).decodeRecord(view, 4, 15)).toEqual({ n: 9, k: 1, rest: [0x6f, 0x807, 0xa09] });
      expect(make(char).decodeRecord(view, 4, 15)).toEqual({ n: 9, k: 1, rest: "hi!o" });
      expect(make(char).decodeRecord(view, 4, 8)).toEqual({ n: 9, k: 1, rest: "hi!" });
      expect(make(u8).decodeRecord(view, 4, 10)).toEqual({ n: 9, k: 1, rest: new Uint8Array([104, 105, 33, 111, 0]) });
      expect(make(u16, "__proto__").decodeRecord(view, 4, 10)).toEqual(
        Object.fromEntries([
          ["n", 9],
          ["k", 1],
          ["__proto__", [0x6f]],
        ]),
      );
      const codec = make(u16);
      expect([codec.flexible, codec.size, codec.decode(view, 4)]).toEqual([true, 8, { n: 9, k: 1, rest: [] }]);
      expect(() => codec.decodeRecord(view, 4, 7)).toThrow(/7 bytes hold no value of 8/);
      expect(() => codec.decodeRecord(view, 24, 9)).toThrow(/9 bytes hold no value/);
    });
  }

  it.each([true, false])("are written behind the struct (generated: %s)", (codegen) => {
    const types = new Types();
    const [u8, u16, u32] = [types.int("unsigned char", 1), types.int("u16", 2), types.int("u32", 4)];
    const char = types.int("char", 1, "signed");
    const make = (element: number) =>
      compileCodec(
        types,
        types.struct("s", 8, [
          ["n", u32, 0],
          ["k", u8, 32],
          ["rest", types.array(element, 0), element === char || element === u8 ? 40 : 64],
        ]),
        { codegen },
      );
    const bytes = new Uint8Array(32);
    const view = new DataView(bytes.buffer);
    const encoded = (element: number, length: number, value: BtfValue): number[] => {
      bytes.fill(0xff);
      make(element).encodeRecord(view, 4, length, value);
      expect([...bytes.subarray(0, 4), ...bytes.subarray(4 + length)]).toEqual(new Array(32 - length).fill(0xff));
      return [...bytes.subarray(4, 4 + length)];
    };
    expect(encoded(u16, 15, { n: 1, k: 2, rest: [3, 0x504] })).toEqual([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4, 5, 0, 0, 0]);
    expect(encoded(char, 11, { n: 1, rest: "hé" })).toEqual([1, 0, 0, 0, 0, 104, 0xc3, 0xa9, 0, 0, 0]);
    expect(encoded(u8, 8, { rest: Uint8Array.of(7, 8, 9) })).toEqual([0, 0, 0, 0, 0, 7, 8, 9]);
    expect(() => encoded(u16, 12, { rest: [1, 2, 3] })).toThrow(/value\.rest: 3 elements do not fit in an array of 2/);
    expect(() => encoded(char, 8, { rest: "four" })).toThrow(/value\.rest: .*"four" does not fit in char\[3\]/);
    expect(() => make(u16).encodeRecord(view, 0, 7, { n: 1 })).toThrow(/7 bytes hold no value of 8/);
    expect(() => make(u16).encodeRecord(view, 20, 16, { n: 1 })).toThrow(/do not lie within/);
    const records = make(u16).ofLength(14);
    records.encode(view, 2, { n: 5, k: 6, rest: [7, 8, 9] });
    expect([records.size, records.decode(view, 2)]).toEqual([14, { n: 5, k: 6, rest: [7, 8, 9] }]);
    expect(() => make(u16).ofLength(7)).toThrow(/hold no value/);
    const plain = compileCodec(types, u32);
    expect(plain.ofLength(9).size).toBe(4);
  });

  it("of a union at the end are written by whichever member is given", () => {
    const types = new Types();
    const [u16, u32] = [types.int("u16", 2), types.int("u32", 4)];
    const char = types.int("char", 1, "signed");
    const choice = types.union("", 0, [
      ["text", types.array(char, 0)],
      ["words", types.array(u16, 0)],
    ]);
    const codec = compileCodec(
      types,
      types.struct("s", 4, [
        ["n", u32, 0],
        ["", choice, 32],
      ]),
    );
    // The last member is the flexible one; the others stay without elements.
    const bytes = new Uint8Array(8);
    codec.encodeRecord(new DataView(bytes.buffer), 0, 8, { n: 1, words: [2, 3] });
    expect([...bytes]).toEqual([1, 0, 0, 0, 2, 0, 3, 0]);
  });

  it("are the last ones only", () => {
    const types = new Types();
    const u32 = types.int("u32", 4);
    const empty = types.array(u32, 0);
    const id = types.struct("s", 8, [
      ["list", empty, 32],
      ["tail", u32, 32],
    ]);
    const codec = compileCodec(types, id);
    expect(codec.flexible).toBe(false);
    expect(codec.decodeRecord(new DataView(new ArrayBuffer(16)), 0, 16)).toEqual({ list: [], tail: 0 });
  });
});
