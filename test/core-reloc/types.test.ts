// Type-based kinds (libbpf.md 4.2): loose compatibility (4.7) for exists, size and id, strict match (4.8).

import { describe, expect, it } from "vitest";
import {
  array,
  btfOf,
  enumeration,
  enumeration64,
  fwd,
  int,
  kernelOf,
  proto,
  ptr,
  qualified,
  relocate,
  s32,
  s64,
  struct,
  type TypeMaker,
  typedef,
  u8,
  u32,
  u64,
  union,
} from "./support.js";

const exists = (ours: TypeMaker, theirs: TypeMaker) => relocate(ours, kernelOf(theirs), "0", "type_exists", 1n) === 1n;
const matches = (ours: TypeMaker, theirs: TypeMaker) =>
  relocate(ours, kernelOf(theirs), "0", "type_matches", 1n) === 1n;
/** The same two types as named roots. */
const t = (type: TypeMaker) => typedef("t", type);

describe("values", () => {
  const local = struct("s", 4, ["x", 0, s32]);

  it("of a type that exists", () => {
    const { btf, ids } = btfOf([u8, struct("s", 24, ["y", 0, u64])]);
    expect(relocate(local, btf, "0", "type_exists", 1n)).toBe(1n);
    expect(relocate(local, btf, "0", "type_size", 4n)).toBe(24n);
    // Not validated: linkers renumber types.
    expect(relocate(local, btf, "0", "target_type_id", 123456n)).toBe(BigInt(ids[1]!));
  });

  it("of a type that does not", () => {
    const kernel = kernelOf(struct("other", 4));
    expect(relocate(local, kernel, "0", "type_exists", 1n)).toBe(0n);
    expect(relocate(local, kernel, "0", "type_size", 4n)).toBe(0n);
    expect(relocate(local, kernel, "0", "target_type_id", 123456n)).toBe(0n);
    expect(relocate(local, kernel, "0", "type_matches", 1n)).toBe(0n);
  });

  it("local_type_id is the local id, whatever the target has", () => {
    const { ids } = btfOf([local]);
    expect(relocate(local, kernelOf(u8), "0", "local_type_id", 777n)).toBe(BigInt(ids[0]!));
  });

  it("are validated, but for ids", () => {
    const kernel = kernelOf(local);
    for (const kind of ["type_exists", "type_size", "type_matches"] as const) {
      expect(() => relocate(local, kernel, "0", kind, 99n)).toThrow("the instruction holds 99");
    }
  });

  it("a type without size has none to relocate", () => {
    expect(() => relocate(fwd("s"), kernelOf(fwd("s")), "0", "type_size", 0n)).toThrow("has no size");
  });
});

describe("type compatibility", () => {
  it.each<[string, TypeMaker, TypeMaker, boolean]>([
    ["structs of other content", struct("s", 4, ["x", 0, s32]), struct("s", 8, ["y", 0, u64]), true],
    ["flavors", struct("s___a", 4), struct("s___b", 8), true],
    ["struct and union", struct("s", 4), union("s", 4), false],
    ["struct and its forward declaration", struct("s", 4), fwd("s"), false],
    ["forward declarations of struct and union", fwd("s"), fwd("s", true), true],
    ["enum and enum64", enumeration("e", { A: 1 }), enumeration64("e", { B: 1n }), true],
    ["enum64 and enum", enumeration64("e", { A: 1n }), enumeration("e", { B: 1 }), true],
    ["ints of other size and sign", int("i", 1, true), int("i", 8), true],
    ["an int with a bit offset", int("i", 4), int("i", 4, false, { bitOffset: 1 }), false],
    ["floats", (b) => b.addFloat("f", 4), (b) => b.addFloat("f", 4), false],
    ["typedef and struct", t(struct("t", 4)), struct("t", 4), false],
    ["typedefs of structs of other names", t(struct("a", 4)), t(struct("b", 4)), true],
    ["typedefs of struct and int", t(struct("a", 4)), t(u8), false],
    ["typedefs of void", t(() => 0), t(() => 0), true],
    ["behind modifiers and typedefs", t(qualified(u8)), t(typedef("x", qualified(s64))), true],
    ["pointers", t(ptr(u8)), t(ptr(s64)), true],
    ["pointer to void and to int", t(ptr()), t(ptr(u8)), false],
    ["pointer and int", t(ptr()), t(u64), false],
    ["pointer depth", t(ptr(ptr(u8))), t(ptr(u8)), false],
    ["arrays of other count", t(array(u8, 3)), t(array(s64, 5)), true],
    ["arrays of other elements", t(array(u8, 3)), t(array(ptr(), 3)), false],
    ["prototypes", t(ptr(proto(u8, u8, ptr(u8)))), t(ptr(proto(s64, qualified(s64), ptr(u8)))), true],
    ["prototypes of other arity", t(proto(u8, u8)), t(proto(u8, u8, u8)), false],
    ["prototypes of other parameters", t(proto(u8, u8)), t(proto(u8, ptr())), false],
    ["prototypes of other return type", t(proto(u8, u8)), t(proto(ptr(), u8)), false],
    ["prototype and pointer", t(proto(u8)), t(ptr(proto(u8))), false],
  ])("%s: %s", (_, ours, theirs, expected) => {
    expect(exists(ours, theirs)).toBe(expected);
  });
});

