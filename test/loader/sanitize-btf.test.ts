// Type information rewritten for older kernels, without and with a kernel.

import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder } from "../../src/btf/index.js";
import type { FeatureName } from "../../src/index.js";
import { pretend } from "../../src/kernel/features.js";
import { loadObjectBtf } from "../../src/loader/load-btf.js";
import { sanitizeBtf } from "../../src/loader/sanitize-btf.js";
import { btfInfo, btfLoad } from "../../src/syscall/index.js";
import { kernelDescribe } from "../support/needs.js";

/** Nothing is missing; everything is. */
const none = (): boolean => false;
const all = (): boolean => true;

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

/** What every kernel since 5.10 knows. */
const oldFeatures: ReadonlySet<FeatureName> = new Set(["btf_datasec", "btf_func", "btf_global_func"]);

/** Variables and functions, which the oldest kernels with BTF do not know. */
function oldTypes(): Btf {
  const builder = new BtfBuilder();
  const int = builder.addInt("int", 4, { signed: true });
  const variables = [
    { type: builder.addVar("first", int, 1), offset: 0, size: 4 },
    { type: builder.addVar("second", int, 0), offset: 12, size: 4 },
  ];
  builder.addDataSec(".data.?x", 16, variables);
  const proto = builder.addFuncProto(int, [{ name: "a", type: int }]);
  builder.addFunc("helper", proto, 0);
  builder.addFunc("visible", proto, 1);
  return Btf.parse(builder.build());
}

describe("sanitizeBtf", () => {
  it("changes nothing that the kernel knows", () => {
    expect(sanitizeBtf(newTypes(), none)).toBeUndefined();
  });

  it("rewrites what is unknown, and keeps ids", () => {
    const before = newTypes();
    const after = Btf.parse(sanitizeBtf(before, (feature) => !oldFeatures.has(feature))!);
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
    const after = Btf.parse(sanitizeBtf(before, (feature) => feature === "btf_enum64")!);
    expect(after.type(2).kind).toBe("float");
    expect(after.type(3).kind).toBe("union");
    expect(after.type(10)).toMatchObject({ kind: "datasec", name: "?.struct_ops" });
  });

  it("turns data sections into structures of their variables", () => {
    const after = Btf.parse(sanitizeBtf(oldTypes(), (feature) => feature === "btf_datasec")!);
    const byte = { kind: "int", size: 1, bits: 8, signed: false };
    expect(after.type(2)).toMatchObject({ ...byte, name: "first" });
    expect(after.type(3)).toMatchObject({ ...byte, name: "second" });
    expect(after.type(4)).toMatchObject({
      kind: "struct",
      name: "_data__x",
      size: 16,
      members: [
        { name: "first", type: 2, bitOffset: 0 },
        { name: "second", type: 3, bitOffset: 96 },
      ],
    });
    expect(after.type(7)).toMatchObject({ kind: "func", linkage: 1 });
  });

  it("turns functions into typedefs, and prototypes into enums", () => {
    const after = Btf.parse(sanitizeBtf(oldTypes(), (feature) => feature === "btf_func")!);
    expect(after.type(5)).toMatchObject({ kind: "enum", name: "", size: 4, values: [] });
    expect(after.type(6)).toMatchObject({ kind: "typedef", name: "helper", type: 5 });
    expect(after.type(7)).toMatchObject({ kind: "typedef", name: "visible", type: 5 });
    expect(after.type(4).kind).toBe("datasec");
  });

  it("makes global functions static, and leaves others", () => {
    const after = Btf.parse(sanitizeBtf(oldTypes(), (feature) => feature === "btf_global_func")!);
    expect(after.type(6)).toMatchObject({ kind: "func", name: "helper", linkage: 0 });
    expect(after.type(7)).toMatchObject({ kind: "func", name: "visible", linkage: 0, type: 5 });
  });

  it("strips a layout section, and asks about it only where there is one", () => {
    const builder = new BtfBuilder();
    builder.addInt("int", 4);
    const plain = Btf.parse(builder.build());
    const withLayout = Btf.parse(builder.build({ layout: true }));
    expect(withLayout.bytes.length).toBeGreaterThan(plain.bytes.length);
    expect(withLayout.type(1)).toEqual(plain.type(1));
    expect(sanitizeBtf(plain, (feature) => feature === "btf_layout")).toBeUndefined();
    expect(sanitizeBtf(withLayout, (feature) => feature === "btf_layout")).toEqual(plain.bytes);
  });

  it("rewrites everything at once", () => {
    const after = Btf.parse(sanitizeBtf(newTypes(), all)!);
    expect(after.type(9)).toMatchObject({ kind: "int", name: "v", size: 1 });
    expect(after.type(10)).toMatchObject({ kind: "struct", name: "__struct_ops" });
  });
});

kernelDescribe("type information in the kernel", { needs: ["bpf"] }, () => {
  it("is accepted in its oldest form by every kernel", () => {
    for (const types of [newTypes(), oldTypes()]) {
      const { fd, errno } = btfLoad({ bytes: sanitizeBtf(types, all)! });
      fd?.close();
      expect(errno).toBe(0);
    }
  });

  it("of functions and data sections is accepted in each form", () => {
    for (const missing of ["btf_datasec", "btf_func", "btf_global_func"]) {
      // The question mark is too new for most kernels.
      const lacks = (feature: FeatureName): boolean => feature === missing || feature === "btf_qmark_datasec";
      const { fd, errno } = btfLoad({ bytes: sanitizeBtf(oldTypes(), lacks)! });
      fd?.close();
      expect(errno, missing).toBe(0);
    }
  });

  it("is rewritten before it is tried when the kernel is known to lack something", () => {
    const before = pretend("btf_datasec", false);
    try {
      const fd = loadObjectBtf(oldTypes(), "test")!;
      const { bytes } = btfInfo(fd, { bytes: true });
      fd.close();
      expect(Btf.parse(bytes!).type(4)).toMatchObject({ kind: "struct", name: "_data__x" });
    } finally {
      pretend("btf_datasec", before);
    }
  });

  it("is accepted as new as this kernel allows", () => {
    const fd = loadObjectBtf(newTypes(), "test");
    expect(fd).toBeDefined();
    fd?.close();
  });
});
