// Arbitrary BTF types for property tests: every kind, ids that exist, numbers up to the edges of their fields.

import fc from "fast-check";
import type { BtfTypeInput } from "../../src/btf/index.js";

const name = fc.oneof(
  fc.constantFrom("", "a", "task_struct", "task_struct___v2", "größe", "x".repeat(70)),
  fc.string({ unit: "grapheme", maxLength: 6 }).map((text) => text.replaceAll("\0", "")),
);
const u32 = fc.oneof(
  fc.constantFrom(0, 1, 4, 8, 16, 0x7fffffff, 0x80000000, 0xffffffff),
  fc.integer({ min: 0, max: 0xffffffff }),
);
const linkage = fc.constantFrom(0 as const, 1 as const, 2 as const);
const attribute = fc.constantFrom({}, { attribute: true });
const few = { maxLength: 5 };

/**
 * Types for ids 1 … count. A FUNC needs a FUNC_PROTO, so the last type always is one, and all FUNCs refer to it.
 */
export const typeGraph: fc.Arbitrary<BtfTypeInput[]> = fc.integer({ min: 1, max: 30 }).chain((count) => {
  const id = fc.integer({ min: 0, max: count });
  const ref = <K extends string>(kind: K) => fc.record({ kind: fc.constant(kind), name, type: id });
  const bitOffset = (max: number) => fc.oneof(fc.constantFrom(0, 32, max), fc.integer({ min: 0, max }));
  const members = fc.oneof(
    fc.array(fc.record({ name, type: id, bitOffset: bitOffset(0xffffffff), bitSize: fc.constant(0) }), few),
    fc.array(
      fc.record({ name, type: id, bitOffset: bitOffset(0xffffff), bitSize: fc.integer({ min: 0, max: 255 }) }),
      few,
    ),
  );
  const composite = <K extends string>(kind: K) => fc.record({ kind: fc.constant(kind), name, size: u32, members });
  const enumOf = (signed: boolean) =>
    fc.record({
      kind: fc.constant("enum" as const),
      name,
      size: fc.constantFrom(1, 2, 4, 8),
      signed: fc.constant(signed),
      values: fc.array(
        fc.record({ name, value: signed ? fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }) : u32 }),
        few,
      ),
    });
  const enum64Of = (signed: boolean) =>
    fc.record({
      kind: fc.constant("enum64" as const),
      name,
      size: fc.constantFrom(1, 8),
      signed: fc.constant(signed),
      values: fc.array(
        fc.record({
          name,
          value: signed
            ? fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
            : fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        }),
        few,
      ),
    });
  const int = fc.record({
    kind: fc.constant("int" as const),
    name,
    size: fc.constantFrom(1, 2, 4, 8, 16),
    bits: fc.constantFrom(1, 3, 8, 64, 128, 255),
    bitOffset: fc.constantFrom(0, 7, 255),
    signed: fc.boolean(),
    char: fc.boolean(),
    bool: fc.boolean(),
  });
  const funcProto = fc.record({
    kind: fc.constant("funcProto" as const),
    name,
    returnType: id,
    params: fc.array(fc.record({ name, type: id }), few),
  });
  const any: fc.Arbitrary<BtfTypeInput> = fc.oneof(
    int,
    ref("ptr" as const),
    ref("typedef" as const),
    ref("volatile" as const),
    ref("const" as const),
    ref("restrict" as const),
    fc.tuple(ref("typeTag" as const), attribute).map(([type, extra]) => ({ ...type, ...extra })),
    fc
      .tuple(ref("declTag" as const), fc.integer({ min: -1, max: 0x7fffffff }), attribute)
      .map(([type, componentIndex, extra]) => ({ ...type, componentIndex, ...extra })),
    fc.record({
      kind: fc.constant("array" as const),
      name: fc.constant(""),
      elementType: id,
      indexType: id,
      count: u32,
    }),
    composite("struct" as const),
    composite("union" as const),
    enumOf(true),
    enumOf(false),
    enum64Of(true),
    enum64Of(false),
    fc.record({ kind: fc.constant("fwd" as const), name, union: fc.boolean() }),
    fc.record({ kind: fc.constant("func" as const), name, type: fc.constant(count), linkage }),
    funcProto,
    fc.record({ kind: fc.constant("var" as const), name, type: id, linkage }),
    fc.record({
      kind: fc.constant("datasec" as const),
      name,
      size: u32,
      variables: fc.array(fc.record({ type: id, offset: u32, size: u32 }), few),
    }),
    fc.record({ kind: fc.constant("float" as const), name, size: u32 }),
  );
  return fc
    .tuple(fc.array(any, { minLength: count - 1, maxLength: count - 1 }), funcProto)
    .map(([types, last]) => [...types, last]);
});
