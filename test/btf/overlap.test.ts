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
