// Finding a field in the target and judging its type (libbpf.md 4.5, 4.6), with the values of the simple field kinds
// (4.2). Mirrors in idea the flavors, nesting, arrays, primitives, mods, ptr_as_arr, ints, existence and size cases of
// the kernel's core_reloc selftest (4.14).

import { describe, expect, it } from "vitest";
import type { Btf } from "../../src/btf/index.js";
import {
  array,
  enumeration,
  enumeration64,
  float,
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
  u16,
  u32,
  u64,
  union,
} from "./support.js";

/** byte_off of the path `access` of `local`, whose local offset is `original`. */
const offset = (local: TypeMaker, target: Btf, access: string, original: bigint) =>
  relocate(local, target, access, "byte_off", original);

describe("members move", () => {
  const local = struct("task", 8, ["pid", 0, s32], ["tgid", 32, s32]);

  it("to where their name is", () => {
    const target = kernelOf(struct("task", 128, ["state", 0, s64], ["tgid", 512, s32], ["pid", 544, s32]));
    expect(offset(local, target, "0:0", 0n)).toBe(68n);
    expect(offset(local, target, "0:1", 4n)).toBe(64n);
  });

  it("also when the local type, the target's or both have a flavor", () => {
    for (const [ours, theirs] of [
      ["task___mine", "task"],
      ["task", "task___theirs"],
      ["task___mine", "task___theirs"],
    ] as const) {
      const flavored = struct(ours, 4, ["pid", 0, s32]);
      expect(offset(flavored, kernelOf(struct(theirs, 24, ["pid", 128, s32])), "0:0", 0n)).toBe(16n);
    }
  });

  it("but flavors of member names count", () => {
    const target = kernelOf(struct("task", 8, ["pid___old", 0, s32]));
    expect(offset(local, target, "0:0", 0n)).toBe("poison");
  });

  it("not to other kinds of type", () => {
    expect(offset(local, kernelOf(union("task", 8, ["pid", 0, s32])), "0:0", 0n)).toBe("poison");
    expect(offset(local, kernelOf(typedef("task", struct("task_s", 8, ["pid", 0, s32]))), "0:0", 0n)).toBe("poison");
  });

  it("behind typedefs and modifiers on either side", () => {
    const inner = struct("inner", 4, ["x", 0, s32]);
    const ours = typedef("outer_t", struct("outer", 4, ["in", 0, qualified(typedef("inner_t", inner))]));
    const theirs = typedef(
      "outer_t",
      qualified(struct("other_name", 16, ["in", 64, typedef("a", typedef("b", inner))])),
    );
    expect(offset(ours, kernelOf(theirs), "0:0:0", 0n)).toBe(8n);
    expect(offset(theirs, kernelOf(ours), "0:0:0", 8n)).toBe(0n);
  });
});

