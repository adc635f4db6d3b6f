// Random types, written by BtfBuilder and read by Btf, with random values: what was encoded decodes to the same value, and
// generated code decodes what the interpreter decodes, also from bytes that no value encodes to.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Btf } from "../../src/btf/btf.js";
import { BtfBuilder } from "../../src/btf/builder.js";
import { type BtfValue, compileCodec } from "../../src/btf/codec.js";

/** A type: how to build it, and values of it. */
interface Shape {
  readonly size: number;
  readonly build: (builder: BtfBuilder) => number;
  readonly value: fc.Arbitrary<BtfValue>;
  /** Widest bitfield of this type, for integers. */
  readonly bits?: { readonly width: number; readonly value: (bits: number) => fc.Arbitrary<BtfValue> };
}

const leaf = (size: number, build: Shape["build"], value: Shape["value"], bits?: Shape["bits"]): Shape =>
  bits === undefined ? { size, build, value } : { size, build, value, bits };

function integer(size: 1 | 2 | 4 | 8 | 16, signed: boolean): Shape {
  const range = (bits: number): fc.Arbitrary<BtfValue> => {
    const span = 1n << BigInt(signed ? bits - 1 : bits);
    const big = fc.bigInt({ min: signed ? -span : 0n, max: span - 1n });
    return size <= 4 ? big.map(Number) : big;
  };
  return leaf(size, (b) => b.addInt(`${signed ? "s" : "u"}${size * 8}`, size, { signed }), range(size * 8), {
    width: size * 8,
    value: range,
  });
}

const text = (length: number): Shape =>
  leaf(
    length,
    (b) => b.addArray(b.addInt("char", 1, { signed: true }), 0, length),
    fc.string({ unit: "binary", maxLength: length }).map((string) => {
      let result = "";
      for (const character of string.replaceAll("\0", "")) {
        if (Buffer.byteLength(result + character) > length) break;
        result += character;
      }
      return result;
    }),
  );

const leaves = fc.oneof(
  fc
    .tuple(fc.constantFrom<(1 | 2 | 4 | 8 | 16)[]>(1, 2, 4, 8, 16), fc.boolean())
    .map(([size, signed]) => integer(size, signed)),
  fc.constant(
    leaf(1, (b) => b.addInt("_Bool", 1, { bool: true }), fc.boolean(), { width: 1, value: () => fc.boolean() }),
  ),
  fc.constant(leaf(4, (b) => b.addFloat("float", 4), fc.float())),
  fc.constant(leaf(8, (b) => b.addFloat("double", 8), fc.double())),
  fc.constant(leaf(8, (b) => b.addPtr(0), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }))),
  fc.integer({ min: 1, max: 70 }).map(text),
  fc
    .integer({ min: 1, max: 70 })
    .map((n) =>
      leaf(
        n,
        (b) => b.addArray(b.addTypedef("u8", b.addInt("unsigned char", 1)), 0, n),
        fc.uint8Array({ minLength: n, maxLength: n }),
      ),
    ),
);

function array(element: Shape, count: number): Shape {
  return {
    size: element.size * count,
    build: (b) => b.addArray(b.addConst(element.build(b)), 0, count),
    value: fc.array(element.value, { minLength: count, maxLength: count }),
  };
}

const specialNames = ["__proto__", "constructor", "toString", "hasOwnProperty", "length", "value of", "v", "o"];

interface MemberChoice {
  readonly shape: Shape;
  /** Bits left unused before the member. */
  readonly gap: number;
  /** Width, if the member becomes a bitfield. */
  readonly bits: number | undefined;
}

const members = (shape: fc.Arbitrary<Shape>): fc.Arbitrary<MemberChoice[]> =>
  fc.array(
    fc.record({
      shape,
      gap: fc.integer({ min: 0, max: 12 }),
      bits: fc.option(fc.integer({ min: 1, max: 128 }), { nil: undefined }),
    }),
    { minLength: 1, maxLength: 6 },
  );

function struct(choices: readonly MemberChoice[], salt: number): Shape {
  let end = 0;
  const laidOut = choices.map(({ shape, gap, bits }, i) => {
    const width = bits !== undefined && shape.bits !== undefined ? Math.min(bits, shape.bits.width) : 0;
    const bitOffset = width > 0 ? end + gap : Math.ceil((end + gap) / 8) * 8;
    end = bitOffset + (width > 0 ? width : shape.size * 8);
    const name = i < 2 ? specialNames[(salt + i) % specialNames.length]! : `m${i}`;
    return { name, shape, bitOffset, bitSize: width, value: width > 0 ? shape.bits!.value(width) : shape.value };
  });
  const size = Math.ceil(end / 8) + (salt % 3);
  return {
    size,
    build: (b) =>
      b.addStruct(
        "s",
        size,
        laidOut.map(({ name, shape, bitOffset, bitSize }) => ({ name, type: shape.build(b), bitOffset, bitSize })),
      ),
    value: fc
      .tuple(...laidOut.map(({ value }) => value))
      .map((values) => record(laidOut.map(({ name }, i) => [name, values[i]!]))),
  };
}

