// The printed spec, libbpf's format to the letter (libbpf.md 4.13).

import { describe, expect, it } from "vitest";
import {
  array,
  btfOf,
  code,
  enumeration,
  enumeration64,
  fwd,
  type Kind,
  kernelOf,
  proto,
  ptr,
  s32,
  setUp,
  struct,
  type TypeMaker,
  typedef,
  u8,
  u32,
  union,
} from "./support.js";

/** `#` stands for the local type's id. */
function describeRelocation(type: TypeMaker, kind: Kind, access: string): string {
  const { relocator, record } = setUp(type, kernelOf(u8), access, kind);
  // Nothing matches: poison or 0, the description is the local spec in any case.
  const original = { field_exists: 1n, type_exists: 1n, type_matches: 1n, enumval_exists: 1n }[kind as string] ?? 0n;
  const result = relocator.apply(
    code(kind === "type_size" ? BigInt(btfOf([type]).btf.sizeOf(record.typeId)) : original),
    record,
  );
  return result.description().replace(`[${record.typeId}]`, "[#]");
}

const nested = struct(
  "s",
  64,
  ["a", 0, struct("", 16, ["", 32, union("", 8, ["b", 0, array(u32, 2)])])],
  ["bits", 131, u32, 3],
);

describe("descriptions", () => {
  it.each<[Kind, TypeMaker, string, string]>([
    ["byte_off", nested, "0:0:0:0:1", "<byte_off> [#] struct s.a.b[1] (0:0:0:0:1 @ offset 8)"],
    ["byte_sz", nested, "2:0", "<byte_sz> [#] struct s[2].a (2:0 @ offset 128)"],
    ["field_exists", nested, "0:1", "<field_exists> [#] struct s.bits (0:1 @ offset 16.3)"],
    ["signed", nested, "0:1", "<signed> [#] struct s.bits (0:1 @ offset 16.3)"],
    ["lshift_u64", nested, "0:1", "<lshift_u64> [#] struct s.bits (0:1 @ offset 16.3)"],
    ["byte_off", typedef("s_t", nested), "0", "<byte_off> [#] typedef s_t (0 @ offset 0)"],
    ["local_type_id", struct("", 4, ["x", 0, s32]), "0", "<local_type_id> [#] struct <anon>"],
    ["target_type_id", union("u", 4), "0", "<target_type_id> [#] union u"],
    ["type_exists", fwd("f"), "0", "<type_exists> [#] fwd f"],
    ["type_size", u32, "0", "<type_size> [#] int unsigned int"],
    ["type_matches", typedef("cb", ptr(proto(0))), "0", "<type_matches> [#] typedef cb"],
    ["local_type_id", proto(0), "0", "<local_type_id> [#] func_proto <anon>"],
    ["local_type_id", () => 0, "0", "<local_type_id> [#] unknown <anon>"],
    ["enumval_exists", enumeration("e", { A: 1, B: -5 }), "1", "<enumval_exists> [#] enum e::B = -5"],
    [
      "enumval_value",
      enumeration("e", { A: 0xffffffff, Z: 0 }, { signed: false }),
      "0",
      "<enumval_value> [#] enum e::A = 4294967295",
    ],
    ["enumval_exists", enumeration64("e", { A: -1n }), "0", "<enumval_exists> [#] enum64 e::A = -1"],
    [
      "enumval_exists",
      typedef("e_t", enumeration64("", { A: 1n << 63n }, { signed: false })),
      "0",
      "<enumval_exists> [#] typedef e_t::A = 9223372036854775808",
    ],
  ])("%s of %o, %s", (kind, type, access, expected) => {
    expect(describeRelocation(type, kind, access)).toBe(expected);
  });
});
