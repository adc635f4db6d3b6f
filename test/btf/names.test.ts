// Names: essential names (CO-RE flavors), exact look-ups by kind, candidates. The index is compared with a plain search.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder, essentialName } from "../../src/btf/index.js";

describe("essentialName", () => {
  it.each([
    ["task_struct", "task_struct"],
    ["task_struct___v2", "task_struct"],
    ["a___b", "a"],
    ["a___b___c", "a___b"],
    ["___x", "___x"],
    ["x___", "x___"],
    ["a____b", "a____b"],
    ["a__b", "a__b"],
    ["____a___b", "____a"],
    ["a____b___c", "a____b"],
    ["a___b____c", "a"],
    ["a___b___", "a"],
    ["_a___b", "_a"],
    ["___", "___"],
    ["", ""],
    ["größe___ä", "größe"],
  ])("%s → %s", (name, essential) => {
    expect(essentialName(name)).toBe(essential);
  });
});

describe("look-up", () => {
  const builder = new BtfBuilder();
  const int = builder.addInt("int", 4, { signed: true });
  const struct = builder.addStruct("file", 4, [{ name: "f", type: int, bitOffset: 0 }]);
  const typedef = builder.addTypedef("file", struct);
  const flavor = builder.addStruct("file___v2", 4, []);
  const second = builder.addStruct("file", 8, []);
  const nonAscii = builder.addStruct("größe", 8, []);
  builder.addStruct("", 8, []);
  const btf = Btf.parse(builder.build());

  it("finds exact names, the lowest id first", () => {
    expect(btf.findByName("file")).toBe(struct);
    expect(btf.findByName("file", "typedef")).toBe(typedef);
    expect(btf.findByName("file___v2")).toBe(flavor);
    expect(btf.findByName("größe", "struct")).toBe(nonAscii);
    expect(btf.findByName("file", "union")).toBeUndefined();
    expect(btf.findByName("fil")).toBeUndefined();
    expect(btf.findByName("file___v3")).toBeUndefined();
    expect(btf.findByName("")).toBeUndefined();
    expect(btf.findByName("f")).toBeUndefined();
    expect(btf.findByName("void")).toBe(0);
    expect(btf.findByName("void", "int")).toBeUndefined();
  });

  it("is not fooled by strings that continue behind a NUL", () => {
    expect(btf.findByName("int\0file")).toBeUndefined();
    expect(btf.idsByEssentialName("int\0")).toEqual([]);
  });

  it("finds candidates whatever the flavors", () => {
    for (const name of ["file", "file___v2", "file___other"]) {
      expect(btf.idsByEssentialName(name)).toEqual([struct, typedef, flavor, second]);
    }
    expect(btf.idsByEssentialName("file____v2")).toEqual([]);
    expect(btf.idsByEssentialName("")).toEqual([]);
  });

  it("agrees with a plain search over any names", () => {
    const name = fc.oneof(
      fc
        .array(fc.constantFrom("a", "b", "_", "__", "___", "____", "é"), { maxLength: 6 })
        .map((parts) => parts.join("")),
      fc.string({ maxLength: 8 }).map((text) => text.replaceAll("\0", "")),
    );
    fc.assert(
      fc.property(fc.array(name, { maxLength: 40 }), fc.array(name, { maxLength: 10 }), (names, others) => {
        const builder = new BtfBuilder();
        for (const each of names) builder.addFwd(each);
        const parsed = Btf.parse(builder.build());
        for (const wanted of [...names, ...others]) {
          if (wanted === "" || wanted === "void") continue;
          const index = names.indexOf(wanted);
          expect(parsed.findByName(wanted)).toBe(index < 0 ? undefined : index + 1);
          const candidates = names.flatMap((each, i) => (essentialName(each) === essentialName(wanted) ? [i + 1] : []));
          expect(parsed.idsByEssentialName(wanted)).toEqual(candidates);
        }
      }),
      { numRuns: 300 },
    );
  });
});