/** A struct around a union; the union is a member or anonymous. */
function unionInside(alternatives: readonly Shape[], anonymous: boolean): Shape {
  const size = Math.max(...alternatives.map((shape) => shape.size));
  const name = (i: number): string => (i === 0 ? "__proto__" : `alternative${i}`);
  const one = fc.oneof(...alternatives.map((shape, i) => shape.value.map((value) => record([[name(i), value]]))));
  return {
    size: size + 1,
    build: (b) => {
      const union = b.addUnion(
        anonymous ? "" : "u",
        size,
        alternatives.map((shape, i) => ({ name: name(i), type: shape.build(b), bitOffset: 0 })),
      );
      const tag = b.addInt("u8", 1);
      return b.addStruct("tagged", size + 1, [
        { name: "tag", type: tag, bitOffset: 0 },
        { name: anonymous ? "" : "u", type: union, bitOffset: 8 },
      ]);
    },
    value: fc.tuple(fc.integer({ min: 0, max: 255 }), one).map(([tag, value]) =>
      record(
        anonymous
          ? [["tag", tag], ...Object.entries(value)]
          : [
              ["tag", tag],
              ["u", value],
            ],
      ),
    ),
  };
}

function record(entries: readonly (readonly [string, BtfValue])[]): { [name: string]: BtfValue } {
  return Object.fromEntries(entries);
}

const { shape: shapes } = fc.letrec<{ shape: Shape }>((tie) => ({
  shape: fc.oneof(
    { maxDepth: 4, depthIdentifier: "shape" },
    leaves,
    fc.tuple(members(tie("shape")), fc.nat(20)).map(([choices, salt]) => struct(choices, salt)),
    fc
      .tuple(
        // Arrays of one-byte integers are bytes: those are among the leaves.
        tie("shape").filter((shape) => shape.size !== 1 || shape.bits === undefined),
        fc.integer({ min: 0, max: 12 }),
      )
      .map(([element, count]) => array(element, count)),
    fc
      .tuple(fc.array(tie("shape"), { minLength: 1, maxLength: 4 }), fc.boolean())
      .map(([alternatives, anonymous]) => unionInside(alternatives, anonymous)),
  ),
}));

/** Everything that was said is decoded; unions decode to more than what was said. */
function expectWithin(given: BtfValue, decoded: BtfValue): void {
  if (Array.isArray(given)) {
    const list = decoded as readonly BtfValue[];
    expect(list.length).toBe(given.length);
    given.forEach((value: BtfValue, i) => {
      expectWithin(value, list[i]!);
    });
  } else if (typeof given === "object" && given !== null && !(given instanceof Uint8Array)) {
    for (const [name, value] of Object.entries(given)) expectWithin(value, Reflect.get(decoded as object, name));
  } else {
    expect(decoded).toEqual(given);
  }
}

const cases = shapes.chain((shape) =>
  fc.record({
    shape: fc.constant(shape),
    value: shape.value,
    noise: fc.uint8Array({ minLength: shape.size, maxLength: shape.size }),
    littleEndian: fc.boolean(),
  }),
);

function compile(shape: Shape, littleEndian: boolean) {
  const builder = new BtfBuilder({ littleEndian });
  const id = shape.build(builder);
  const btf = Btf.parse(builder.build());
  return { generated: compileCodec(btf, id), interpreted: compileCodec(btf, id, { codegen: false }) };
}

describe("codecs of random types", () => {
  it("decode what they encoded", () => {
    fc.assert(
      fc.property(cases, ({ shape, value, littleEndian }) => {
        const { generated, interpreted } = compile(shape, littleEndian);
        expect(generated.size).toBe(shape.size);
        const view = new DataView(new ArrayBuffer(shape.size));
        generated.encode(view, 0, value);
        expectWithin(value, generated.decode(view, 0));
        expectWithin(value, interpreted.decode(view, 0));
      }),
      { numRuns: 400 },
    );
  });

  it("decode any bytes, generated code and interpreter to the same", () => {
    fc.assert(
      fc.property(cases, ({ shape, noise, littleEndian }) => {
        const { generated, interpreted } = compile(shape, littleEndian);
        const view = new DataView(noise.buffer, noise.byteOffset, noise.byteLength);
        const value = generated.decode(view, 0);
        expect(value).toEqual(interpreted.decode(view, 0));
      }),
      { numRuns: 400 },
    );
  });
});