describe("type match", () => {
  const point = struct("point", 8, ["x", 0, s32], ["y", 32, s32]);

  it.each<[string, TypeMaker, TypeMaker, boolean]>([
    ["the same struct", point, point, true],
    [
      "a target with more members, moved",
      point,
      struct("point", 24, ["z", 0, u8], ["y", 32, s32], ["x", 64, s32]),
      true,
    ],
    ["a missing member", point, struct("point", 8, ["x", 0, s32], ["z", 32, s32]), false],
    ["fewer members", point, struct("point", 4, ["x", 0, s32]), false],
    ["a member of other size", point, struct("point", 16, ["x", 0, s32], ["y", 64, int("int", 8, true)]), false],
    ["a member of other sign", point, struct("point", 16, ["x", 0, s32], ["y", 64, int("int", 4)]), false],
    [
      "a member of other name of its type",
      point,
      struct("point", 16, ["x", 0, s32], ["y", 64, int("s32", 4, true)]),
      false,
    ],
    [
      "a member behind a typedef",
      point,
      struct("point", 8, ["x", 0, typedef("c", s32)], ["y", 32, qualified(s32)]),
      true,
    ],
    ["struct and union", point, union("point", 8, ["x", 0, s32], ["y", 0, s32]), false],
    [
      "flavors of roots and members",
      struct("s___a", 4, ["m___1", 0, s32]),
      struct("s___b", 4, ["m___2", 0, s32]),
      true,
    ],
    ["typedefs of structs of other names", t(struct("a", 0)), t(struct("b", 0)), false],
    ["typedefs of anonymous structs", t(struct("", 4, ["x", 0, s32])), t(struct("", 4, ["x", 0, s32])), true],
    ["an anonymous target for a named one", t(struct("a", 0)), t(struct("", 0)), false],
    ["a named target for an anonymous one", t(struct("", 0)), t(struct("a", 0)), false],
    ["ints of other size", t(u32), t(int("unsigned int", 8)), false],
    ["void", t(() => 0), t(() => 0), true],
    ["arrays", t(array(s32, 3)), t(array(s32, 3)), true],
    ["arrays of other count", t(array(s32, 3)), t(array(s32, 4)), false],
    ["arrays of other elements", t(array(s32, 3)), t(array(u32, 3)), false],
    ["prototypes", t(proto(s32, u8, ptr())), t(proto(s32, u8, ptr())), true],
    ["prototypes of other arity", t(proto(s32, u8)), t(proto(s32)), false],
    ["prototypes of other parameters", t(proto(s32, u8)), t(proto(s32, u32)), false],
    ["prototypes of other return type", t(proto(s32, u8)), t(proto(u32, u8)), false],
    ["floats", t((b) => b.addFloat("f", 4)), t((b) => b.addFloat("f", 4)), false],
    ["enums with other values", enumeration("e", { A: 1, B: 2 }), enumeration("e", { Z: 0, B: 7, A: 9 }), true],
    ["enums lacking a name", enumeration("e", { A: 1, B: 2 }), enumeration("e", { A: 1, C: 2, D: 3 }), false],
    ["enums with fewer names", enumeration("e", { A: 1, B: 2 }), enumeration("e", { A: 1 }), false],
    ["enums of other size", enumeration("e", { A: 1 }), enumeration("e", { A: 1 }, { size: 8 }), false],
    ["enum and enum64 of one size", enumeration("e", { A: 1 }, { size: 8 }), enumeration64("e", { A: 1n }), true],
    ["flavors of enumerators", enumeration("e", { A___x: 1 }), enumeration("e", { A___y: 1 }), true],
    ["forward declarations", fwd("s"), fwd("s"), true],
    ["forward declarations of struct and union", fwd("s"), fwd("s", true), false],
  ])("%s: %s", (_, ours, theirs, expected) => {
    expect(matches(ours, theirs)).toBe(expected);
  });

  it("takes any of several anonymous members", () => {
    const ours = struct("s", 8, ["", 0, struct("", 4, ["b", 0, s32])]);
    const a = struct("", 4, ["a", 0, s32]);
    expect(matches(ours, struct("s", 8, ["", 0, a], ["", 32, struct("", 4, ["b", 0, s32])]))).toBe(true);
    expect(matches(ours, struct("s", 8, ["", 0, a], ["", 32, a]))).toBe(false);
    // Two may have the same partner, but there must be as many members.
    const twice = struct("s", 8, ["", 0, a], ["", 32, a]);
    expect(matches(twice, struct("s", 8, ["", 0, a], ["m", 32, s32]))).toBe(true);
    expect(matches(twice, struct("s", 4, ["", 0, a]))).toBe(false);
  });

  const pointers: [string, TypeMaker, TypeMaker, boolean][] = [
    ["structs of other content", struct("s", 4, ["x", 0, s32]), struct("s", 8), true],
    ["structs of other name", struct("s", 4), struct("r", 4), false],
    ["struct and union", struct("s", 4), union("s", 4), false],
    ["struct and forward struct", struct("s", 4), fwd("s"), true],
    ["struct and forward union", struct("s", 4), fwd("s", true), false],
    ["union and forward union", union("s", 4), fwd("s", true), true],
    ["forward struct and struct", fwd("s"), struct("s", 4), true],
    ["forward struct and union", fwd("s"), union("s", 4), false],
    ["forward union and union", fwd("s", true), union("s", 4), true],
    ["forward structs", fwd("s"), fwd("s"), true],
    ["forward struct and forward union", fwd("s"), fwd("s", true), false],
    ["ints still by size", u32, u64, false],
  ];
  it.each(pointers)("behind a pointer, %s", (_, ours, theirs, expected) => {
    expect(matches(t(ptr(ours)), t(ptr(theirs)))).toBe(expected);
    // Also through prototypes behind the pointer.
    expect(matches(t(ptr(proto(s32, ours))), t(ptr(proto(s32, theirs))))).toBe(expected);
  });

  it("pointer and int are different", () => {
    expect(matches(t(ptr()), t(u64))).toBe(false);
    expect(matches(t(u64), t(ptr()))).toBe(false);
  });

  it("forward and full declaration differ when not behind a pointer", () => {
    expect(matches(t(fwd("s")), t(struct("s", 4)))).toBe(false);
    expect(matches(t(struct("s", 4)), t(fwd("s")))).toBe(false);
  });
});