describe("nesting", () => {
  const local = struct("s", 8, ["a", 0, struct("sub", 4, ["x", 0, s32])], ["b", 32, struct("sub", 4, ["x", 0, s32])]);

  it("follows named members by name, whatever the struct's own name", () => {
    const target = kernelOf(
      struct(
        "s",
        96,
        ["b", 64, struct("different", 64, ["pad", 0, s64], ["x", 320, s32])],
        ["a", 640, struct("sub", 4, ["x", 0, s32])],
      ),
    );
    expect(offset(local, target, "0:0:0", 0n)).toBe(80n);
    expect(offset(local, target, "0:1:0", 4n)).toBe(8n + 40n);
  });

  it("finds members through anonymous structs and unions, however deep", () => {
    const target = kernelOf(
      struct(
        "s",
        128,
        ["", 0, union("", 16, ["p", 0, ptr()], ["", 0, struct("", 16, ["q", 0, s32])])],
        [
          "",
          128,
          struct(
            "",
            64,
            ["pad", 0, s64],
            ["", 64, union("", 8, ["", 32, struct("", 4, ["a", 0, struct("sub", 4, ["x", 0, s32])])])],
          ),
        ],
        ["b", 640, struct("", 8, ["", 32, union("", 4, ["x", 0, s32])])],
      ),
    );
    expect(offset(local, target, "0:0:0", 0n)).toBe(16n + 8n + 4n);
    expect(offset(local, target, "0:1:0", 4n)).toBe(80n + 4n);
  });

  it("does not count local anonymous members either", () => {
    const ours = struct("s", 8, ["", 32, union("", 4, ["", 0, struct("", 4, ["x", 0, s32])])]);
    expect(offset(ours, kernelOf(struct("s", 8, ["x", 0, s32])), "0:0:0:0", 4n)).toBe(0n);
  });

  it("structs and unions may stand for each other as members", () => {
    const target = kernelOf(struct("s", 8, ["a", 32, union("sub", 4, ["x", 0, s32])]));
    expect(offset(local, target, "0:0:0", 0n)).toBe(4n);
  });

  it("does not look into named members, arrays of structs or pointers", () => {
    for (const member of [
      struct("wrapper", 4, ["a", 0, s32]),
      array(struct("", 4, ["a", 0, s32]), 1),
      ptr(struct("", 4, ["a", 0, s32])),
    ]) {
      const ours = struct("s", 4, ["a", 0, s32]);
      const named = kernelOf(struct("s", 8, ["w", 0, member]));
      expect(offset(ours, named, "0:0", 0n)).toBe("poison");
    }
    // An anonymous member that is neither struct nor union (padding of a bitfield) is passed over.
    const padded = kernelOf(struct("s", 8, ["", 0, s32, 5], ["a", 32, s32]));
    expect(offset(struct("s", 4, ["a", 0, s32]), padded, "0:0", 0n)).toBe(4n);
  });

  it("lets the first member of the name decide", () => {
    const ours = struct("s", 4, ["a", 0, s32]);
    const target = kernelOf(struct("s", 16, ["", 0, struct("", 8, ["a", 0, ptr()])], ["a", 64, s32]));
    expect(offset(ours, target, "0:0", 0n)).toBe("poison");
  });

  it("refuses target nesting beyond 64 steps, an endless one too", () => {
    const ours = struct("s", 4, ["a", 0, s32]);
    let deep: TypeMaker = struct("", 4, ["a", 0, s32]);
    for (let i = 0; i < 70; i++) deep = struct(i === 69 ? "s" : "", 4, ["", 0, deep]);
    expect(() => offset(ours, kernelOf(deep), "0:0", 0n)).toThrow("more than 64 steps");

    const endless: TypeMaker = (types) => struct("s", 4, ["", 0, types.nextId], ["", 0, types.nextId])(types);
    expect(() => offset(ours, kernelOf(endless), "0:0", 0n)).toThrow("more than 64 steps");
  });

  it("searches each anonymous type once, so that a diamond of them costs no 2^50 steps", () => {
    const target: TypeMaker = (types) => {
      let id = struct("", 4, ["z", 0, s32])(types);
      for (let i = 0; i < 50; i++) id = struct(i === 49 ? "s" : "", 4, ["", 0, id], ["", 0, id])(types);
      return id;
    };
    expect(offset(struct("s", 4, ["a", 0, s32]), kernelOf(target), "0:0", 0n)).toBe("poison");
  });
});

describe("arrays", () => {
  const local = struct(
    "s",
    200,
    ["a", 0, array(s32, 5)],
    ["b", 160, array(array(array(s32, 4), 3), 2)],
    ["f", 928, array(struct("e", 4, ["c", 0, s32]), 1)],
  );

  it("take element sizes and order from the target", () => {
    const target = kernelOf(
      struct(
        "s",
        400,
        ["b", 0, array(array(array(s64, 4), 3), 2)],
        ["f", 1600, array(struct("e", 12, ["x", 0, s64], ["c", 64, s32]), 9)],
        ["a", 2600, array(s32, 7)],
      ),
    );
    expect(offset(local, target, "0:0:2", 8n)).toBe(325n + 8n);
    expect(offset(local, target, "0:1:1:2:3", 20n + 4n * 23n)).toBe(8n * 23n);
    expect(offset(local, target, "0:2:0:0", 116n)).toBe(208n);
  });

  it("need enough elements in every dimension", () => {
    const target = kernelOf(struct("s", 200, ["a", 0, array(s32, 2)], ["b", 160, array(array(array(s32, 4), 2), 2)]));
    expect(offset(local, target, "0:0:1", 4n)).toBe(4n);
    expect(offset(local, target, "0:0:2", 8n)).toBe("poison");
    expect(offset(local, target, "0:1:1:1:3", 20n + 4n * 19n)).toBe(20n + 4n * 15n);
    expect(offset(local, target, "0:1:0:2:0", 20n + 4n * 8n)).toBe("poison");
  });

  it("that are flexible in the target have any element", () => {
    const flexible = kernelOf(struct("s", 4, ["x", 0, s32], ["a", 32, array(s32, 0)]));
    expect(offset(local, flexible, "0:0:4", 16n)).toBe(20n);
    const nested = kernelOf(struct("s", 4, ["", 0, union("", 0, ["a", 0, array(s32, 0)])], ["x", 0, s32]));
    expect(offset(local, nested, "0:0:4", 16n)).toBe(16n);
    const empty = kernelOf(struct("s", 4, ["a", 0, array(s32, 0)], ["x", 0, s32]));
    expect(offset(local, empty, "0:0:0", 0n)).toBe("poison");
  });

  it("do not stand for non-arrays, nor for another depth", () => {
    expect(offset(local, kernelOf(struct("s", 4, ["a", 0, s32])), "0:0:0", 0n)).toBe("poison");
    expect(offset(local, kernelOf(struct("s", 80, ["a", 0, array(array(s32, 5), 5)])), "0:0:2", 8n)).toBe("poison");
    expect(offset(local, kernelOf(struct("s", 80, ["b", 0, array(array(s32, 9), 9)])), "0:1:0:0:0", 20n)).toBe(
      "poison",
    );
    expect(offset(local, kernelOf(struct("s", 80, ["a", 0, array(float("float", 4), 5)])), "0:0:2", 8n)).toBe("poison");
  });

  it("have sizes: of the whole field, of an element", () => {
    const target = kernelOf(struct("s", 80, ["a", 0, array(s64, 6)]));
    expect(relocate(local, target, "0:0", "byte_sz", 20n)).toBe(48n);
    expect(relocate(local, target, "0:0:1", "byte_sz", 4n)).toBe(8n);
  });

  it("have no sign and no shifts for an element", () => {
    const target = kernelOf(local);
    for (const kind of ["signed", "lshift_u64", "rshift_u64"] as const) {
      expect(() => relocate(local, target, "0:0:1", kind, 0n)).toThrow("cannot be applied to an array element");
    }
  });
});

