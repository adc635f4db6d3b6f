// Reading .BTF: every kind in both byte orders against bytes made by hand, headers, split BTF, unknown kinds.

import { describe, expect, it } from "vitest";
import { Btf, type BtfType } from "../../src/btf/index.js";
import { BtfError } from "../../src/errors.js";
import { info, rawBtf, thrownBy } from "./raw-btf.js";

// struct s { int a; int b : 3; } as literal bytes: no helper of ours can be wrong in the same way.
const littleEndianBytes = [
  ...[0x9f, 0xeb, 0x01, 0x00, 0x18, 0x00, 0x00, 0x00], // magic, version 1, flags 0, hdr_len 24
  ...[0x00, 0x00, 0x00, 0x00, 0x34, 0x00, 0x00, 0x00], // type_off 0, type_len 52
  ...[0x34, 0x00, 0x00, 0x00, 0x0b, 0x00, 0x00, 0x00], // str_off 52, str_len 11
  ...[0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x04, 0x00, 0x00, 0x00], // [1] "int", INT, size 4
  ...[0x20, 0x00, 0x00, 0x01], // signed, 32 bits
  ...[0x05, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x84, 0x08, 0x00, 0x00, 0x00], // [2] "s", STRUCT kflag vlen 2, size 8
  ...[0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00], // "a", type 1, bit 0
  ...[0x09, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x03], // "b", type 1, bit 32, 3 wide
  ...[0x00, 0x69, 0x6e, 0x74, 0x00, 0x73, 0x00, 0x61, 0x00, 0x62, 0x00], // "", "int", "s", "a", "b"
];

const bigEndianBytes = [
  ...[0xeb, 0x9f, 0x01, 0x00, 0x00, 0x00, 0x00, 0x18],
  ...[0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x34],
  ...[0x00, 0x00, 0x00, 0x34, 0x00, 0x00, 0x00, 0x0b],
  ...[0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04],
  ...[0x01, 0x00, 0x00, 0x20],
  ...[0x00, 0x00, 0x00, 0x05, 0x84, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x08],
  ...[0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00],
  ...[0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x01, 0x03, 0x00, 0x00, 0x20],
  ...[0x00, 0x69, 0x6e, 0x74, 0x00, 0x73, 0x00, 0x61, 0x00, 0x62, 0x00],
];

const int: BtfType = {
  kind: "int",
  id: 1,
  name: "int",
  size: 4,
  bits: 32,
  bitOffset: 0,
  signed: true,
  char: false,
  bool: false,
};
const struct: BtfType = {
  kind: "struct",
  id: 2,
  name: "s",
  size: 8,
  members: [
    { name: "a", type: 1, bitOffset: 0, bitSize: 0 },
    { name: "b", type: 1, bitOffset: 32, bitSize: 3 },
  ],
};

const strings = "\0n\0x\0y\0größe\0";
const N = 1; // "n"
const X = 3;
const Y = 5;
const END = 15; // first offset behind the section: "größe" has seven bytes
const INT = [N, info(1), 4, 0x01000020];
const intType = { ...int, name: "n" };

