// What encoding accepts and refuses, and how it says so; and which types have no codec.

import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { type BtfValue, compileCodec } from "../../src/btf/codec.js";
import { BtfError, ValueError } from "../../src/errors.js";
import { Types } from "./codec-types.js";

const types = new Types();
const u8 = types.int("unsigned char", 1);
const s8 = types.int("signed char", 1, "signed");
const u16 = types.int("u16", 2);
const u32 = types.int("u32", 4);
const s32 = types.int("int", 4, "signed");
const u64 = types.int("u64", 8);
const s64 = types.int("s64", 8, "signed");
const u128 = types.int("u128", 16);
const bool = types.int("_Bool", 1, "bool");
const char = types.int("char", 1, "signed");
const pointer = types.add({ kind: "ptr", name: "", type: 0 });
const float = types.add({ kind: "float", name: "float", size: 4 });
const color = types.add({ kind: "enum", name: "color", size: 4, signed: false, values: [] });
const name = types.array(char, 4);
const mac = types.array(u8, 6);
const numbers = types.array(u16, 3);
const point = types.struct("point", 8, [
  ["x", u8, 0],
  ["y", s32, 32],
]);
const event = types.struct("event", 56, [
  ["pid", u32, 0],
  ["pos", types.array(point, 4), 32],
  ["flags", u32, 288, 3],
  ["delta", s32, 291, 5],
  ["on", bool, 296, 1],
  ["comm", name, 320],
  ["weird name", u8, 352],
  ["toString", u8, 360],
  ["mac", mac, 368],
]);
const choice = types.union("choice", 8, [
  ["number", u64],
  ["text", types.array(char, 8)],
]);

function encode(typeId: number, value: unknown, options = {}): Uint8Array {
  const codec = compileCodec(types, typeId, options);
  const bytes = new Uint8Array(codec.size).fill(0xaa);
  codec.encode(new DataView(bytes.buffer), 0, value as BtfValue);
  return bytes;
}

function refusal(typeId: number, value: unknown, options = {}): string {
  try {
    encode(typeId, value, options);
  } catch (error) {
    if (error instanceof ValueError && error.code === "VALUE") return error.reason;
    throw error;
  }
  throw new Error("was accepted");
}