describe("the root as an array", () => {
  it("moves by the target's size", () => {
    const local = struct("s", 4, ["a", 0, s32]);
    const target = kernelOf(struct("s", 24, ["x", 0, s64], ["a", 64, s32]));
    expect(offset(local, target, "0:0", 0n)).toBe(8n);
    expect(offset(local, target, "3:0", 12n)).toBe(80n);
    expect(offset(local, target, "2", 8n)).toBe(48n);
    expect(relocate(local, target, "2", "byte_sz", 4n)).toBe(24n);
  });
});

describe("field compatibility", () => {
  const ints = {
    u8,
    u16,
    u32,
    u64,
    s32,
    s64,
    char: int("char", 1, true, { char: true }),
    bool: int("_Bool", 1, false, { bool: true }),
  };
  const field = (type: TypeMaker) => struct("s", 8, ["f", 0, type]);
  const exists = (ours: TypeMaker, theirs: TypeMaker) =>
    relocate(field(ours), kernelOf(field(theirs)), "0:0", "field_exists", 1n);

  it("holds between ints of any size and sign", () => {
    for (const ours of Object.values(ints))
      for (const theirs of Object.values(ints)) expect(exists(ours, theirs)).toBe(1n);
  });

  it("does not hold for ints with the deprecated bit offset", () => {
    const odd = int("odd", 4, false, { bitOffset: 3 });
    expect(exists(odd, u32)).toBe(0n);
    expect(exists(u32, odd)).toBe(0n);
  });

  const kinds: Record<string, TypeMaker> = {
    int: u32,
    ptr: ptr(),
    float: float("float", 4),
    enum: enumeration("e", { A: 1 }),
    array: array(u32, 1),
    struct: struct("inner", 4, ["x", 0, u32]),
    proto: proto(0),
  };
  it.each(Object.keys(kinds))("of %s holds with itself only", (name) => {
    for (const [other, type] of Object.entries(kinds)) {
      expect([other, exists(kinds[name]!, type)]).toEqual([other, other === name && name !== "proto" ? 1n : 0n]);
    }
  });

  it.each([
    ["pointers to anything", ptr(u8), ptr(proto(u8, u8)), 1n],
    ["floats of other size", float("float", 4), float("double", 8), 1n],
    ["struct and union", struct("a", 4), union("b", 4), 1n],
    ["enums of one name", enumeration("e", { A: 1 }), enumeration("e", { B: 2 }, { size: 1 }), 1n],
    ["enums of one name and two flavors", enumeration("e___x", { A: 1 }), enumeration("e___y", { A: 1 }), 1n],
    ["enum and enum64 of one name", enumeration("e", { A: 1 }), enumeration64("e", { A: 1n }), 1n],
    ["enum64 and enum of one name", enumeration64("e", { A: 1n }), enumeration("e", { A: 1 }), 1n],
    ["enums of different names", enumeration("e", { A: 1 }), enumeration("f", { A: 1 }), 0n],
    ["a local anonymous enum", enumeration("", { A: 1 }), enumeration("f", { A: 1 }), 1n],
    ["a target anonymous enum", enumeration("e", { A: 1 }), enumeration("", { A: 1 }), 1n],
    ["enum and int", enumeration("e", { A: 1 }), s32, 0n],
    ["forward declarations of one name", fwd("x"), fwd("x", true), 1n],
    ["forward declarations of two names", fwd("x"), fwd("y"), 0n],
    ["a forward declaration and its struct", fwd("x"), struct("x", 4), 0n],
    ["arrays of other dimensions", array(u8, 3), array(array(u8, 2), 5), 0n],
    ["arrays of other count", array(array(u8, 3), 2), array(array(s64, 7), 9), 1n],
    ["arrays of incompatible elements", array(u8, 3), array(ptr(), 3), 0n],
    ["behind modifiers and typedefs", qualified(typedef("a", u8)), typedef("b", qualified(s64)), 1n],
  ])("%s", (_, ours, theirs, expected) => {
    expect(exists(ours, theirs)).toBe(expected);
  });

  it("is asked at every named step", () => {
    const local = struct("s", 8, ["in", 0, struct("i", 4, ["x", 0, s32])]);
    const target = kernelOf(struct("s", 8, ["in", 0, ptr(struct("i", 4, ["x", 0, s32]))]));
    expect(relocate(local, target, "0:0:0", "field_exists", 1n)).toBe(0n);
  });
});

