// Writing BTF: literal bytes, whatever is built reads back, rewriting in place keeps ids and string offsets.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder, type BtfTypeInput } from "../../src/btf/index.js";
import { ArgumentError } from "../../src/errors.js";
import { typeGraph } from "./random-types.js";
import { info, rawBtf } from "./raw-btf.js";

function buildAll(types: readonly BtfTypeInput[], littleEndian: boolean): Uint8Array {
  const builder = new BtfBuilder({ littleEndian });
  types.forEach((type, i) => {
    expect(builder.addType(type)).toBe(i + 1);
  });
  return builder.build();
}

const readAll = (btf: Btf): unknown[] =>
  Array.from({ length: btf.typeCount - btf.firstId }, (_, i) => btf.type(btf.firstId + i));

const withIds = (types: readonly BtfTypeInput[], firstId = 1): unknown[] =>
  types.map((type, i) => ({ ...type, id: firstId + i }));

describe("what is written", () => {
  it("is literally this, in both byte orders", () => {
    const build = (littleEndian: boolean): Uint8Array => {
      const builder = new BtfBuilder({ littleEndian });
      const int = builder.addInt("int", 4, { signed: true });
      builder.addEnum("e", [{ name: "int", value: -2 }]);
      builder.addStruct("s", 4, [{ name: "b", type: int, bitOffset: 2, bitSize: 3 }]);
      return builder.build();
    };
    const words = [
      ...[24, 0, 56, 56, 11],
      ...[1, 0x01000000, 4, 0x01000020],
      ...[5, 0x86000001, 4, 1, 0xfffffffe],
      ...[7, 0x84000001, 4, 9, 1, 0x03000002],
    ];
    const expected = (littleEndian: boolean): number[] => [
      ...(littleEndian ? [0x9f, 0xeb] : [0xeb, 0x9f]),
      ...[1, 0],
      ...words.flatMap((word) => {
        const bytes = [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255];
        return littleEndian ? bytes.reverse() : bytes;
      }),
      ...[0, 0x69, 0x6e, 0x74, 0, 0x65, 0, 0x73, 0, 0x62, 0],
    ];
    // Type section: 16 + 20 + 24 bytes.
    words[2] = 60;
    words[3] = 60;
    expect([...build(true)]).toEqual(expected(true));
    expect([...build(false)]).toEqual(expected(false));
  });

  it("is the shortest valid BTF when nothing was added", () => {
    const bytes = new BtfBuilder().build();
    expect(bytes.length).toBe(25);
    expect(Btf.parse(bytes).typeCount).toBe(1);
  });

  it("reads back, whatever the types", () => {
    fc.assert(
      fc.property(typeGraph, fc.boolean(), (types, littleEndian) => {
        const btf = Btf.parse(buildAll(types, littleEndian));
        expect(btf.littleEndian).toBe(littleEndian);
        expect(readAll(btf)).toEqual(withIds(types));
      }),
      { numRuns: 500 },
    );
  });

  it("can be built again after more was added", () => {
    const builder = new BtfBuilder();
    builder.addInt("int", 4);
    const first = builder.build();
    builder.addPtr(1);
    expect(Btf.parse(first).typeCount).toBe(2);
    expect(Btf.parse(builder.build()).type(2)).toEqual({ kind: "ptr", id: 2, name: "", type: 1 });
  });
});

