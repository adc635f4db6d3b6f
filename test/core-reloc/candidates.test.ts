// The search for candidates (libbpf.md 4.4), agreement of several (4.9), and what the relocator remembers.

import { describe, expect, it } from "vitest";
import type { Btf } from "../../src/btf/index.js";
import { CoreRelocator, type CoreTargets } from "../../src/core-reloc/index.js";
import { CoreRelocationError } from "../../src/errors.js";
import {
  btfOf,
  code,
  enumeration,
  kernelOf,
  ptr,
  relocate,
  s32,
  s64,
  setUp,
  struct,
  type TypeMaker,
  u8,
  u32,
} from "./support.js";

const local = struct("s", 8, ["x", 0, s32], ["y", 32, s32]);
const kernel = kernelOf(u8, struct("elsewhere", 4, ["x", 0, s32]));
const at = (bits: number, name = "s") => struct(name, 64, ["x", bits, s32]);
const module = (name: string, base: Btf, ...types: readonly TypeMaker[]) => ({
  name,
  btf: btfOf(types, { base }).btf,
});

describe("several candidates", () => {
  it("that agree are as good as one", () => {
    expect(relocate(local, kernelOf(at(64, "s___a"), at(64, "s___b")), "0:0", "byte_off", 0n)).toBe(8n);
  });

  it("do not count when they do not match", () => {
    const target = kernelOf(struct("s___a", 4, ["z", 0, s32]), at(96), struct("s___b", 8, ["x", 0, ptr()]));
    expect(relocate(local, target, "0:0", "byte_off", 0n)).toBe(12n);
  });

  it("that disagree about the offset are ambiguous, even for existence", () => {
    const target = kernelOf(at(64, "s___a"), at(96, "s___b"));
    for (const kind of ["byte_off", "field_exists"] as const) {
      const original = kind === "byte_off" ? 0n : 1n;
      expect(() => relocate(local, target, "0:0", kind, original)).toThrow(
        /^offset 0x0: <\w+> \[\d+\] struct s\.x .*: ambiguous.* struct s___a\.x \(0:0 @ offset 8\) gives .* struct s___b\.x \(0:0 @ offset 12\)/,
      );
    }
  });

  it("are shown with the steps that lead to the field, not those that were tried", () => {
    const inner = (name: string) => struct("", 4, [name, 0, s32]);
    const target = kernelOf(at(0, "s___a"), struct("s___b", 12, ["", 0, inner("a")], ["", 32, inner("x")]));
    expect(() => relocate(local, target, "0:0", "byte_off", 0n)).toThrow("s___b.x (0:1:0 @ offset 4)");
  });

  it("that disagree about the value are ambiguous", () => {
    const sizes = kernelOf(struct("s___a", 8, ["x", 0, s32]), struct("s___b", 8, ["x", 0, s64]));
    expect(() => relocate(local, sizes, "0:0", "byte_sz", 4n)).toThrow(CoreRelocationError);
    expect(relocate(local, sizes, "0:0", "byte_off", 0n)).toBe(0n);
    expect(relocate(local, sizes, "0", "type_size", 8n)).toBe(8n);
    expect(() => relocate(local, sizes, "0", "target_type_id", 0n)).toThrow("ambiguous");
    const enums = kernelOf(
      enumeration("e___a", { A: 1 }),
      enumeration("e___b", { A: 2 }),
      enumeration("e___c", { Z: 3 }),
    );
    expect(() => relocate(enumeration("e", { A: 1 }), enums, "0", "enumval_value", 1n)).toThrow("ambiguous");
    expect(relocate(enumeration("e", { A: 1 }), enums, "0", "enumval_exists", 1n)).toBe(1n);
  });

  it("shrink to those that matched, which settles later records of the same type", () => {
    const target = kernelOf(struct("s___a", 8, ["x", 0, s32]), struct("s___b", 16, ["x", 64, s32], ["y", 32, s32]));
    const { btf, ids, offsets } = btfOf([local], { strings: ["0:0", "0:1", "0:9"] });
    const record = (path: number, kind: number) => ({
      insnOffset: 0,
      typeId: ids[0]!,
      accessOffset: offsets[path]!,
      kind,
    });

    expect(() => new CoreRelocator(btf, { kernel: target }).apply(code(0n), record(0, 0))).toThrow("ambiguous");

    const relocator = new CoreRelocator(btf, { kernel: target });
    expect(relocator.apply(code(4n), record(1, 0)).value).toBe(4n); // only s___b has y
    expect(relocator.apply(code(0n), record(0, 0)).value).toBe(8n); // no longer ambiguous
  });

  it("stay when none matched", () => {
    const target = kernelOf(struct("s", 8, ["y", 0, s32]));
    const { btf, ids, offsets } = btfOf([local], { strings: ["0:0", "0:1"] });
    const relocator = new CoreRelocator(btf, { kernel: target });
    const record = (path: number) => ({ insnOffset: 0, typeId: ids[0]!, accessOffset: offsets[path]!, kind: 0 });
    expect(relocator.apply(code(0n), record(0)).poisoned).toBe(true);
    expect(relocator.apply(code(4n), record(1))).toMatchObject({ poisoned: false, value: 0n });
  });
});

