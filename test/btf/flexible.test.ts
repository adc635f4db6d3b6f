// Flexible array members: as many elements as the bytes have room for.

import { describe, expect, it } from "vitest";
import { compileCodec } from "../../src/btf/index.js";
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
