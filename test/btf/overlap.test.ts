// Names that overlap: a small file may not ask for gigabytes of text.

import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder } from "../../src/btf/index.js";
import { BtfError } from "../../src/errors.js";

describe("names that overlap", () => {
  it("are bounded in length", () => {
    const builder = new BtfBuilder();
    const int = builder.addInt("x".repeat(4096), 4, { signed: true });
    const longer = builder.addInt("y".repeat(4097), 4, { signed: true });
    const btf = Btf.parse(builder.build());
    expect(btf.nameOf(int).length).toBe(4096);
    expect(() => btf.nameOf(longer)).toThrow(/a name has more than 4096 bytes/);
    expect(() => btf.type(longer)).toThrow(BtfError);
  });

  it("are found up to the longest that there may be, wherever they lie", () => {
    const builder = new BtfBuilder();
    const sizes = [4096, 4097, 3, 20_000, 4095, 4098];
    const names = sizes.map((size, i) => String.fromCharCode(97 + i).repeat(size));
    for (const name of names) builder.addInt(name, 4, { signed: true });
    const btf = Btf.parse(builder.build());
    const split = Btf.parse(new BtfBuilder({ base: btf }).build(), { base: btf });
    for (const types of [btf, split]) {
      expect(names.map((name) => types.findByName(name))).toEqual([1, undefined, 3, undefined, 5, undefined]);
    }
    expect(sizes.map((_, i) => btf.strings.isTooLong(btf.wordsOf(i + 1)[0]!))).toEqual(
      sizes.map((size) => size > 4096),
    );
    // The end of a long string is a name again.
    const end = btf.wordsOf(4)[0]! + 20_000 - 4096;
    expect([end - 1, end].map((offset) => btf.strings.isTooLong(offset))).toEqual([true, false]);
  });

  it("are bounded in sum", () => {
    const builder = new BtfBuilder();
    const int = builder.addInt("int", 4, { signed: true });
    const name = "m".repeat(4000);
    const members = Array.from({ length: 6000 }, () => ({ name, type: int, bitOffset: 0 }));
    const struct = builder.addUnion("many", 4, members);
    const bytes = builder.build();
    // The builder writes equal names once: 24 MB of text in a file of less than 100 kB.
    expect(bytes.length).toBeLessThan(100_000);
    const btf = Btf.parse(bytes);
    expect(() => btf.type(struct)).toThrow(/the names of a type overlap beyond reason/);
    expect(btf.type(int).name).toBe("int");
  });
});