/** One row per kind: the words of type 2 (type 1 is INT), and what they say. */
const everyKind: readonly (readonly [string, readonly number[], Record<string, unknown>])[] = [
  [
    "INT unsigned char",
    [X, info(1), 1, 0x00000008],
    { kind: "int", size: 1, bits: 8, bitOffset: 0, signed: false, char: false, bool: false },
  ],
  [
    "INT bool",
    [X, info(1), 1, 0x04000008],
    { kind: "int", size: 1, bits: 8, bitOffset: 0, signed: false, char: false, bool: true },
  ],
  [
    "INT char",
    [X, info(1), 1, 0x02000008],
    { kind: "int", size: 1, bits: 8, bitOffset: 0, signed: false, char: true, bool: false },
  ],
  [
    "INT __int128",
    [X, info(1), 16, 0x01000080],
    { kind: "int", size: 16, bits: 128, bitOffset: 0, signed: true, char: false, bool: false },
  ],
  [
    "INT with bit offset",
    [X, info(1), 4, 0x00050003],
    { kind: "int", size: 4, bits: 3, bitOffset: 5, signed: false, char: false, bool: false },
  ],
  ["PTR", [0, info(2), 1], { kind: "ptr", name: "", type: 1 }],
  ["PTR to void", [0, info(2), 0], { kind: "ptr", name: "", type: 0 }],
  ["ARRAY", [0, info(3), 0, 2, 1, 7], { kind: "array", name: "", elementType: 2, indexType: 1, count: 7 }],
  [
    "STRUCT",
    [X, info(4, 1), 0xfffffff0, Y, 1, 0x1000000],
    { kind: "struct", size: 0xfffffff0, members: [{ name: "y", type: 1, bitOffset: 0x1000000, bitSize: 0 }] },
  ],
  [
    "STRUCT with kflag",
    [X, info(4, 1, 1), 4, Y, 1, 0xff000001],
    { kind: "struct", size: 4, members: [{ name: "y", type: 1, bitOffset: 1, bitSize: 255 }] },
  ],
  [
    "UNION",
    [X, info(5, 2), 4, Y, 1, 0, 0, 1, 0],
    {
      kind: "union",
      size: 4,
      members: [
        { name: "y", type: 1, bitOffset: 0, bitSize: 0 },
        { name: "", type: 1, bitOffset: 0, bitSize: 0 },
      ],
    },
  ],
  [
    "ENUM unsigned",
    [X, info(6, 1), 4, Y, 0xffffffff],
    { kind: "enum", size: 4, signed: false, values: [{ name: "y", value: 4294967295 }] },
  ],
  [
    "ENUM signed",
    [X, info(6, 2, 1), 4, Y, 0xffffffff, N, 7],
    {
      kind: "enum",
      size: 4,
      signed: true,
      values: [
        { name: "y", value: -1 },
        { name: "n", value: 7 },
      ],
    },
  ],
  ["FWD struct", [X, info(7), 0], { kind: "fwd", union: false }],
  ["FWD union", [X, info(7, 0, 1), 0], { kind: "fwd", union: true }],
  ["TYPEDEF", [X, info(8), 1], { kind: "typedef", type: 1 }],
  ["VOLATILE", [0, info(9), 1], { kind: "volatile", name: "", type: 1 }],
  ["CONST", [0, info(10), 1], { kind: "const", name: "", type: 1 }],
  ["RESTRICT", [0, info(11), 1], { kind: "restrict", name: "", type: 1 }],
  ["FUNC", [X, info(12, 2), 3], { kind: "func", type: 3, linkage: 2 }],
  [
    "FUNC_PROTO",
    [0, info(13, 2), 1, Y, 1, 0, 0],
    {
      kind: "funcProto",
      name: "",
      returnType: 1,
      params: [
        { name: "y", type: 1 },
        { name: "", type: 0 },
      ],
    },
  ],
  ["VAR", [X, info(14), 1, 1], { kind: "var", type: 1, linkage: 1 }],
  [
    "DATASEC",
    [X, info(15, 1), 12, 4, 8, 4],
    { kind: "datasec", size: 12, variables: [{ type: 4, offset: 8, size: 4 }] },
  ],
  ["FLOAT", [X, info(16), 8], { kind: "float", size: 8 }],
  ["DECL_TAG", [X, info(17), 1, 0xffffffff], { kind: "declTag", type: 1, componentIndex: -1 }],
  ["DECL_TAG attribute", [X, info(17, 0, 1), 1, 3], { kind: "declTag", type: 1, componentIndex: 3, attribute: true }],
  ["TYPE_TAG", [X, info(18), 1], { kind: "typeTag", type: 1 }],
  ["TYPE_TAG attribute", [X, info(18, 0, 1), 1], { kind: "typeTag", type: 1, attribute: true }],
  [
    "ENUM64 unsigned",
    [X, info(19, 1), 8, Y, 1, 0x80000000],
    { kind: "enum64", size: 8, signed: false, values: [{ name: "y", value: 0x8000000000000001n }] },
  ],
  [
    "ENUM64 signed",
    [X, info(19, 1, 1), 8, Y, 0xfffffffe, 0xffffffff],
    { kind: "enum64", size: 8, signed: true, values: [{ name: "y", value: -2n }] },
  ],
];

/** Type 3 and 4, for rows that refer to a FUNC_PROTO and a VAR. */
const PROTO = [0, info(13), 0];
const VAR = [Y, info(14), 1, 0];