describe("limits", () => {
  const pointers = (depth: number): TypeMaker => (depth === 0 ? u8 : ptr(pointers(depth - 1)));

  it.each(["type_exists", "type_matches"] as const)("%s follows 31 links and refuses 32", (kind) => {
    const attempt = (depth: number) => relocate(t(pointers(depth)), kernelOf(t(pointers(depth))), "0", kind, 1n);
    expect(attempt(31)).toBe(1n);
    expect(() => attempt(32)).toThrow("nested too deeply");
  });

  it("type_exists takes prototypes 32 deep and refuses 33", () => {
    const protos = (depth: number): TypeMaker => proto(0, depth === 0 ? u8 : ptr(protos(depth - 1)));
    const attempt = (depth: number) => relocate(t(protos(depth)), kernelOf(t(protos(depth))), "0", "type_exists", 1n);
    expect(attempt(31)).toBe(1n);
    expect(() => attempt(32)).toThrow("nested too deeply");
  });

  it("type_matches takes structs 31 deep and refuses 32", () => {
    const structs = (depth: number): TypeMaker => struct("s", 4, ["m", 0, depth === 0 ? s32 : structs(depth - 1)]);
    const attempt = (depth: number) =>
      relocate(structs(depth), kernelOf(t(u8), structs(depth)), "0", "type_matches", 1n);
    // Every nested struct has the name of the root, so all are candidates; the deepest ones do not match.
    expect(attempt(30)).toBe(1n);
    expect(() => attempt(31)).toThrow("nested too deeply");
  });

  it.each([
    [
      "structs",
      "type_matches",
      (types) => {
        let id = s32(types);
        for (let i = 0; i < 29; i++) id = struct(i === 28 ? "s" : "", 4, ["a", 0, id], ["b", 0, id])(types);
        return id;
      },
    ],
    [
      "prototypes",
      "type_exists",
      (types) => {
        let id = u8(types);
        for (let i = 0; i < 30; i++) id = proto(0, id, id)(types);
        return typedef("s", id)(types);
      },
    ],
  ] as const satisfies readonly (readonly [string, string, TypeMaker])[])(
    "a diamond of %s is given up instead of followed 2^29 times",
    (_, kind, type) => {
      expect(() => relocate(type, kernelOf(type), "0", kind, 1n)).toThrow("nested too deeply");
    },
  );
});
