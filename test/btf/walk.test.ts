// Walks over references: modifiers, typedefs, sizes, alignments; bounded whatever the graph looks like.

import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder, type BtfMemberInput } from "../../src/btf/index.js";
import { BtfError } from "../../src/errors.js";
import { thrownBy } from "./raw-btf.js";

function build(fill: (builder: BtfBuilder) => void): Btf {
  const builder = new BtfBuilder();
  fill(builder);
  return Btf.parse(builder.build());
}

/** `count` links of typedefs and consts in front of an int; returns the outermost. */
function chain(builder: BtfBuilder, count: number): number {
  let id = builder.addInt("int", 4);
  for (let i = 0; i < count; i++) id = i % 2 === 0 ? builder.addConst(id) : builder.addTypedef(`t${i}`, id);
  return id;
}

describe("skipModifiers and resolve", () => {
  const btf = build((b) => {
    b.addInt("int", 4); // 1
    b.addConst(1); // 2
    b.addVolatile(2); // 3
    b.addRestrict(3); // 4
    b.addTypeTag("user", 4); // 5
    b.addTypedef("t", 5); // 6
    b.addConst(6); // 7
    b.addPtr(7); // 8
    b.addConst(0); // 9
  });

  it("stop at typedefs, and behind them", () => {
    expect(btf.skipModifiers(5)).toBe(1);
    expect(btf.skipModifiers(7)).toBe(6);
    expect(btf.resolve(7)).toBe(1);
    expect(btf.resolve(8)).toBe(8);
    expect(btf.resolve(9)).toBe(0);
    expect(btf.resolve(0)).toBe(0);
  });

  it("follow 32 links and no more", () => {
    let outer = 0;
    const exact = build((b) => {
      outer = chain(b, 32);
    });
    expect(exact.resolve(outer)).toBe(1);
    expect(exact.sizeOf(outer)).toBe(4);
    expect(exact.alignOf(outer)).toBe(4);
    const over = build((b) => {
      outer = chain(b, 33);
    });
    for (const walk of [over.resolve, over.sizeOf, over.alignOf]) {
      expect(thrownBy(() => walk.call(over, outer))).toMatchObject({ code: "BTF_INVALID" });
    }
  });

  it("end in loops", () => {
    const loop = build((b) => {
      b.addConst(2);
      b.addTypedef("loop", 1);
      b.addConst(3); // itself
    });
    for (const id of [1, 2, 3]) {
      expect(() => loop.resolve(id)).toThrow(BtfError);
      expect(() => loop.sizeOf(id)).toThrow(BtfError);
      expect(() => loop.alignOf(id)).toThrow(BtfError);
    }
    expect(() => loop.skipModifiers(3)).toThrow(BtfError);
    expect(loop.skipModifiers(1)).toBe(2);
  });
});

describe("sizeOf", () => {
  const btf = build((b) => {
    b.addInt("__int128", 16); // 1
    b.addArray(1, 1, 3); // 2
    b.addArray(2, 1, 5); // 3: 2 × … of arrays
    b.addPtr(3); // 4
    b.addStruct("s", 24, []); // 5
    b.addUnion("u", 12, []); // 6
    b.addEnum("e", [], { size: 1 }); // 7
    b.addEnum64("e64", []); // 8
    b.addFloat("double", 8); // 9
    b.addVar("v", 5, 0); // 10
    b.addDataSec(".data", 40, []); // 11
    b.addDeclTag("tag", 6); // 12
    b.addArray(5, 1, 0); // 13
    b.addFwd("f"); // 14
    b.addFuncProto(0, []); // 15
    b.addFunc("fn", 15, 1); // 16
    b.addTypedef("nothing", 0); // 17
    b.addArray(1, 1, 0x10000000); // 18: 2^32 bytes
    b.addArray(5, 1, 0xaaaaaaa); // 19: 2^32 - 16 bytes
    b.addArray(18, 1, 0xffffffff); // 20
    b.addArray(20, 1, 0); // 21: zero times too much
    b.addStruct("empty", 0, []); // 22
    b.addArray(22, 1, 0xffffffff); // 23
    b.addArray(23, 1, 2); // 24: more elements than 32 bits count, though of nothing
  });

  it.each([
    [1, 16],
    [2, 48],
    [3, 240],
    [4, 8],
    [5, 24],
    [6, 12],
    [7, 1],
    [8, 8],
    [9, 8],
    [10, 24],
    [11, 40],
    [12, 12],
    [13, 0],
    [19, 4294967280],
    [23, 0],
  ])("of type %i is %i", (id, size) => {
    expect(btf.sizeOf(id)).toBe(size);
  });

  it.each([0, 14, 15, 16, 17, 18, 20, 24])("of type %i does not exist", (id) => {
    expect(thrownBy(() => btf.sizeOf(id))).toMatchObject({ code: "BTF_INVALID", location: { section: ".BTF" } });
  });

  it("of nothing is 0, whatever there would be of it", () => {
    expect(btf.sizeOf(21)).toBe(0);
  });
});

