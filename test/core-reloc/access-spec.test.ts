// Access strings (libbpf.md 4.3): what is accepted, and every way to be wrong.

import { describe, expect, it } from "vitest";
import { CoreRelocationError } from "../../src/errors.js";
import {
  array,
  btfOf,
  code,
  enumeration,
  int,
  kernelOf,
  relocate,
  s32,
  setUp,
  struct,
  typedef,
  u32,
} from "./support.js";

const point = struct("point", 8, ["x", 0, u32], ["y", 32, u32]);
const grid = struct(
  "grid",
  48,
  ["cells", 0, array(array(u32, 3), 2)],
  ["tail", 192, array(struct("pair", 8, ["a", 0, u32], ["b", 32, u32]), 0)],
);
const color = enumeration("color", { RED: 3, GREEN: 5 });

describe("access strings", () => {
  it.each([
    ["point as array", point, "2", 16n],
    ["second member", point, "0:1", 4n],
    ["root index times size plus member", point, "3:1", 28n],
    ["inner array element", grid, "0:0:1:2", 20n],
    ["flexible array at the end, beyond its count", grid, "0:1:5:1", 24n + 44n],
    ["through a typedef", typedef("grid_t", grid), "0:0:1", 12n],
    ["leading zeros", point, "00:01", 4n],
  ])("%s: %s", (_, type, access, offset) => {
    expect(relocate(type, kernelOf(type), access, "byte_off", offset)).toBe(offset);
  });

  it.each([
    ["empty", ""],
    ["only a colon", ":"],
    ["leading colon", ":0"],
    ["trailing colon", "0:"],
    ["double colon", "0::1"],
    ["negative", "-1"],
    ["plus sign", "+1"],
    ["blank", "0: 1"],
    ["no number", "0:x"],
    ["hexadecimal", "0x1"],
    ["beyond 31 bits", "2147483648"],
    ["beyond any integer", "9".repeat(400)],
    ["member out of range", "0:2"],
    ["parts of an int", "0:0:0"],
    ["offset beyond 512 MiB", "67108864"],
  ])("refuses %s", (_, access) => {
    expect(() => relocate(point, kernelOf(point), access, "byte_off", 0n)).toThrow(CoreRelocationError);
  });

  it("names the reason for numbers beyond 31 bits", () => {
    const attempt = (access: string) => () => relocate(point, kernelOf(point), access, "byte_off", 0n);
    expect(attempt("0:2147483648")).toThrow("number in the access string out of range");
    expect(attempt("0:2147483647")).toThrow("member 2147483647 of 2");
  });

  it("takes 64 numbers and refuses 65", () => {
    const deep = (levels: number) => {
      let type = s32;
      for (let i = 0; i < levels; i++) type = struct(i === levels - 1 ? "deep" : "", 4, ["m", 0, type]);
      return type;
    };
    const access = (count: number) => Array(count).fill("0").join(":");
    expect(relocate(deep(63), kernelOf(deep(63)), access(64), "byte_off", 0n)).toBe(0n);
    expect(() => relocate(deep(64), kernelOf(deep(64)), access(65), "byte_off", 0n)).toThrow("more than 64 steps");
  });

  it.each([
    ["element 2 of 2", "0:0:2"],
    ["element 3 of 3", "0:0:0:3"],
  ])("refuses %s of an array with a size", (_, access) => {
    expect(() => relocate(grid, kernelOf(grid), access, "byte_off", 0n)).toThrow(/element \d of an array/);
  });

  it("refuses to index an empty array that is not the last member", () => {
    const type = struct("s", 4, ["none", 0, array(u32, 0)], ["x", 0, u32]);
    expect(() => relocate(type, kernelOf(type), "0:0:1", "byte_off", 4n)).toThrow("element 1 of an array of 0");
  });

  it.each(["type_exists", "type_size", "type_matches", "target_type_id", "local_type_id"] as const)(
    "%s wants exactly 0",
    (kind) => {
      for (const access of ["1", "00", "0:0", "", " 0"]) {
        expect(() => relocate(point, kernelOf(point), access, kind, 1n)).toThrow('need the access string "0"');
      }
    },
  );

  it.each(["enumval_exists", "enumval_value"] as const)("%s wants one number below the count, of an enum", (kind) => {
    expect(() => relocate(color, kernelOf(color), "2", kind, 1n)).toThrow("enumerator 2 of 2");
    expect(() => relocate(color, kernelOf(color), "0:0", kind, 1n)).toThrow("exactly one number");
    expect(() => relocate(point, kernelOf(point), "0", kind, 1n)).toThrow("no enum");
  });

  it("refuses a root without a size", () => {
    const type = typedef("callback", (types) => types.addFuncProto(0, []));
    expect(() => relocate(type, kernelOf(type), "0", "byte_off", 0n)).toThrow(CoreRelocationError);
  });
});

describe("records", () => {
  const { relocator, record } = setUp(point, kernelOf(point), "0:1", "byte_off");
  const attempt = (change: Partial<typeof record>, size = 16) => {
    const insns = new Uint8Array(size);
    return () => relocator.apply(insns, { ...record, ...change });
  };

  it.each([
    ["an unknown kind", { kind: 13 }, "unknown kind 13"],
    ["a huge kind", { kind: 0xffffffff }, "unknown kind 4294967295"],
    ["an unknown type", { typeId: 99 }, "no type 99"],
    ["an unknown type with local_type_id", { typeId: 99, kind: 6 }, "no type 99"],
    ["a string outside of the section", { accessOffset: 9999 }, "record of kind 0 for type"],
    ["an offset between instructions", { insnOffset: 4 }, "no instruction"],
    ["an offset at the end", { insnOffset: 16 }, "no instruction"],
    ["an offset far beyond the end", { insnOffset: 0xfffffff8 }, "no instruction"],
  ])("refuses %s", (_, change, text) => {
    expect(attempt(change)).toThrow(CoreRelocationError);
    expect(attempt(change)).toThrow(text);
  });

  it("names the offset and the relocation in the error", () => {
    try {
      relocator.apply(code(5n, 7n), { ...record, insnOffset: 16 });
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof CoreRelocationError)) throw error;
      expect(error.code).toBe("CORE_INVALID");
      expect(error.location.offset).toBe(16);
      expect(error.reason).toMatch(/^<byte_off> \[\d+\] struct point\.y \(0:1 @ offset 4\): the instruction holds 7 /);
    }
  });

  it("names what it can of a record that makes no sense", () => {
    const bad = setUp(point, kernelOf(point), "0:9", "byte_sz");
    expect(() => bad.relocator.apply(code(0n), bad.record)).toThrow(
      /<byte_sz> \[\d+\] struct point \+ "0:9": step 1: member 9 of 2/,
    );
  });

  it("refuses an anonymous root for all kinds but local_type_id", () => {
    const anonymous = struct("", 4, ["x", 0, s32]);
    const target = kernelOf(anonymous);
    expect(() => relocate(anonymous, target, "0:0", "field_exists", 1n)).toThrow("<anon>");
    expect(() => relocate(anonymous, target, "0", "type_exists", 1n)).toThrow("anonymous");
    const { ids } = btfOf([anonymous]);
    expect(relocate(anonymous, target, "0", "local_type_id", 1n)).toBe(BigInt(ids[0]!));
  });

  it("treats an int as a root like any other", () => {
    const type = typedef("counter_t", int("int", 4, true));
    expect(relocate(type, kernelOf(typedef("counter_t", int("long", 8, true))), "2", "byte_off", 8n)).toBe(16n);
  });
});
