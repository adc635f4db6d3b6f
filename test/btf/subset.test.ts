// Types that are taken out of a file: the same values, and nothing but what they need.

import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder, BtfSubset, compileCodec, valueShape } from "../../src/btf/index.js";
import { parseElf } from "../../src/elf/index.js";
import { BtfError } from "../../src/errors.js";
import { fixtureBytes, fixtureNames } from "../support/fixtures.js";

function take(from: Btf, id: number): { readonly btf: Btf; readonly id: number } {
  const builder = new BtfBuilder({ littleEndian: from.littleEndian });
  const copy = new BtfSubset(from, builder).copy(id);
  return { btf: Btf.parse(builder.build()), id: copy };
}

describe("a subset of types", () => {
  it("has the values of the originals, for all types of all fixtures", () => {
    let count = 0;
    for (const name of fixtureNames()) {
      const section = parseElf(fixtureBytes(name)).section(".BTF");
      if (section === undefined) continue;
      const btf = Btf.parse(section.data);
      for (let id = 1; id < btf.typeCount; id++) {
        if (!["struct", "union", "typedef", "array", "enum", "enum64"].includes(btf.type(id).kind)) continue;
        try {
          compileCodec(btf, id, { codegen: false });
        } catch {
          continue;
        }
        const copy = take(btf, id);
        expect(valueShape(copy.btf, copy.id)).toBe(valueShape(btf, id));
        expect(copy.btf.sizeOf(copy.id)).toBe(btf.sizeOf(id));
        expect(copy.btf.nameOf(copy.id)).toBe(btf.nameOf(id));
        expect(copy.btf.typeCount).toBeLessThanOrEqual(btf.typeCount);
        count++;
      }
    }
    expect(count).toBeGreaterThan(300);
  });

  it("leaves out what pointers point to, but for the names behind tagged ones", () => {
    const builder = new BtfBuilder();
    const node = builder.nextId;
    const member = (name: string, type: number, byte: number) => ({ name, type, bitOffset: byte * 8, bitSize: 0 });
    builder.addStruct("node", 16, [member("next", node + 1, 0), member("kept", node + 3, 8)]);
    builder.addPtr(node);
    builder.addTypeTag("kptr", node);
    builder.addPtr(node + 2);
    const { btf, id } = take(Btf.parse(builder.build()), node);
    const struct = btf.type(id);
    expect(struct).toMatchObject({ kind: "struct", name: "node", size: 16 });
    const targets = (struct as unknown as { members: { type: number }[] }).members.map(({ type }) => {
      const pointer = btf.type(type) as { type: number };
      return btf.type(pointer.type);
    });
    expect(targets).toMatchObject([{ kind: "void" }, { kind: "typeTag", name: "kptr" }]);
    expect(btf.type(btf.skipModifiers(targets[1]!.id))).toMatchObject({ kind: "struct", name: "node", members: [] });
  });

  it("refuses types that contain themselves", () => {
    const builder = new BtfBuilder();
    const array = builder.nextId;
    builder.addArray(array + 1, array, 2);
    builder.addInt("int", 4);
    builder.addStruct("s", 8, [{ name: "", type: array, bitOffset: 0, bitSize: 0 }]);
    const btf = Btf.parse(builder.build());
    for (const id of [array, array + 2]) expect(() => take(btf, id)).toThrow(BtfError);
  });
});