describe("alignOf", () => {
  const member = (type: number, bitOffset: number, bitSize = 0): BtfMemberInput => ({
    name: "m",
    type,
    bitOffset,
    bitSize,
  });

  it.each<[string, (b: BtfBuilder) => number, number]>([
    ["char", (b) => b.addInt("char", 1), 1],
    ["int", (b) => b.addInt("int", 4), 4],
    ["__int128, as in libbpf", (b) => b.addInt("__int128", 16), 8],
    ["double", (b) => b.addFloat("double", 8), 8],
    ["long double", (b) => b.addFloat("long double", 16), 8],
    ["pointer", (b) => b.addPtr(0), 8],
    ["array", (b) => b.addArray(b.addInt("short", 2), 1, 9), 2],
    ["enum of one byte", (b) => b.addEnum("e", [], { size: 1 }), 1],
    ["enum64", (b) => b.addEnum64("e", []), 8],
    ["empty struct", (b) => b.addStruct("s", 0, []), 1],
    ["variable", (b) => b.addVar("v", b.addInt("int", 4), 0), 4],
    ["struct", (b) => b.addStruct("s", 16, [member(b.addInt("char", 1), 0), member(b.addPtr(0), 64)]), 8],
    [
      "struct packed by an offset",
      (b) => b.addStruct("s", 16, [member(b.addInt("char", 1), 0), member(b.addPtr(0), 8)]),
      1,
    ],
    ["struct packed by its size", (b) => b.addStruct("s", 9, [member(b.addPtr(0), 0)]), 1],
    ["struct with a bitfield anywhere", (b) => b.addStruct("s", 8, [member(b.addInt("int", 4), 35, 3)]), 4],
    ["union", (b) => b.addUnion("u", 8, [member(b.addInt("char", 1), 0), member(b.addInt("int", 4), 0)]), 4],
  ])("of %s", (_name, make, alignment) => {
    let id = 0;
    const btf = build((b) => {
      id = make(b);
    });
    expect(btf.alignOf(id)).toBe(alignment);
    expect(btf.alignOf(id)).toBe(alignment);
  });

  it("does not exist for what has no size", () => {
    const btf = build((b) => {
      b.addFwd("f");
      b.addFuncProto(0, []);
      b.addDataSec(".data", 8, []);
      b.addStruct("s", 8, [member(1, 0)]);
    });
    for (const id of [0, 1, 2, 3, 4]) expect(() => btf.alignOf(id)).toThrow(BtfError);
  });

  it("refuses structs that contain themselves", () => {
    const btf = build((b) => {
      b.addStruct("a", 8, [member(2, 0)]);
      b.addStruct("b", 8, [member(1, 0)]);
    });
    expect(() => btf.alignOf(1)).toThrow(BtfError);
    expect(() => btf.alignOf(2)).toThrow(BtfError);
  });

  it("takes time by types, not by paths through them", () => {
    let outer = 0;
    const btf = build((b) => {
      outer = b.addInt("int", 4);
      // 2^31 paths.
      for (let i = 0; i < 31; i++) outer = b.addStruct(`s${i}`, 8, [member(outer, 0), member(outer, 32)]);
    });
    expect(btf.alignOf(outer)).toBe(4);
  });
});
