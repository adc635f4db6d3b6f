// Enumerator kinds (libbpf.md 4.2, 4.3 rule 2): by name, in enums and 64-bit enums alike.

import { describe, expect, it } from "vitest";
import { enumeration, enumeration64, kernelOf, qualified, relocate, s32, struct, typedef } from "./support.js";

const local = enumeration("e", { A: 1, B: 2, C: 3 });
const signExtended = (value: bigint) => BigInt.asUintN(64, value);

describe("enumerators", () => {
  it("take value and existence from the target", () => {
    const kernel = kernelOf(enumeration("e", { B: 20, Z: 7, A: 10 }));
    expect(relocate(local, kernel, "0", "enumval_value", 1n)).toBe(10n);
    expect(relocate(local, kernel, "1", "enumval_value", 2n)).toBe(20n);
    expect(relocate(local, kernel, "2", "enumval_value", 3n)).toBe("poison");
    expect(relocate(local, kernel, "0", "enumval_exists", 1n)).toBe(1n);
    expect(relocate(local, kernel, "2", "enumval_exists", 1n)).toBe(0n);
  });

  it("of an enum that does not exist", () => {
    for (const kernel of [kernelOf(enumeration("f", { A: 1 })), kernelOf(struct("e", 4, ["A", 0, s32]))]) {
      expect(relocate(local, kernel, "0", "enumval_exists", 1n)).toBe(0n);
      expect(relocate(local, kernel, "0", "enumval_value", 1n)).toBe("poison");
    }
  });

  it("ignore flavors of enums and of enumerators, on both sides", () => {
    const ours = enumeration("e___mine", { A___mine: 1 });
    expect(relocate(ours, kernelOf(local), "0", "enumval_value", 1n)).toBe(1n);
    expect(relocate(local, kernelOf(enumeration("e___x", { A___x: 9 })), "0", "enumval_value", 1n)).toBe(9n);
  });

  it("are reached through typedefs and modifiers, under the typedef's name", () => {
    const ours = typedef("e_t", qualified(enumeration("", { A: 1 })));
    const theirs = kernelOf(typedef("e_t", typedef("x", enumeration("other", { A: 6 }))));
    expect(relocate(ours, theirs, "0", "enumval_value", 1n)).toBe(6n);
    expect(relocate(ours, kernelOf(typedef("e_t", s32)), "0", "enumval_exists", 1n)).toBe(0n);
  });

  it("sign-extend 32-bit values whatever the sign of the enum", () => {
    const kernel = kernelOf(enumeration("e", { A: -2, B: 5 }));
    expect(relocate(local, kernel, "0", "enumval_value", 1n)).toBe(signExtended(-2n));
    const unsigned = kernelOf(enumeration("e", { A: 0xfffffffe }, { signed: false }));
    expect(relocate(local, unsigned, "0", "enumval_value", 1n)).toBe(signExtended(-2n));
    expect(relocate(enumeration("e", { A: -7 }), kernel, "0", "enumval_value", signExtended(-7n))).toBe(
      signExtended(-2n),
    );
  });

  it("have all 64 bits in a 64-bit enum, and mix with 32 bits", () => {
    const big = enumeration64("e", { A: 0x1234_5678_9abc_def0n, B: 0xffff_fffen }, { signed: false });
    expect(relocate(local, kernelOf(big), "0", "enumval_value", 1n)).toBe(0x1234_5678_9abc_def0n);
    expect(relocate(local, kernelOf(big), "1", "enumval_value", 2n)).toBe(0xffff_fffen);
    expect(relocate(big, kernelOf(local), "0", "enumval_value", 0x1234_5678_9abc_def0n)).toBe(1n);
    const negative = kernelOf(enumeration64("e", { A: -3n }));
    expect(relocate(big, negative, "0", "enumval_value", 0x1234_5678_9abc_def0n)).toBe(signExtended(-3n));
    expect(relocate(big, negative, "1", "enumval_exists", 1n)).toBe(0n);
  });

  it("are validated", () => {
    expect(() => relocate(local, kernelOf(local), "1", "enumval_value", 3n)).toThrow(
      "the instruction holds 3 where the local types give 2",
    );
    expect(() => relocate(local, kernelOf(local), "1", "enumval_exists", 0n)).toThrow("the local types give 1");
  });
});