describe("encode refuses", () => {
  it.each<[string, number, unknown, string]>([
    ["too much", u8, 256, "value: 256 does not fit in u8 (0 … 255)"],
    ["too little", s8, -129, "value: -129 does not fit in s8 (-128 … 127)"],
    ["negative", u32, -1, "value: -1 does not fit in u32 (0 … 4294967295)"],
    ["fractions", u16, 1.5, "value: 1.5 does not fit in u16 (0 … 65535)"],
    ["NaN", s32, Number.NaN, "value: NaN does not fit in s32 (-2147483648 … 2147483647)"],
    ["bigints out of range", u8, 256n, "value: 256 does not fit in u8 (0 … 255)"],
    ["strings for integers", u8, "1", 'value: expected an integer (u8), got the string "1"'],
    ["null", u64, null, "value: expected an integer (u64), got null"],
    ["64 bits too much", u64, 1n << 64n, "value: 18446744073709551616 does not fit in u64 (0 … 18446744073709551615)"],
    ["negative 64 bits", u64, -1, "value: -1 does not fit in u64 (0 … 18446744073709551615)"],
    [
      "64 bits too little",
      s64,
      -(1n << 63n) - 1n,
      `value: -9223372036854775809 does not fit in s64 (${-(2n ** 63n)} … ${2n ** 63n - 1n})`,
    ],
    ["unsafe numbers", u64, 2 ** 53, "value: 9007199254740992 is beyond the exact integers of a number; give a bigint"],
    ["negative pointers", pointer, -1n, "value: -1 does not fit in pointer (0 … 18446744073709551615)"],
    ["enums out of range", color, -1, "value: -1 does not fit in enum color (0 … 4294967295)"],
    ["numbers as booleans", bool, 2, "value: expected a boolean, got the number 2"],
    ["strings as floats", float, "1", 'value: expected a number, got the string "1"'],
    ["large floats", float, 1e39, "value: 1e+39 does not fit in float"],
    ["long strings", name, "hello", 'value: the string "hello" does not fit in char[4] (UTF-8)'],
    ["strings long in UTF-8", name, "ééé", 'value: the string "ééé" does not fit in char[4] (UTF-8)'],
    ["strings with a NUL", name, "a\0b", "value: the string has a NUL at index 1, where char[4] would end"],
    [
      "half a character",
      name,
      "a\ud83d",
      "value: the string has half a surrogate pair at index 1, which UTF-8 cannot write",
    ],
    ["numbers as strings", name, 5, "value: expected a string or a Uint8Array, got the number 5"],
    ["many bytes", mac, new Uint8Array(7), "value: 7 bytes do not fit in 6"],
    ["arrays as bytes", mac, [1, 2], "value: expected a Uint8Array, got an array of 2"],
    ["arrays as structs", point, [1, 2], "value: expected an object (struct point), got an array of 2"],
    ["other bytes as structs", point, new Uint16Array(4), "value: expected an object (struct point), got 8 bytes"],
    [
      "maps as structs",
      point,
      new Map([["x", 1]]),
      "value: expected an object with members of struct point, got an object (Map)",
    ],
    [
      "what was not awaited",
      point,
      Promise.resolve({ x: 1 }),
      "value: expected an object with members of struct point, got an object (Promise)",
    ],
    [
      "maps as unions",
      choice,
      new Map(),
      "value: expected an object with members of union choice, got an object (Map)",
    ],
    ["dates as integers", float, new Date(0), "value: expected a number, got an object (Date)"],
    ["wrong sizes of raw structs", point, new Uint8Array(7), "value: 7 bytes are not the 8 bytes of struct point"],
    ["null members", point, { x: null }, "value.x: expected an integer (u8), got null"],
    ["long arrays", event, { pos: [{}, {}, {}, {}, {}] }, "value.pos: 5 elements do not fit in an array of 4"],
    ["objects as arrays", event, { pos: {} }, "value.pos: expected an array, got an object"],
    ["deep values", event, { pos: [{}, {}, {}, { x: 300 }] }, "value.pos[3].x: 300 does not fit in u8 (0 … 255)"],
    ["odd names", event, { "weird name": -1 }, 'value["weird name"]: -1 does not fit in u8 (0 … 255)'],
    ["wide bitfields", event, { flags: 8 }, "value.flags: 8 does not fit in 3 bits (0 … 7)"],
    ["signed bitfields", event, { delta: 16 }, "value.delta: 16 does not fit in 5 signed bits (-16 … 15)"],
    ["unknown members", point, { z: 1 }, 'value: struct point has no member "z" (x, y)'],
    ["misspelt members", event, { pidd: 1 }, 'value: struct event has no member "pidd"; did you mean pid?'],
    ["other spellings", event, { PID: 1 }, 'value: struct event has no member "PID"; did you mean pid?'],
    ["unknown deep", event, { pos: [{ a: 1 }] }, 'value.pos[0]: struct point has no member "a" (x, y)'],
    ["empty unions", choice, {}, "value: union choice needs one of its members (number, text)"],
    [
      "unions that disagree",
      choice,
      { number: 1n, text: "b" },
      "value: number, text share storage and disagree; give only one of them",
    ],
    [
      "unknown union members",
      choice,
      { nummer: 1n },
      'value: union choice has no member "nummer"; did you mean number?',
    ],
  ])("%s", (_, type, value, reason) => {
    expect(refusal(type, value)).toBe(reason);
  });

  it("bytes for an array of wider numbers, and typed arrays that do not fit", () => {
    expect(() => encode(numbers, Uint8Array.of(1, 2, 3))).toThrow(/value: expected an array, got 3 bytes/);
    expect(() => encode(numbers, Uint32Array.of(1, 70000))).toThrow(/value\[1\]: 70000 does not fit in u16/);
    expect(() => encode(numbers, new Uint16Array(4))).toThrow(/4 elements do not fit in an array of 3/);
    expect(() => encode(numbers, new DataView(new ArrayBuffer(6)))).toThrow(/expected an array/);
  });

  it("fractions where 64-bit integers are numbers", () => {
    expect(refusal(u64, 0.5, { int64: "number" })).toBe("value: 0.5 does not fit in u64 (0 … 18446744073709551615)");
  });
});