describe.each([
  ["little-endian", true, littleEndianBytes],
  ["big-endian", false, bigEndianBytes],
] as const)("%s BTF", (_order, littleEndian, literal) => {
  it("reads literal bytes", () => {
    const btf = Btf.parse(Uint8Array.from(literal));
    expect(btf.littleEndian).toBe(littleEndian);
    expect(btf.typeCount).toBe(3);
    expect(btf.firstId).toBe(1);
    expect(btf.type(0)).toEqual({ kind: "void", id: 0, name: "" });
    expect(btf.type(1)).toEqual(int);
    expect(btf.type(2)).toEqual(struct);
    expect([0, 1, 2].map((id) => [btf.kindOf(id), btf.vlenOf(id), btf.nameOf(id)])).toEqual([
      [0, 0, ""],
      [1, 0, "int"],
      [4, 2, "s"],
    ]);
    expect(btf.string(9)).toBe("b");
  });

  it.each([1, 2, 3])("reads bytes that begin %i behind a word boundary", (shift) => {
    const buffer = new Uint8Array(literal.length + shift);
    buffer.set(literal, shift);
    expect(Btf.parse(buffer.subarray(shift)).type(2)).toEqual(struct);
  });

  it.each(everyKind)("decodes %s", (_name, words, expected) => {
    const btf = Btf.parse(rawBtf({ types: [INT, words, PROTO, VAR], strings, littleEndian }));
    expect(btf.type(2)).toEqual({ id: 2, name: "x", ...expected });
    expect(btf.type(1)).toEqual(intType);
    expect(btf.type(4)).toEqual({ kind: "var", id: 4, name: "y", type: 1, linkage: 0 });
    expect(btf.kindOf(2)).toBe((words[1]! >>> 24) & 0x7f);
    expect(btf.vlenOf(2)).toBe(words[1]! & 0xffffff);
  });
});

describe("strings", () => {
  it("decodes UTF-8, long names, and offsets inside a string", () => {
    const long = "a".repeat(300);
    const btf = Btf.parse(rawBtf({ types: [], strings: `${strings}\ufeffb\0${long}\0` }));
    expect(btf.string(0)).toBe("");
    expect(btf.string(7)).toBe("größe");
    expect(btf.string(13)).toBe("e");
    expect(btf.string(15)).toBe("\ufeffb");
    expect(btf.string(20)).toBe(long);
  });

  it.each([-1, 1.5, Number.NaN, strings.length + 2, 2 ** 40])("refuses offset %d", (offset) => {
    const btf = Btf.parse(rawBtf({ types: [], strings }));
    expect(() => btf.string(offset)).toThrow(BtfError);
  });
});

describe("the header", () => {
  const types = [INT];

  it("may be longer than known, when the rest is zero", () => {
    const bytes = rawBtf({ types, strings, layout: [], headerPadding: 12 });
    expect(Btf.parse(bytes).type(1)).toEqual(intType);
    bytes[40] = 1;
    expect(thrownBy(() => Btf.parse(bytes))).toMatchObject({
      code: "BTF_INVALID",
      location: { section: ".BTF", offset: 40 },
    });
  });

  it.each<[string, number, number, number | undefined]>([
    ["wrong magic", 0, 0x9e, 0],
    ["another version", 2, 2, 2],
    ["flags", 3, 1, 3],
    ["a header length below the minimum", 4, 23, 4],
    ["a header length beyond the data", 5, 0xff, 4],
    ["a type offset that is not aligned", 8, 2, 8],
    ["a type section beyond the data", 15, 0x80, 8],
    ["a type section that is not made of words", 12, 15, 8],
    ["a string section beyond the data", 20, 0xff, 16],
    ["a string section inside the types", 16, 12, 16],
    ["an empty string section", 20, 0, 40],
    ["strings that do not begin with NUL", 40, 0x41, 40],
    ["strings that do not end with NUL", 54, 0x41, 54],
  ])("refuses %s", (_name, at, value, offset) => {
    const bytes = rawBtf({ types, strings });
    expect(bytes.length).toBe(55);
    bytes[at] = value;
    expect(thrownBy(() => Btf.parse(bytes))).toMatchObject({
      code: "BTF_INVALID",
      location: { section: ".BTF", offset },
    });
  });
});