describe("the methods per kind", () => {
  it("fill in what is usual", () => {
    const b = new BtfBuilder();
    expect(b.nextId).toBe(1);
    b.addInt("__int128", 16, { signed: true });
    b.addInt("bool", 1, { bool: true, bits: 1, bitOffset: 2 });
    b.addEnum("e", [{ name: "A", value: 0xffffffff }]);
    b.addEnum("f", [{ name: "B", value: -1 }], { size: 1 });
    b.addEnum64("g", [{ name: "C", value: 2n ** 64n - 1n }]);
    b.addEnum64("h", [{ name: "D", value: -1n }]);
    b.addFwd("i");
    b.addFwd("j", true);
    b.addDeclTag("k", 1);
    b.addTypeTag("l", 1, true);
    b.addUnion("m", 4, [{ name: "n", type: 1, bitOffset: 0 }]);
    b.addFuncProto(0, [{ name: "o", type: 1 }]);
    b.addFunc("p", 12, 1);
    b.addVar("q", 1, 2);
    b.addDataSec(".data", 4, [{ type: 14, offset: 0, size: 4 }]);
    b.addArray(1, 1, 3);
    b.addFloat("r", 8);
    b.addVolatile(1);
    b.addRestrict(1);
    b.addConst(1);
    expect(b.nextId).toBe(21);
    expect(readAll(Btf.parse(b.build()))).toEqual(
      withIds([
        { kind: "int", name: "__int128", size: 16, bits: 128, bitOffset: 0, signed: true, char: false, bool: false },
        { kind: "int", name: "bool", size: 1, bits: 1, bitOffset: 2, signed: false, char: false, bool: true },
        { kind: "enum", name: "e", size: 4, signed: false, values: [{ name: "A", value: 0xffffffff }] },
        { kind: "enum", name: "f", size: 1, signed: true, values: [{ name: "B", value: -1 }] },
        { kind: "enum64", name: "g", size: 8, signed: false, values: [{ name: "C", value: 2n ** 64n - 1n }] },
        { kind: "enum64", name: "h", size: 8, signed: true, values: [{ name: "D", value: -1n }] },
        { kind: "fwd", name: "i", union: false },
        { kind: "fwd", name: "j", union: true },
        { kind: "declTag", name: "k", type: 1, componentIndex: -1 },
        { kind: "typeTag", name: "l", type: 1, attribute: true },
        { kind: "union", name: "m", size: 4, members: [{ name: "n", type: 1, bitOffset: 0, bitSize: 0 }] },
        { kind: "funcProto", name: "", returnType: 0, params: [{ name: "o", type: 1 }] },
        { kind: "func", name: "p", type: 12, linkage: 1 },
        { kind: "var", name: "q", type: 1, linkage: 2 },
        { kind: "datasec", name: ".data", size: 4, variables: [{ type: 14, offset: 0, size: 4 }] },
        { kind: "array", name: "", elementType: 1, indexType: 1, count: 3 },
        { kind: "float", name: "r", size: 8 },
        { kind: "volatile", name: "", type: 1 },
        { kind: "restrict", name: "", type: 1 },
        { kind: "const", name: "", type: 1 },
      ]),
    );
  });

  it.each<[string, (b: BtfBuilder) => unknown]>([
    ["a size", (b) => b.addFloat("f", -1)],
    ["a fraction", (b) => b.addFloat("f", 1.5)],
    ["NaN", (b) => b.addPtr(Number.NaN)],
    ["a type id", (b) => b.addPtr(2 ** 32)],
    ["INT bits", (b) => b.addInt("i", 4, { bits: 256 })],
    ["an INT of 256 bits", (b) => b.addInt("i", 32)],
    ["an unsigned enumerator", (b) => b.addEnum("e", [{ name: "A", value: -1 }], { signed: false })],
    ["a signed enumerator", (b) => b.addEnum("e", [{ name: "A", value: 2 ** 31 }], { signed: true })],
    ["an unsigned 64-bit enumerator", (b) => b.addEnum64("e", [{ name: "A", value: -1n }], { signed: false })],
    ["a signed 64-bit enumerator", (b) => b.addEnum64("e", [{ name: "A", value: 2n ** 63n }], { signed: true })],
    ["a 65-bit enumerator", (b) => b.addEnum64("e", [{ name: "A", value: 2n ** 64n }])],
    [
      "an offset beside a bitfield",
      (b) =>
        b.addStruct("s", 4, [
          { name: "a", type: 0, bitOffset: 0x1000000 },
          { name: "b", type: 0, bitOffset: 0, bitSize: 1 },
        ]),
    ],
    ["a bitfield's width", (b) => b.addStruct("s", 4, [{ name: "a", type: 0, bitOffset: 0, bitSize: 256 }])],
    ["a linkage", (b) => b.addType({ kind: "var", name: "v", type: 0, linkage: 3 as 2 })],
    ["a component index", (b) => b.addDeclTag("t", 1, -2)],
    ["a name with NUL", (b) => b.addFwd("a\0b")],
    ["an id to replace", (b) => b.replaceType(1, { kind: "ptr", name: "", type: 0 })],
  ])("refuse %s out of range", (_name, add) => {
    const builder = new BtfBuilder();
    expect(() => add(builder)).toThrow(ArgumentError);
    expect(builder.nextId).toBe(1);
  });
});

describe("strings", () => {
  it("are kept once, at the offset that was given", () => {
    const builder = new BtfBuilder();
    const offset = builder.addString("größe");
    expect(builder.addString("")).toBe(0);
    expect(offset).toBe(1);
    builder.addTypedef("größe", 0);
    expect(builder.addString("größe")).toBe(offset);
    const btf = Btf.parse(builder.build());
    expect(btf.string(offset)).toBe("größe");
    expect(btf.bytes.length).toBe(24 + 12 + 1 + 8);
  });

  it("may be long and many", () => {
    const builder = new BtfBuilder();
    const names = Array.from({ length: 2000 }, (_, i) => `${"n".repeat(i % 97)}${i}`);
    for (const name of names) builder.addFwd(name);
    expect(readAll(Btf.parse(builder.build()))).toEqual(
      withIds(names.map((name) => ({ kind: "fwd", name, union: false }))),
    );
  });
});