describe("encode accepts", () => {
  it.each<[string, number, unknown, number[], object?]>([
    ["bigints for small integers", u16, 258n, [2, 1]],
    ["safe integers for 64 bits", s64, -2, [0xfe, ...Array<number>(7).fill(0xff)]],
    [
      "unsafe numbers where 64-bit integers are numbers",
      u64,
      2 ** 63,
      [0, 0, 0, 0, 0, 0, 0, 0x80],
      { int64: "number" },
    ],
    ["numbers for 128 bits", u128, 5, [5, ...Array<number>(15).fill(0)]],
    ["numbers for pointers", pointer, 16, [16, 0, 0, 0, 0, 0, 0, 0]],
    ["1 for true", bool, 1, [1]],
    ["bigints for floats", float, 1n, [0, 0, 0x80, 0x3f]],
    ["strings that fill the array", name, "abcd", [97, 98, 99, 100]],
    ["strings, padded with zeros", name, "é", [0xc3, 0xa9, 0, 0]],
    ["bytes for char[]", name, Uint8Array.of(1, 0, 2), [1, 0, 2, 0]],
    ["fewer bytes for u8[]", mac, Uint8Array.of(1, 2), [1, 2, 0, 0, 0, 0]],
    ["a Buffer", mac, Buffer.from([1, 2, 3, 4, 5, 6]), [1, 2, 3, 4, 5, 6]],
    ["structs without all members, padding zero", point, { x: 1 }, [1, 0, 0, 0, 0, 0, 0, 0]],
    ["undefined members as left out", point, { x: undefined, y: 1 }, [0, 0, 0, 0, 1, 0, 0, 0]],
    ["raw structs", point, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), [1, 2, 3, 4, 5, 6, 7, 8]],
    ["typed arrays for numbers", numbers, Uint16Array.of(1, 0x203), [1, 0, 3, 2, 0, 0]],
    ["raw unions", choice, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), [1, 2, 3, 4, 5, 6, 7, 8]],
    ["union members that agree", choice, { number: 0x6261, text: "ab" }, [97, 98, 0, 0, 0, 0, 0, 0]],
    ["objects without a prototype", point, Object.assign(Object.create(null), { x: 2 }), [2, 0, 0, 0, 0, 0, 0, 0]],
  ])("%s", (_, type, value, bytes, options) => {
    expect([...encode(type, value, options)]).toEqual(bytes);
  });

  it("an empty struct as all zeros: inherited names are no members", () => {
    expect(encode(event, {})).toEqual(new Uint8Array(56));
  });

  it("neighbouring bitfields without touching each other", () => {
    const { flags, delta, on } = { flags: 5, delta: -3, on: true };
    // 0b11101_101, then one bit.
    expect([...encode(event, { flags, delta, on }).slice(36, 38)]).toEqual([0xed, 1]);
  });
});

describe("compileCodec refuses", () => {
  const reject = (typeId: number, message: string): void => {
    for (const codegen of [true, false]) {
      expect(() => compileCodec(types, typeId, { codegen })).toThrow(BtfError);
      expect(() => compileCodec(types, typeId, { codegen })).toThrow(message);
    }
  };
  const proto = types.add({ kind: "funcProto", name: "", returnType: 0, params: [] });

  it.each<[string, number, string]>([
    ["void", 0, "void has no value"],
    ["const void", types.add({ kind: "const", name: "", type: 0 }), "void has no value"],
    ["void[2]", types.array(0, 2), "void has no value"],
    ["forward declarations", types.add({ kind: "fwd", name: "f", union: false }), "fwd f has no value"],
    ["function prototypes", proto, "has no value"],
    ["functions", types.add({ kind: "func", name: "main", type: proto, linkage: 1 }), "func main has no value"],
    [
      "data sections",
      types.add({ kind: "datasec", name: ".data", size: 4, variables: [] }),
      "datasec .data has no value",
    ],
    ["integers of 3 bytes", types.int("u24", 3), "int u24 has 3 bytes"],
    ["members outside", types.struct("s", 4, [["a", u32, 8]]), 'member "a" of struct s ends after the 4 bytes'],
    ["bitfields outside", types.struct("s", 1, [["a", u32, 6, 3]]), 'member "a" of struct s ends after the 1 bytes'],
    ["anonymous members outside", types.struct("s", 4, [["", point, 0]]), 'member "" of struct s ends after'],
    ["bitfields wider than their type", types.struct("s", 8, [["a", u8, 0, 9]]), "cannot be 9 bits wide"],
    ["bitfields of floats", types.struct("s", 8, [["a", float, 0, 3]]), "float float cannot be the type of a bitfield"],
    ["members between bytes", types.struct("s", 8, [["a", u32, 4]]), "does not begin at a byte"],
    [
      "equal names",
      types.struct("s", 8, [
        ["a", u32, 0],
        ["a", u32, 32],
      ]),
      'struct s has two members "a"',
    ],
    ["types beyond 2 GiB", types.array(u8, 0x8000_0000), "more than a codec handles"],
    ["values without number", types.array(u32, 1 << 28), "would decode to 268435457 values"],
    ["elements without size", types.array(types.struct("empty", 0, []), 0xffff_ffff), "values in 0 bytes"],
  ])("%s", (_, type, message) => {
    reject(type, message);
  });

  it("types that contain themselves", () => {
    const self = types.nextId;
    types.struct("self", 4, [["again", self, 0]]);
    reject(self, "nested more than 64 deep");
    const anonymous = types.nextId;
    types.struct("self", 4, [
      ["", anonymous, 0],
      ["", anonymous, 0],
    ]);
    reject(anonymous, "nested more than 64 deep");
    const array = types.nextId;
    types.array(array, 1);
    reject(array, "nested more than 64 deep");
  });

  it("types nested too deep whose inner half was met before, at a lesser depth", () => {
    const wrap = (id: number, levels: number): number =>
      levels === 0 ? id : types.struct("", 4, [["inner", wrap(id, levels - 1), 0]]);
    const half = wrap(u32, 40);
    expect(compileCodec(types, wrap(half, 20)).size).toBe(4);
    const deep = types.struct("s", 8, [
      ["first", half, 0],
      ["second", wrap(half, 30), 32],
    ]);
    reject(deep, "nested more than 64 deep");
  });

  it("types whose values grow exponentially, without making them", () => {
    const chain = (make: (inner: number, level: number) => number): number => {
      let id = types.union("leaf", 4, [["value", u32]]);
      for (let level = 0; level < 60; level++) id = make(id, level);
      return id;
    };
    reject(
      chain((inner) =>
        types.union("u", 4, [
          ["a", inner],
          ["b", inner],
        ]),
      ),
      "values in 4 bytes",
    );
    reject(
      chain((inner) =>
        types.struct("", 4, [
          ["", inner, 0],
          ["", inner, 0],
        ]),
      ),
      "two members",
    );
    let empty = types.struct("", 0, []);
    for (let level = 0; level < 60; level++)
      empty = types.struct("", 0, [
        ["", empty, 0],
        ["", empty, 0],
      ]);
    reject(empty, "more than 65536 members");
  });
});