describe("validation", () => {
  // Word offsets count from the type section (byte 24); type 1 is INT and has four words.
  it.each<[string, readonly (readonly number[])[], number]>([
    ["kind 0", [[0, info(0), 0]], 28],
    ["an unknown kind", [INT, [0, info(20), 0]], 44],
    ["the largest kind", [[0, info(127), 0]], 28],
    ["a record cut short", [INT, [0, info(2)]], 40],
    ["a missing INT encoding", [[N, info(1), 4]], 24],
    ["more members than there is room for", [INT, [X, info(4, 2), 4, Y, 1, 0]], 40],
    ["the largest vlen", [[X, info(19, 0xffffff), 8]], 24],
    ["a name offset", [[99, info(7), 0]], 24],
    ["a type id", [INT, [0, info(2), 3]], 48],
    ["an element type", [INT, [0, info(3), 0, 9, 1, 1]], 52],
    ["an index type", [INT, [0, info(3), 0, 1, 9, 1]], 56],
    ["the first id behind the last", [INT, [X, info(5, 1), 4, Y, 3, 0]], 56],
    ["the first string behind the last", [INT, [X, info(5, 1), 4, END, 1, 0]], 52],
    ["a name behind the last string", [[END, info(7), 0]], 24],
    ["a member's name", [INT, [X, info(4, 1), 4, 99, 1, 0]], 52],
    ["a member's type", [INT, [X, info(5, 1), 4, Y, 0xffffffff, 0]], 56],
    ["an enumerator's name", [[X, info(6, 2), 4, Y, 1, 99, 1]], 44],
    ["a 64-bit enumerator's name", [[X, info(19, 2), 8, Y, 1, 0, 99, 1, 0]], 48],
    ["a parameter's name", [INT, [0, info(13, 1), 0, 0x80000000, 1]], 52],
    ["a parameter's type", [INT, [0, info(13, 2), 0, Y, 1, 0, 9]], 64],
    ["a return type", [[0, info(13), 9]], 32],
    ["a variable's type", [[X, info(14), 9, 0]], 32],
    ["a variable's linkage", [[X, info(14), 0, 3]], 36],
    ["a function's linkage", [INT, PROTO, [X, info(12, 3), 2]], 56],
    ["a function that refers to no FUNC_PROTO", [INT, [X, info(12), 1]], 48],
    ["a function that refers to void", [INT, [X, info(12), 0]], 48],
    ["an entry of a data section", [INT, [X, info(15, 1), 4, 9, 0, 4]], 52],
    ["a tag's type", [[X, info(17), 9, 0]], 32],
  ])("finds %s out of range", (_name, types, offset) => {
    const error = thrownBy(() => Btf.parse(rawBtf({ types, strings })));
    expect(error).toBeInstanceOf(BtfError);
    expect(error).toMatchObject({ code: "BTF_INVALID", location: { section: ".BTF", offset } });
  });

  it.each([-1, 2, 1.5, Number.NaN, 2 ** 32])("has no type %d", (id) => {
    const btf = Btf.parse(rawBtf({ types: [INT], strings }));
    const uses = ["type", "kindOf", "nameOf", "vlenOf", "resolve", "skipModifiers", "sizeOf", "alignOf"] as const;
    for (const use of uses) {
      expect(() => btf[use](id)).toThrow(BtfError);
    }
  });
});

describe("reading in place", () => {
  it("decodes a type once", () => {
    const btf = Btf.parse(Uint8Array.from(littleEndianBytes));
    expect(btf.type(2)).toBe(btf.type(2));
  });

  it("copies the bytes when told to", () => {
    const bytes = Uint8Array.from(littleEndianBytes);
    const copied = Btf.parse(bytes, { copy: true });
    const shared = Btf.parse(bytes);
    bytes[bytes.length - 2] = 0x7a;
    expect(copied.string(9)).toBe("b");
    expect(shared.string(9)).toBe("z");
    expect(shared.bytes).toBe(bytes);
  });
});