describe("where candidates are searched", () => {
  /** Targets that count how often the modules are asked for. */
  const targets = (of: Omit<CoreTargets, "modules">, modules: readonly { name: string; btf: Btf }[]) => {
    const asked = { times: 0 };
    const counted: CoreTargets = {
      ...of,
      modules: () => {
        asked.times++;
        return modules;
      },
    };
    return { asked, targets: counted };
  };

  it("modules when the kernel has none, with ids that count on from the kernel's", () => {
    const mod = module("mod", kernel, u8, at(64));
    const { asked, targets: both } = targets({ kernel }, [module("empty", kernel), mod]);
    expect(relocate(local, both, "0:0", "byte_off", 0n)).toBe(8n);
    expect(asked.times).toBe(1);
    const id = mod.btf.findByName("s", "struct")!;
    expect(id).toBeGreaterThanOrEqual(kernel.typeCount);
    expect(relocate(local, both, "0", "target_type_id", 0n)).toBe(BigInt(id));
  });

  it("never modules when the kernel has one, even one that does not match", () => {
    const own = kernelOf(struct("s", 4, ["z", 0, s32]));
    const { asked, targets: both } = targets({ kernel: own }, [module("mod", own, at(64))]);
    expect(relocate(local, both, "0:0", "field_exists", 1n)).toBe(0n);
    expect(asked.times).toBe(0);
  });

  it("not the kernel's types again through each module", () => {
    const other = struct("t", 8, ["x", 32, s32]);
    const base = kernelOf(at(64));
    const both: CoreTargets = { kernel: kernelOf(u8), modules: () => [module("m", base, other)] };
    expect(relocate(local, both, "0:0", "field_exists", 1n)).toBe(0n);
  });

  it("in all modules, which have to agree", () => {
    const agree = [module("a", kernel, at(64)), module("b", kernel, at(64))];
    const disagree = [module("a", kernel, at(64)), module("b", kernel, at(96))];
    expect(relocate(local, targets({ kernel }, agree).targets, "0:0", "byte_off", 0n)).toBe(8n);
    expect(() => relocate(local, targets({ kernel }, disagree).targets, "0:0", "byte_off", 0n)).toThrow("ambiguous");
  });

  it("not in modules for custom BTF", () => {
    const { asked, targets: both } = targets({ kernel, custom: true }, [module("mod", kernel, at(64))]);
    expect(relocate(local, both, "0:0", "byte_off", 0n)).toBe("poison");
    expect(asked.times).toBe(0);
  });

  it("in the base of a custom split BTF too", () => {
    const base = kernelOf(at(64));
    const split = btfOf([u8], { base }).btf;
    expect(relocate(local, { kernel: split, custom: true }, "0:0", "byte_off", 0n)).toBe(8n);
  });

  it("modules are asked for once per object", () => {
    const { asked, targets: both } = targets({ kernel }, []);
    const { btf, ids, offsets } = btfOf([local, struct("r", 4), u32, struct("q", 4)], { strings: ["0"] });
    const relocator = new CoreRelocator(btf, both);
    for (const id of [ids[0]!, ids[1]!, ids[3]!]) {
      relocator.apply(code(1n), { insnOffset: 0, typeId: id, accessOffset: offsets[0]!, kind: 8 });
    }
    expect(asked.times).toBe(1);
  });

  it("local_type_id searches nowhere", () => {
    const { asked, targets: both } = targets({ kernel }, []);
    expect(relocate(local, both, "0", "local_type_id", 0n)).toBeGreaterThan(0n);
    expect(asked.times).toBe(0);
  });
});

describe("memory of the relocator", () => {
  it("patches every instruction that asks the same, each validated for itself", () => {
    const { relocator, record } = setUp(local, kernelOf(at(64)), "0:0", "byte_off");
    const insns = code(0n, 0n, 5n);
    const first = relocator.apply(insns, record);
    const second = relocator.apply(insns, { ...record, insnOffset: 16 });
    expect([first.insnIndex, second.insnIndex]).toEqual([0, 2]);
    expect([first.value, second.value]).toEqual([8n, 8n]);
    expect(() => relocator.apply(insns, { ...record, insnOffset: 32 })).toThrow("the instruction holds 5");
  });

  it("tells kinds and access strings of one type apart", () => {
    const target = kernelOf(struct("s", 64, ["x", 64, s64], ["y", 128, s32]));
    const { btf, ids, offsets } = btfOf([local], { strings: ["0:0", "0:1"] });
    const relocator = new CoreRelocator(btf, { kernel: target });
    const value = (path: number, kind: number, original: bigint) =>
      relocator.apply(code(original), { insnOffset: 0, typeId: ids[0]!, accessOffset: offsets[path]!, kind }).value;
    for (let round = 0; round < 2; round++) {
      expect([value(0, 0, 0n), value(0, 1, 4n), value(0, 2, 1n), value(0, 4, 32n)]).toEqual([8n, 8n, 1n, 0n]);
      expect([value(1, 0, 4n), value(1, 1, 4n), value(1, 4, 32n)]).toEqual([16n, 4n, 32n]);
    }
  });
});