describe("existence, size and sign", () => {
  const local = struct(
    "s",
    40,
    ["i", 0, s32],
    ["u", 32, u32],
    ["e", 64, enumeration("e", { A: -1 })],
    ["p", 128, ptr()],
    ["sub", 192, struct("sub", 16)],
  );

  it("of fields that exist", () => {
    const target = kernelOf(
      struct(
        "s",
        99,
        ["i", 0, u8],
        ["u", 8, s64],
        ["e", 72, enumeration("e", { A: 1 }, { size: 8 })],
        ["p", 136, ptr()],
        ["sub", 200, union("x", 5)],
      ),
    );
    expect(
      ["0:0", "0:1", "0:2", "0:3", "0:4"].map((path) => relocate(local, target, path, "field_exists", 1n)),
    ).toEqual([1n, 1n, 1n, 1n, 1n]);
    expect(relocate(local, target, "0:0", "byte_sz", 4n)).toBe(1n);
    expect(relocate(local, target, "0:1", "byte_sz", 4n)).toBe(8n);
    expect(relocate(local, target, "0:2", "byte_sz", 4n)).toBe(8n);
    expect(relocate(local, target, "0:3", "byte_sz", 8n)).toBe(8n);
    expect(relocate(local, target, "0:4", "byte_sz", 16n)).toBe(5n);
    expect(relocate(local, target, "0:0", "signed", 1n)).toBe(0n);
    expect(relocate(local, target, "0:1", "signed", 0n)).toBe(1n);
    expect(relocate(local, target, "0:2", "signed", 1n)).toBe(0n);
    expect(relocate(local, target, "0:3", "signed", 0n)).toBe(0n);
    expect(relocate(local, target, "0:0", "lshift_u64", 32n)).toBe(56n);
    expect(relocate(local, target, "0:0", "rshift_u64", 32n)).toBe(56n);
  });

  it("of fields that do not", () => {
    const target = kernelOf(struct("s", 8, ["other", 0, s32]));
    const nothing = kernelOf(struct("t", 8, ["i", 0, s32]));
    for (const kernel of [target, nothing]) {
      expect(relocate(local, kernel, "0:0", "field_exists", 1n)).toBe(0n);
      expect(relocate(local, kernel, "0:0", "byte_sz", 4n)).toBe("poison");
      expect(relocate(local, kernel, "0:0", "byte_off", 0n)).toBe("poison");
      expect(relocate(local, kernel, "0:0", "signed", 1n)).toBe("poison");
      expect(relocate(local, kernel, "0:0", "lshift_u64", 32n)).toBe("poison");
      expect(relocate(local, kernel, "0:0", "rshift_u64", 32n)).toBe("poison");
    }
  });

  it("field_exists asks for no size", () => {
    const opaque = struct("s", 8, ["f", 0, fwd("later")]);
    expect(relocate(opaque, kernelOf(opaque), "0:0", "field_exists", 1n)).toBe(1n);
    expect(() => relocate(opaque, kernelOf(opaque), "0:0", "byte_sz", 1n)).toThrow("has no size");
  });
});