describe("kinds known by the layout section only", () => {
  // Kind 20: one fixed word, two words per element.
  const layout = [...Array.from({ length: 20 * 4 }, () => 0), 4, 8, 0, 0];
  const types = [INT, [X, info(20, 2), 5, 1, 2, 3, 4, 5], [0, info(2), 2]];

  it.each([
    ["types", 0],
    ["strings", 60 + 84],
    ["data", 1000],
  ])("are not taken from a layout over or behind the %s", (_name, offset) => {
    const bytes = rawBtf({ types, strings, layout });
    new DataView(bytes.buffer).setUint32(24, offset, true);
    expect(thrownBy(() => Btf.parse(bytes))).toMatchObject({ code: "BTF_INVALID", location: { offset: 24 } });
  });

  it.each([true, false])("are skipped (little-endian: %s)", (littleEndian) => {
    const btf = Btf.parse(rawBtf({ types, strings, layout, littleEndian }));
    expect(btf.typeCount).toBe(4);
    expect(btf.kindOf(2)).toBe(20);
    expect(btf.nameOf(2)).toBe("x");
    expect(btf.type(3)).toEqual({ kind: "ptr", id: 3, name: "", type: 2 });
    expect(() => btf.type(2)).toThrow(BtfError);
    expect(() => btf.sizeOf(2)).toThrow(BtfError);
    expect(btf.sizeOf(3)).toBe(8);
  });

  it("must be made of words", () => {
    const odd = [...layout.slice(0, 80), 3, 8, 0, 0];
    expect(thrownBy(() => Btf.parse(rawBtf({ types, strings, layout: odd })))).toMatchObject({
      code: "BTF_INVALID",
      location: { offset: 32 + 60 + 80 },
    });
  });

  it("do not change the sizes of known kinds", () => {
    const wrong = layout.map((byte, i) => (i < 80 ? 252 : byte));
    expect(Btf.parse(rawBtf({ types, strings, layout: wrong })).type(1)).toEqual(intType);
  });
});

describe("split BTF", () => {
  const base = Btf.parse(Uint8Array.from(littleEndianBytes));
  // Strings go on at 11; the section of a split BTF need not begin with NUL.
  const split = Btf.parse(
    rawBtf({
      types: [
        [11, info(4, 1), 8, 13, 2, 0], // [3] struct t { struct s "m"; }
        [5, info(8), 3], // [4] typedef named by a string of the base: "s"
        [0, info(2), 1], // [5]
      ],
      strings: "t\0m\0",
    }),
    { base },
  );

  it("continues ids and string offsets", () => {
    expect([split.firstId, split.typeCount, split.base]).toEqual([3, 6, base]);
    expect(split.type(1)).toBe(base.type(1));
    expect(split.type(0).kind).toBe("void");
    expect(split.type(3)).toEqual({
      kind: "struct",
      id: 3,
      name: "t",
      size: 8,
      members: [{ name: "m", type: 2, bitOffset: 0, bitSize: 0 }],
    });
    expect(split.nameOf(4)).toBe("s");
    expect([split.kindOf(2), split.vlenOf(2), split.nameOf(2)]).toEqual([4, 2, "s"]);
    expect([split.string(1), split.string(11), split.string(12)]).toEqual(["int", "t", ""]);
    expect(split.sizeOf(4)).toBe(8);
    expect(split.alignOf(4)).toBe(4);
    expect(split.resolve(4)).toBe(3);
    expect(() => split.type(6)).toThrow(BtfError);
    expect(() => split.string(15)).toThrow(BtfError);
    expect(() => base.type(3)).toThrow(BtfError);
  });

  it("finds names of the base first, and candidates among its own types only", () => {
    expect(split.findByName("s")).toBe(2);
    expect(split.findByName("s", "typedef")).toBe(4);
    expect(split.findByName("t", "struct")).toBe(3);
    expect(base.findByName("t")).toBeUndefined();
    expect(split.idsByEssentialName("s")).toEqual([4]);
    expect(split.idsByEssentialName("int")).toEqual([]);
  });

  it("may have no strings and no types of its own", () => {
    const empty = Btf.parse(rawBtf({ types: [], strings: "" }), { base });
    expect([empty.typeCount, empty.nameOf(2)]).toEqual([3, "s"]);
  });

  it("checks functions against prototypes of the base", () => {
    const protoBase = Btf.parse(rawBtf({ types: [PROTO, INT], strings }));
    const parse = (target: number): Btf =>
      Btf.parse(rawBtf({ types: [[X, info(12), target]], strings: "" }), { base: protoBase });
    expect(parse(1).type(3)).toMatchObject({ kind: "func", type: 1 });
    expect(() => parse(2)).toThrow(BtfError);
  });
});
