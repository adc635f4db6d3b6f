// Each row of the table at compileCodec: literal bytes in both byte orders, through generated code and the interpreter.

import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { type BtfCodec, type BtfValue, compileCodec, unionBytes } from "../../src/btf/codec.js";
import { Types } from "./codec-types.js";

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(hex.replaceAll(" ", "").match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

function hex(data: Uint8Array): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function decode(codec: BtfCodec, data: Uint8Array, offset = 0): BtfValue {
  return codec.decode(new DataView(data.buffer, data.byteOffset, data.byteLength), offset);
}

function encode(codec: BtfCodec, value: BtfValue): string {
  // Not zero before, so that bytes left alone show; one byte on each side must stay.
  const data = new Uint8Array(codec.size + 2).fill(0xaa);
  codec.encode(new DataView(data.buffer), 1, value);
  expect([data[0], data.at(-1)]).toEqual([0xaa, 0xaa]);
  return hex(data.subarray(1, -1));
}

interface Row {
  readonly name: string;
  readonly make: (types: Types) => number;
  readonly little: string;
  readonly big: string;
  readonly value: BtfValue;
  readonly int64?: "number";
  /** Bytes and value decode to each other, but something is lost when encoding. */
  readonly decodeOnly?: true;
}

const char = (types: Types): number => types.int("char", 1, "signed");
const u8 = (types: Types): number => types.int("unsigned char", 1);
const u32 = (types: Types): number => types.int("unsigned int", 4);
const int = (types: Types): number => types.int("int", 4, "signed");

/** A row whose bytes are the same in both orders. */
function same(data: string): { little: string; big: string } {
  return { little: data, big: data };
}

const rows: readonly Row[] = [
  { name: "u8", make: u8, ...same("fe"), value: 254 },
  { name: "s8", make: (t) => t.int("signed char", 1, "signed"), ...same("fe"), value: -2 },
  { name: "char alone", make: char, ...same("41"), value: 65 },
  { name: "u16", make: (t) => t.int("u16", 2), little: "fe ff", big: "ff fe", value: 0xfffe },
  { name: "s16", make: (t) => t.int("s16", 2, "signed"), little: "feff", big: "fffe", value: -2 },
  { name: "u32", make: u32, little: "efbeadde", big: "deadbeef", value: 0xdeadbeef },
  { name: "s32", make: int, little: "efbeadde", big: "deadbeef", value: 0xdeadbeef | 0 },
  {
    name: "u64",
    make: (t) => t.int("u64", 8),
    little: "88776655443322f1",
    big: "f122334455667788",
    value: 0xf122334455667788n,
  },
  {
    name: "s64",
    make: (t) => t.int("s64", 8, "signed"),
    little: "feffffffffffffff",
    big: "fffffffffffffffe",
    value: -2n,
  },
  {
    name: "u64 as number",
    make: (t) => t.int("u64", 8),
    int64: "number",
    little: "0600000001000000",
    big: "0000000100000006",
    value: 2 ** 32 + 6,
  },
  {
    name: "s64 as number",
    make: (t) => t.int("s64", 8, "signed"),
    int64: "number",
    little: "feffffffffffffff",
    big: "fffffffffffffffe",
    value: -2,
  },
  {
    name: "u64 as number beyond 2^53, rounded",
    make: (t) => t.int("u64", 8),
    int64: "number",
    little: "0104000000000080",
    big: "8000000000000401",
    value: 2 ** 63 + 2048,
    decodeOnly: true,
  },
  {
    name: "unsigned __int128",
    make: (t) => t.int("unsigned __int128", 16),
    int64: "number",
    little: "0f0e0d0c0b0a09080706050403020180",
    big: "800102030405060708090a0b0c0d0e0f",
    value: 0x800102030405060708090a0b0c0d0e0fn,
  },
  {
    name: "__int128",
    make: (t) => t.int("__int128", 16, "signed"),
    little: "feffffffffffffffffffffffffffffff",
    big: "fffffffffffffffffffffffffffffffe",
    value: -2n,
  },
  { name: "true", make: (t) => t.int("_Bool", 1, "bool"), ...same("01"), value: true },
  { name: "false", make: (t) => t.int("_Bool", 1, "bool"), ...same("00"), value: false },
  { name: "a bool of 4 bytes", make: (t) => t.int("b32", 4, "bool"), little: "01000000", big: "00000001", value: true },
  { name: "a bool that is 2", make: (t) => t.int("_Bool", 1, "bool"), ...same("02"), value: true, decodeOnly: true },
  {
    name: "float",
    make: (t) => t.add({ kind: "float", name: "float", size: 4 }),
    little: "0000c0bf",
    big: "bfc00000",
    value: -1.5,
  },
  {
    name: "double",
    make: (t) => t.add({ kind: "float", name: "double", size: 8 }),
    little: "182d4454fb210940",
    big: "400921fb54442d18",
    value: Math.PI,
  },
  {
    name: "_Float16",
    make: (t) => t.add({ kind: "float", name: "_Float16", size: 2 }),
    ...same("3c00"),
    value: bytes("3c00"),
  },
  {
    name: "enum",
    make: (t) => t.add({ kind: "enum", name: "e", size: 4, signed: true, values: [{ name: "A", value: -1 }] }),
    little: "ffffffff",
    big: "ffffffff",
    value: -1,
  },
  {
    name: "enum of one byte",
    make: (t) => t.add({ kind: "enum", name: "e", size: 1, signed: false, values: [] }),
    ...same("ff"),
    value: 255,
  },
  {
    name: "enum64",
    make: (t) => t.add({ kind: "enum64", name: "e", size: 8, signed: false, values: [] }),
    little: "0100000000000080",
    big: "8000000000000001",
    value: 0x8000000000000001n,
  },
  {
    name: "pointer",
    make: (t) => t.add({ kind: "ptr", name: "", type: 0 }),
    int64: "number",
    little: "f0debc9a7856ffff",
    big: "ffff56789abcdef0",
    value: 0xffff56789abcdef0n,
  },
  { name: "char[8]", make: (t) => t.array(char(t), 8), ...same("6e6f646500000000"), value: "node" },
  {
    name: "char[8] with garbage after its NUL",
    make: (t) => t.array(char(t), 8),
    ...same("6e6f646500ff2041"),
    value: "node",
    decodeOnly: true,
  },
  { name: "char[4] without a NUL", make: (t) => t.array(char(t), 4), ...same("6e6f6465"), value: "node" },
  {
    name: "char[4] of UTF-8",
    make: (t) => t.array(char(t), 4),
    ...same("c3a9e282"),
    value: "é\ufffd",
    decodeOnly: true,
  },
  { name: "char[7] of UTF-8", make: (t) => t.array(char(t), 7), ...same("c3a9f09f989000"), value: "é😐" },
  { name: "char[5] with a byte order mark", make: (t) => t.array(char(t), 5), ...same("efbbbf4100"), value: "\ufeffA" },
  { name: "char flagged by encoding", make: (t) => t.array(t.int("c8", 1, "char"), 2), ...same("4100"), value: "A" },
  {
    name: "unsigned char flagged as GCC does",
    make: (t) => t.array(t.int("unsigned char", 1, "char"), 2),
    ...same("4100"),
    value: bytes("4100"),
  },
  {
    name: "char[40], too long for the cache",
    make: (t) => t.array(char(t), 40),
    ...same(`${"61".repeat(39)}00`),
    value: "a".repeat(39),
  },
  { name: "char[100]", make: (t) => t.array(char(t), 100), ...same("62".repeat(100)), value: "b".repeat(100) },
  { name: "char[24]", make: (t) => t.array(char(t), 24), ...same(`${"63".repeat(23)}00`), value: "c".repeat(23) },
  { name: "u8[6]", make: (t) => t.array(u8(t), 6), ...same("0200005e1000"), value: bytes("0200005e1000") },
  {
    name: "u8[100]",
    make: (t) => t.array(u8(t), 100),
    ...same("5a".repeat(100)),
    value: new Uint8Array(100).fill(0x5a),
  },
  {
    name: "const volatile typedef u8[2]",
    make: (t) => {
      const alias = t.add({ kind: "typedef", name: "__u8", type: u8(t) });
      const constant = t.add({ kind: "const", name: "", type: alias });
      return t.add({ kind: "volatile", name: "", type: t.array(constant, 2) });
    },
    ...same("0102"),
    value: bytes("0102"),
  },
  { name: "s8[2]", make: (t) => t.array(t.int("signed char", 1, "signed"), 2), ...same("01ff"), value: [1, -1] },
  { name: "bool[2]", make: (t) => t.array(t.int("_Bool", 1, "bool"), 2), ...same("0100"), value: [true, false] },
  { name: "char[2][3]", make: (t) => t.array(t.array(char(t), 3), 2), ...same("616263640000"), value: ["abc", "d"] },
  {
    name: "u16[12], a loop",
    make: (t) => t.array(t.int("u16", 2), 12),
    little: "0100".repeat(12),
    big: "0001".repeat(12),
    value: Array<number>(12).fill(1),
  },
  {
    name: "int[2][2]",
    make: (t) => t.array(t.array(int(t), 2), 2),
    little: "01000000 02000000 03000000 ffffffff",
    big: "00000001 00000002 00000003 ffffffff",
    value: [
      [1, 2],
      [3, -1],
    ],
  },
  {
    name: "a struct with padding",
    make: (t) =>
      t.struct("s", 12, [
        ["a", u8(t), 0],
        ["b", u32(t), 32],
        ["c", t.int("u16", 2), 64],
      ]),
    little: "01000000 02000000 03000000",
    big: "01000000 00000002 00030000",
    value: { a: 1, b: 2, c: 3 },
  },
  {
    name: "a packed struct",
    make: (t) =>
      t.struct("s", 5, [
        ["a", u8(t), 0],
        ["b", u32(t), 8],
      ]),
    little: "0102000000",
    big: "0100000002",
    value: { a: 1, b: 2 },
  },
  {
    name: "nested structs",
    make: (t) => {
      const point = t.struct("point", 8, [
        ["x", int(t), 0],
        ["y", int(t), 32],
      ]);
      return t.struct("line", 20, [
        ["ends", t.array(point, 2), 0],
        ["width", u32(t), 128],
      ]);
    },
    little: "01000000 02000000 03000000 04000000 05000000",
    big: "00000001 00000002 00000003 00000004 00000005",
    value: {
      ends: [
        { x: 1, y: 2 },
        { x: 3, y: 4 },
      ],
      width: 5,
    },
  },
  {
    name: "an anonymous struct inside a struct",
    make: (t) => {
      const inner = t.struct("", 8, [
        ["b", u32(t), 0],
        ["c", u32(t), 32],
      ]);
      return t.struct("s", 16, [
        ["a", u32(t), 0],
        ["", inner, 32],
        ["d", u32(t), 96],
      ]);
    },
    little: "01000000 02000000 03000000 04000000",
    big: "00000001 00000002 00000003 00000004",
    value: { a: 1, b: 2, c: 3, d: 4 },
  },
  {
    name: "a flexible array",
    make: (t) =>
      t.struct("s", 4, [
        ["n", u32(t), 0],
        ["data", t.array(u32(t), 0), 32],
      ]),
    little: "03000000",
    big: "00000003",
    value: { n: 3, data: [] },
  },
  {
    name: "flexible arrays of char and u8",
    make: (t) =>
      t.struct("s", 0, [
        ["text", t.array(char(t), 0), 0],
        ["data", t.array(u8(t), 0), 0],
      ]),
    ...same(""),
    value: { text: "", data: new Uint8Array(0) },
  },
  { name: "an empty struct", make: (t) => t.struct("s", 0, []), ...same(""), value: {} },
  {
    name: "names that objects have already",
    make: (t) =>
      t.struct("s", 5, [
        ["__proto__", u8(t), 0],
        ["constructor", u8(t), 8],
        ["toString", u8(t), 16],
        ['"]};x', u8(t), 24],
        ["\u2028\\", u8(t), 32],
      ]),
    ...same("0102030405"),
    value: Object.fromEntries([
      ["__proto__", 1],
      ["constructor", 2],
      ["toString", 3],
      ['"]};x', 4],
      ["\u2028\\", 5],
    ]),
  },
  {
    // struct { u32 a : 3; int b : 7; u32 c : 22; }: BTF counts bits in memory order, so the offsets are the same.
    name: "bitfields",
    make: (t) =>
      t.struct("s", 4, [
        ["a", u32(t), 0, 3],
        ["b", int(t), 3, 7],
        ["c", u32(t), 10, 22],
      ]),
    little: "fdaaaaaa",
    big: "b7eaaaaa",
    value: { a: 5, b: -33, c: 0x2aaaaa },
  },
  {
    name: "one bit of each kind",
    make: (t) =>
      t.struct("s", 1, [
        ["u", u8(t), 0, 1],
        ["s", t.int("s8", 1, "signed"), 1, 1],
        ["b", t.int("_Bool", 1, "bool"), 2, 1],
        ["z", u8(t), 3, 1],
      ]),
    little: "07",
    big: "e0",
    value: { u: 1, s: -1, b: true, z: 0 },
  },
  {
    name: "a bitfield of 24 bits in 3 bytes",
    make: (t) =>
      t.struct("s", 3, [
        ["a", int(t), 0, 4],
        ["b", int(t), 4, 20],
      ]),
    little: "1f5634",
    big: "f34561",
    value: { a: -1, b: 0x34561 },
  },
  {
    name: "a bitfield of 32 bits across 5 bytes",
    make: (t) =>
      t.struct("s", 5, [
        ["a", u8(t), 0, 4],
        ["b", u32(t), 4, 32],
        ["c", u8(t), 36, 4],
      ]),
    little: "f1eedbea2d",
    big: "1deadbeef2",
    value: { a: 1, b: 0xdeadbeef, c: 2 },
  },
  {
    name: "a 64-bit bitfield as bigint",
    make: (t) => t.struct("s", 5, [["f", t.int("u64", 8), 0, 40]]),
    little: "2301efcdab",
    big: "abcdef0123",
    value: { f: 0xabcdef0123n },
  },
  {
    name: "a 64-bit bitfield as number",
    make: (t) => t.struct("s", 5, [["f", t.int("s64", 8, "signed"), 0, 40]]),
    int64: "number",
    little: "feffffffff",
    big: "fffffffffe",
    value: { f: -2 },
  },
  {
    name: "a bitfield as an integer with an offset of its own",
    make: (t) => {
      const b = t.add({
        kind: "int",
        name: "b",
        size: 4,
        bits: 3,
        bitOffset: 11,
        signed: true,
        char: false,
        bool: false,
      });
      return t.struct("s", 4, [["b", b, 0]]);
    },
    little: "00300000",
    big: "00180000",
    value: { b: -2 },
  },
  {
    name: "bitfields as integers of their own width",
    make: (t) =>
      t.struct("s", 4, [
        ["a", t.int("u3", 4, "", 3), 0],
        ["b", t.int("s3", 4, "signed", 3), 3],
      ]),
    little: "35000000",
    big: "b8000000",
    value: { a: 5, b: -2 },
  },
];

for (const codegen of [true, false]) {
  for (const littleEndian of [true, false]) {
    describe(`compileCodec, ${codegen ? "generated" : "interpreted"}, ${littleEndian ? "little" : "big"} endian`, () => {
      it.each(rows)("$name", ({ make, little, big, value, int64, decodeOnly }) => {
        const types = new Types(littleEndian);
        const codec = compileCodec(types, make(types), { codegen, int64: int64 ?? "bigint" });
        const data = bytes(littleEndian ? little : big);
        expect(codec.size).toBe(data.length);
        const shifted = new Uint8Array(data.length + 3).fill(0x55);
        shifted.set(data, 3);
        const decoded = decode(codec, shifted, 3);
        expect(decoded).toStrictEqual(value);
        // A value does not change when its buffer is reused.
        shifted.fill(0x55);
        expect(decoded).toStrictEqual(value);
        if (decodeOnly !== true) expect(encode(codec, value)).toBe(hex(data));
      });

      it("keeps members in order and makes all of them own data properties", () => {
        const types = new Types(littleEndian);
        const names = ["z", "__proto__", "a", "constructor"];
        const id = types.struct(
          "s",
          4,
          names.map((name, i) => [name, u8(types), i * 8]),
        );
        const value = decode(compileCodec(types, id, { codegen }), bytes("01020304")) as object;
        expect(Object.entries(value)).toEqual([
          ["z", 1],
          ["__proto__", 2],
          ["a", 3],
          ["constructor", 4],
        ]);
        expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
      });

      describe("unions", () => {
        const types = new Types(littleEndian);
        const raw = types.array(u8(types), 4);
        const pair = types.struct("pair", 4, [
          ["lo", types.int("u16", 2), 0],
          ["hi", types.int("u16", 2), 16],
        ]);
        const address = types.union("address", 4, [
          ["word", u32(types)],
          ["raw", raw],
          ["__proto__", u8(types)],
          ["", pair],
        ]);
        const codec = compileCodec(
          types,
          types.struct("s", 8, [
            ["kind", u32(types), 0],
            ["addr", address, 32],
          ]),
          { codegen },
        );
        const input = bytes(littleEndian ? "01000000 04030201" : "00000001 01020304");
        const [lo, hi] = littleEndian ? [0x0304, 0x0102] : [0x0102, 0x0304];

        it("decode members on access, from a copy of the bytes", () => {
          const data = input.slice();
          const { addr } = decode(codec, data) as { addr: { [name: string]: BtfValue } };
          data.fill(0);
          expect(addr.word).toBe(0x01020304);
          expect(addr.raw).toEqual(input.slice(4));
          expect(Reflect.get(addr, "__proto__")).toBe(input[4]);
          expect([addr.lo, addr.hi]).toEqual([lo, hi]);
        });

        it("show their members to JSON.stringify, console.log and for … in", () => {
          const { addr } = decode(codec, input) as { addr: { [name: string]: BtfValue } };
          expect(JSON.parse(JSON.stringify(addr))).toMatchObject({ word: 0x01020304, lo, hi });
          expect(inspect(addr)).toContain("word: 16909060");
          const names: string[] = [];
          for (const name in addr) names.push(name);
          expect(names).toEqual(["word", "raw", "__proto__", "lo", "hi"]);
          expect(Object.keys(addr)).toEqual([]);
        });

        it("are equal when their bytes are", () => {
          const [a, b] = [decode(codec, input), decode(codec, input)];
          expect(a).toEqual(b);
          expect(decode(codec, bytes("0100000004030202"))).not.toEqual(a);
        });

        it("encode from one member, from a decoded union, from a spread copy of one, and from bytes", () => {
          const value = decode(codec, input) as { addr: { readonly [unionBytes]: Uint8Array } };
          const out = hex(input);
          const cases: unknown[] = [
            { word: 0x01020304 },
            { raw: input.slice(4) },
            { lo, hi },
            value.addr,
            { ...value.addr },
            value.addr[unionBytes],
          ];
          for (const addr of cases) expect(encode(codec, { kind: 1, addr: addr as BtfValue })).toBe(out);
        });

        it("prefer a member given on top of a decoded union", () => {
          const value = decode(codec, input) as { addr: object };
          const expected = littleEndian ? "0100000005000000" : "0000000100000005";
          expect(encode(codec, { kind: 1, addr: { ...value.addr, word: 5 } })).toBe(expected);
        });

        it("accept several members that agree", () => {
          expect(encode(codec, { kind: 1, addr: { raw: input.slice(4), word: 0x01020304, lo, hi } })).toBe(hex(input));
        });
      });

      describe("anonymous unions", () => {
        const types = new Types(littleEndian);
        const text = types.array(char(types), 8);
        const pair = types.struct("", 8, [
          ["x", u32(types), 0],
          ["y", u32(types), 32],
        ]);
        const anonymous = types.union("", 8, [
          ["number", types.int("u64", 8)],
          ["text", text],
          ["", pair],
        ]);
        const id = types.struct("s", 16, [
          ["kind", u32(types), 0],
          ["", anonymous, 32],
          ["last", u32(types), 96],
        ]);
        const codec = compileCodec(types, id, { codegen });
        const u32Hex = (...values: number[]): string =>
          values
            .map((value) => value.toString(16).padStart(8, "0"))
            .map((digits) => (littleEndian ? (digits.match(/../g) ?? []).reverse().join("") : digits))
            .join("");

        it("are members of their parent and encode from one of them", () => {
          const data = u32Hex(1, 2, 3, 4);
          const number = littleEndian ? 0x0000000300000002n : 0x0000000200000003n;
          const value = decode(codec, bytes(data));
          expect(value).toStrictEqual({ kind: 1, number, text: littleEndian ? "\u0002" : "", x: 2, y: 3, last: 4 });
          expect(encode(codec, { kind: 1, number, last: 4 })).toBe(data);
          expect(encode(codec, { kind: 1, x: 2, y: 3, last: 4 })).toBe(data);
          expect(encode(codec, { kind: 1, x: 2, last: 4 })).toBe(u32Hex(1, 2, 0, 4));
          expect(encode(codec, { kind: 1, last: 4 })).toBe(u32Hex(1, 0, 0, 4));
        });

        it("encode what was decoded, though a string does not say all of its bytes", () => {
          const data = u32Hex(1, 0x41420043, 0x44454647, 4);
          const value = decode(codec, bytes(data)) as object;
          expect(encode(codec, { ...value, kind: 1 })).toBe(data);
        });

        it("refuse members that disagree", () => {
          const value = decode(codec, bytes(u32Hex(1, 2, 3, 4))) as object;
          expect(() => encode(codec, { ...value, x: 7 })).toThrow(
            "value: number, text, x, y share storage and disagree; give only one of them",
          );
        });
      });

      it("refuses a view that ends too early", () => {
        const types = new Types(littleEndian);
        // The last bytes are padding, which nothing reads.
        const codec = compileCodec(types, types.struct("s", 8, [["a", u8(types), 0]]), { codegen });
        const view = new DataView(new ArrayBuffer(12));
        expect(codec.decode(view, 4)).toEqual({ a: 0 });
        for (const offset of [5, 12, 1e9, -1]) {
          const message = `8 bytes at offset ${offset} do not lie within the 12 bytes given`;
          expect(() => codec.decode(view, offset)).toThrow(expect.objectContaining({ code: "VALUE", message }));
          expect(() => codec.encode(view, offset, {})).toThrow(expect.objectContaining({ code: "VALUE", message }));
        }
      });

      it("gives every text its own string, however many there are", () => {
        const types = new Types(littleEndian);
        for (const length of [3, 6, 8, 12, 16, 32]) {
          const codec = compileCodec(types, types.array(char(types), length), { codegen });
          // Alike but for their first or last word: every word of a text must count.
          const digits = Array.from({ length: 2000 }, (_, i) => `${(i * 7919) % 10000}`.slice(-length));
          const texts = digits.flatMap((text) => [text.padEnd(length, "x"), text.padStart(length, "x")]);
          for (const text of [...texts, ...texts.slice(0, 100)]) {
            expect(decode(codec, new TextEncoder().encode(text))).toBe(text);
          }
        }
      });
    });
  }
}