describe("compileCodec bounds its work", () => {
  it("takes a gigabyte of bytes or text without touching it", () => {
    for (const element of [u8, char]) {
      for (const codegen of [true, false]) {
        const codec = compileCodec(types, types.array(element, 1 << 30), { codegen });
        expect(codec.size).toBe(1 << 30);
      }
    }
  });

  it("decodes types too large for generated code", () => {
    const members = Array.from({ length: 5000 }, (_, i): [string, number, number] => [`m${i}`, u8, i * 8]);
    const codec = compileCodec(types, types.struct("huge", 5000, members));
    const bytes = Uint8Array.from({ length: 5000 }, (_, i) => i % 251);
    const value = codec.decode(new DataView(bytes.buffer), 0) as { [name: string]: number };
    expect(Object.keys(value).length).toBe(5000);
    expect(value.m4999).toBe(4999 % 251);
  });

  it("encodes what nested anonymous unions decoded, in time that does not double with each level", () => {
    let id = types.union("", 8, [["deepest", u64]]);
    for (let level = 0; level < 30; level++) {
      const wrapped = types.struct("", 8, [
        [`s${level}`, u32, 0],
        ["", id, 0],
      ]);
      id = types.union("", 8, [
        [`u${level}`, u32],
        ["", wrapped],
      ]);
    }
    const codec = compileCodec(types, types.struct("outer", 8, [["", id, 0]]));
    const bytes = Uint8Array.of(1, 2, 3, 4, 0, 0, 0, 0);
    const out = new Uint8Array(8);
    codec.encode(new DataView(out.buffer), 0, codec.decode(new DataView(bytes.buffer), 0));
    expect(out).toEqual(bytes);
  });
});

describe("variables", () => {
  it("have the codec of their type", () => {
    const variable = types.add({ kind: "var", name: "counter", type: u64, linkage: 1 });
    expect(compileCodec(types, variable).decode(new DataView(new ArrayBuffer(8)), 0)).toBe(0n);
  });
});

describe("without code generation", () => {
  it("compileCodec interprets", () => {
    const script = `
      import { compileCodec } from "./src/btf/codec.ts";
      import { Types } from "./test/btf/codec-types.ts";
      const types = new Types();
      const id = types.struct("s", 8, [["a", types.int("u32", 4), 0], ["b", types.int("u32", 4), 32]]);
      console.log(compileCodec(types, id).decode(new DataView(Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0).buffer), 0));`;
    const flags = [
      "--disallow-code-generation-from-strings",
      "--import",
      "tsx",
      "--input-type=module",
      "--eval",
      script,
    ];
    expect(execFileSync(process.execPath, flags, { encoding: "utf8" })).toBe("{ a: 1, b: 2 }\n");
  });
});
