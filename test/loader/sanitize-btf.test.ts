// Type information rewritten for older kernels, without and with a kernel.

import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder } from "../../src/btf/index.js";
import { loadObjectBtf } from "../../src/loader/load-btf.js";
import { sanitizeBtf } from "../../src/loader/sanitize-btf.js";
import { btfLoad } from "../../src/syscall/index.js";
import { kernelDescribe } from "../support/needs.js";

/** Uses everything that is newer than Linux 5.10, and some types around it. */
function newTypes(): Btf {
  const builder = new BtfBuilder();
  const int = builder.addInt("int", 4, { signed: true });
  builder.addFloat("double", 8);
  const wide = builder.addEnum64("wide", [
    { name: "ONE", value: 1n },
    { name: "TOP", value: 1n << 63n },
  ]);
  builder.addEnum("level", [{ name: "LOW", value: -5 }]);
  builder.addPtr(builder.addTypeTag("user", int));
  builder.addDeclTag("a tag: with blanks", builder.addTypedef("counter", wide));
  const variable = builder.addVar("v", int, 1);
  builder.addDataSec("?.struct_ops", 4, [{ type: variable, offset: 0, size: 4 }]);
  return Btf.parse(builder.build());
}

describe("sanitizeBtf", () => {
  it("changes nothing that the kernel knows", () => {
    expect(sanitizeBtf(newTypes(), () => true)).toBeUndefined();
  });

  it("rewrites what is unknown, and keeps ids", () => {
    const before = newTypes();
    const after = Btf.parse(sanitizeBtf(before, () => false)!);
    expect(after.typeCount).toBe(before.typeCount + 1);
    const kinds = Array.from({ length: after.typeCount - 1 }, (_, i) => after.type(i + 1).kind);
    expect(kinds.join(" ")).toBe("int struct union enum const ptr typedef int var datasec int");
    expect(after.type(2)).toMatchObject({ kind: "struct", name: "", size: 8, members: [] });
    expect(after.type(3)).toMatchObject({
      name: "wide",
      size: 8,
      members: [
        { name: "ONE", type: 11, bitOffset: 0, bitSize: 0 },
        { name: "TOP", type: 11, bitOffset: 0, bitSize: 0 },
      ],
    });
    expect(after.type(4)).toMatchObject({ kind: "enum", signed: false, values: [{ name: "LOW", value: 0xfffffffb }] });
    expect(after.type(5)).toMatchObject({ kind: "const", type: 1 });
    expect(after.type(8)).toMatchObject({ kind: "int", size: 1 });
    expect(after.type(10)).toMatchObject({ name: "_.struct_ops", variables: [{ type: 9, offset: 0, size: 4 }] });
    expect(after.sizeOf(3)).toBe(8);
  });

  it("rewrites one kind and leaves the others", () => {
    const before = newTypes();
    const after = Btf.parse(sanitizeBtf(before, (name) => name !== "BTF kind enum64")!);
    expect(after.type(2).kind).toBe("float");
    expect(after.type(3).kind).toBe("union");
  });
});

kernelDescribe("type information in the kernel", { needs: ["bpf"] }, () => {
  it("is accepted in its oldest form by every kernel", () => {
    const { fd, errno } = btfLoad({ bytes: sanitizeBtf(newTypes(), () => false)! });
    fd?.close();
    expect(errno).toBe(0);
  });

  it("is accepted as new as this kernel allows", () => {
    const fd = loadObjectBtf(newTypes(), "test");
    expect(fd).toBeDefined();
    fd?.close();
  });
});