describe("from", () => {
  const strings = "\0a\0bc\0a\0";
  const original = Btf.parse(
    rawBtf({
      types: [
        [1, info(7), 0],
        [4, info(7), 0],
        [6, info(8), 1],
      ],
      strings,
    }),
  );

  it("keeps bytes, ids and string offsets, also of strings that occur twice or inside others", () => {
    expect(BtfBuilder.from(original).build()).toEqual(original.bytes);
  });

  it("replaces, appends, and leaves the source alone", () => {
    const builder = BtfBuilder.from(original);
    expect(builder.nextId).toBe(4);
    builder.replaceType(2, {
      kind: "struct",
      name: "bc",
      size: 4,
      members: [{ name: "new", type: 4, bitOffset: 0, bitSize: 0 }],
    });
    expect(builder.addInt("a", 4)).toBe(4);
    builder.replaceType(4, { kind: "float", name: "a", size: 4 });
    const btf = Btf.parse(builder.build());
    expect(readAll(btf)).toEqual([
      original.type(1),
      { kind: "struct", id: 2, name: "bc", size: 4, members: [{ name: "new", type: 4, bitOffset: 0, bitSize: 0 }] },
      original.type(3),
      { kind: "float", id: 4, name: "a", size: 4 },
    ]);
    // Only "new" is a new string, and the old ones stay where they were.
    expect(btf.strings.bytes.length).toBe(strings.length + 4);
    expect(btf.string(4)).toBe("c");
    expect(original.type(2)).toEqual({ kind: "fwd", id: 2, name: "c", union: false });
  });

  it("changes the byte order", () => {
    fc.assert(
      fc.property(typeGraph, fc.boolean(), (types, littleEndian) => {
        const btf = Btf.parse(buildAll(types, littleEndian));
        const swapped = BtfBuilder.from(btf, { littleEndian: !littleEndian }).build();
        expect(swapped).toEqual(buildAll(types, !littleEndian));
      }),
      { numRuns: 50 },
    );
  });

  it("replaces every type by itself without changing a byte", () => {
    fc.assert(
      fc.property(typeGraph, (types) => {
        const bytes = buildAll(types, true);
        const btf = Btf.parse(bytes);
        const builder = BtfBuilder.from(btf);
        for (let id = 1; id < btf.typeCount; id++) builder.replaceType(id, btf.type(id) as BtfTypeInput);
        expect(builder.build()).toEqual(bytes);
      }),
      // A name that decoding damaged bytes could give, too.
      {
        numRuns: 50,
        examples: [
          [[{ kind: "enum", name: "\ufffd", size: 4, signed: false, values: [{ name: "\ufffd", value: 0 }] }]],
        ],
      },
    );
  });

  it("does not mistake damaged UTF-8 for its replacement characters", () => {
    const bytes = rawBtf({ types: [[1, info(7), 0]], strings: "\0?\0" });
    bytes[bytes.length - 2] = 0xff;
    const builder = BtfBuilder.from(Btf.parse(bytes));
    expect(builder.addString("\ufffd")).toBe(3);
    const copy = Btf.parse(builder.build());
    expect(copy.string(3)).toBe("\ufffd");
    expect(BtfBuilder.from(copy).addString("\ufffd")).toBe(3);
  });

  it("keeps unknown kinds, with the layout that they need, and drops the layout otherwise", () => {
    const layout = [...Array.from({ length: 20 * 4 }, () => 0), 4, 8, 0, 0];
    const types = [
      [1, info(20, 1), 5, 1, 2, 3],
      [0, info(2), 1],
    ];
    const btf = Btf.parse(rawBtf({ types, strings, layout }));
    const builder = BtfBuilder.from(btf, { littleEndian: false });
    const copy = Btf.parse(builder.build());
    expect([copy.typeCount, copy.kindOf(1), copy.vlenOf(1), copy.nameOf(1)]).toEqual([3, 20, 1, "a"]);
    expect(copy.type(2)).toEqual(btf.type(2));
    builder.replaceType(1, {
      kind: "int",
      name: "a",
      size: 1,
      bits: 8,
      bitOffset: 0,
      signed: false,
      char: false,
      bool: false,
    });
    const plain = builder.build();
    expect(new DataView(plain.buffer).getUint32(4)).toBe(24);
    expect(Btf.parse(plain).kindOf(1)).toBe(1);
  });
});

describe("split BTF", () => {
  const base = Btf.parse(buildAll([{ kind: "fwd", name: "shared", union: false }], true));

  it("continues ids and uses the strings of the base", () => {
    const builder = new BtfBuilder({ base });
    expect(builder.addTypedef("shared", 1)).toBe(2);
    expect(builder.addTypedef("own", 2)).toBe(3);
    const bytes = builder.build();
    expect(bytes.length).toBe(24 + 24 + 4);
    const split = Btf.parse(bytes, { base });
    expect(readAll(split)).toEqual([
      { kind: "typedef", id: 2, name: "shared", type: 1 },
      { kind: "typedef", id: 3, name: "own", type: 2 },
    ]);
    const again = BtfBuilder.from(split);
    expect(() => again.replaceType(1, { kind: "ptr", name: "", type: 0 })).toThrow(ArgumentError);
    again.replaceType(2, { kind: "const", name: "", type: 3 });
    expect(Btf.parse(again.build(), { base }).type(2)).toEqual({ kind: "const", id: 2, name: "", type: 3 });
    expect(again.addString("shared")).toBe(1);
    expect(again.addString("own")).toBe(base.strings.end);
  });
});
