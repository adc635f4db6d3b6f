// Externs as declared, the layout of the Kconfig section, and the type information that the kernel is given instead.

import { describe, expect, it } from "vitest";
import { type Btf, type BtfDataSec, BtfLinkage } from "../../src/btf/index.js";
import { openObject } from "../../src/object/index.js";
import { fixtureBytes } from "../support/fixtures.js";
import { code, exit, ObjectWriter, TypeWriter } from "./builders.js";
import { failure, oneProgram, open } from "./support.js";

type Entry = readonly [type: number, offset: number, size: number];

/** An object with these externs; the compiler leaves offsets zero. */
function withExterns(
  kconfig: (types: TypeWriter) => Record<string, number>,
  ksyms: (types: TypeWriter) => Record<string, number> = () => ({}),
): ObjectWriter {
  const file = oneProgram();
  const types = new TypeWriter();
  for (const [section, declare] of [
    [".kconfig", kconfig],
    [".ksyms", ksyms],
  ] as const) {
    const entries = Object.entries(declare(types)).map(([name, id]): Entry => {
      file.extern(name);
      return [id, 0, 4];
    });
    if (entries.length > 0) types.datasec(section, entries);
  }
  file.btf(types);
  return file;
}

const variable = (types: TypeWriter, name: string, type: number) => ({ [name]: types.variable(name, type, 2) });

function section(btf: Btf, name: string): BtfDataSec {
  return btf.type(btf.findByName(name, "datasec")!) as BtfDataSec;
}

describe("Kconfig externs", () => {
  it("are laid out by alignment, size and name", () => {
    const { externs, maps, btf } = open(
      withExterns((t) => ({
        ...variable(t, "CONFIG_TEXT", t.array(t.int("char", 1), 5)),
        ...variable(t, "CONFIG_B", t.int("int", 4)),
        ...variable(t, "CONFIG_A", t.int("int", 4)),
        ...variable(t, "CONFIG_BYTE", t.int("char", 1)),
        ...variable(t, "CONFIG_LONG", t.typedef("u64", t.int("long", 8))),
      })),
    );
    expect(
      externs.map((spec) => spec.kind === "kconfig" && [spec.name, spec.offset, spec.size, spec.valueKind]),
    ).toEqual([
      ["CONFIG_LONG", 0, 8, "integer"],
      ["CONFIG_A", 8, 4, "integer"],
      ["CONFIG_B", 12, 4, "integer"],
      ["CONFIG_BYTE", 16, 1, "char"],
      ["CONFIG_TEXT", 17, 5, "string"],
    ]);
    const datasec = section(btf!, ".kconfig");
    expect(datasec.size).toBe(22);
    expect(datasec.variables.map(({ type, offset }) => [btf!.nameOf(type), offset])).toEqual([
      ["CONFIG_LONG", 0],
      ["CONFIG_A", 8],
      ["CONFIG_B", 12],
      ["CONFIG_BYTE", 16],
      ["CONFIG_TEXT", 17],
    ]);
    for (const { type } of datasec.variables) expect(btf!.type(type)).toMatchObject({ linkage: BtfLinkage.Global });
    expect(maps).toMatchObject([
      {
        name: "test.kconfig",
        sectionName: ".kconfig",
        dataKind: "kconfig",
        valueSize: 22,
        flags: 0x480, // BPF_F_RDONLY_PROG, BPF_F_MMAPABLE
        valueTypeId: datasec.id,
        initialValue: new Uint8Array(22),
      },
    ]);
  });

  it("leave seven characters of the object's name in the map's", () => {
    const spec = openObject(fixtureBytes("externs"), { name: "longer_than_seven" });
    expect(spec.maps.map(({ name }) => name)).toContain("longer_t.data");
    expect(spec.maps.at(-1)!.name).toBe("longer_.kconfig");
  });

  it.each<[string, (types: TypeWriter) => number]>([
    ["a structure", (t) => t.struct("s", 8, [])],
    ["an integer of 16 bytes", (t) => t.int("__int128", 16)],
    ["a pointer", (t) => t.ptr(0)],
    ["another enum", (t) => t.enum32([0, 1])],
    ["an array of integers", (t) => t.array(t.int(), 4)],
    ["an empty array", (t) => t.array(t.int("char", 1), 0)],
  ])("cannot be %s", (_, type) => {
    const file = withExterns((t) => variable(t, "CONFIG_X", type(t)));
    expect(failure(() => open(file))).toMatchObject({
      code: "OBJECT_INVALID",
      reason: "the type of CONFIG_X is none that configuration values have",
      section: ".kconfig",
    });
  });

  it("of a damaged file do not make it allocate gigabytes", () => {
    const file = withExterns((t) => variable(t, "CONFIG_X", t.array(t.int("char", 1), 0xfffffff0)));
    expect(failure(() => open(file)).reason).toBe("configuration values of more than 1 MiB");
  });
});

describe("kernel symbols", () => {
  it("are sorted by name and keep the types that they were declared with", () => {
    const { externs } = openObject(fixtureBytes("externs"), { name: "externs" });
    const ksyms = externs.filter(({ kind }) => kind !== "kconfig");
    expect(ksyms.map(({ name, weak, kind }) => [name, weak, kind])).toEqual([
      ["bpf_ct_release", true, "ksymFunction"],
      ["bpf_skb_ct_lookup", true, "ksymFunction"],
      ["bpf_task_from_pid", true, "ksymFunction"],
      ["bpf_task_from_pid___again", true, "ksymFunction"],
      ["bpf_task_from_pid___two", true, "ksymFunction"],
      ["bpf_task_release", true, "ksymFunction"],
      ["bpfkit_no_function", true, "ksymFunction"],
      ["bpfkit_no_symbol", true, "ksymVariable"],
      ["bpfkit_no_variable", true, "ksymVariable"],
      ["runqueues", true, "ksymVariable"],
      ["wake_up_process", false, "ksymVariable"],
    ]);
  });

  it("become integers, functions one dummy variable, in the type information for the kernel", () => {
    const { btf, externs } = openObject(fixtureBytes("externs"), { name: "externs" });
    if (btf === undefined) throw new Error("no BTF");
    const datasec = section(btf, ".ksyms");
    const dummy = btf.findByName("dummy_ksym", "var")!;
    expect(dummy).toBe(btf.typeCount - 1);
    expect(datasec.size).toBe(datasec.variables.length * 4);
    expect(datasec.variables.map(({ offset, size }) => [offset, size])).toEqual(
      datasec.variables.map((_, i) => [i * 4, 4]),
    );
    expect(datasec.variables.filter(({ type }) => type === dummy).length).toBe(7);
    for (const { type } of datasec.variables) {
      const entry = btf.type(type);
      if (entry.kind !== "var") throw new Error(`a ${entry.kind} in .ksyms`);
      expect(btf.type(entry.type)).toMatchObject({ kind: "int", bits: 32 });
      expect(entry.linkage).toBe(BtfLinkage.Global);
    }
    for (const extern of externs) {
      if (extern.kind === "ksymVariable" && extern.name === "runqueues") {
        expect(btf.type(extern.valueTypeId)).toMatchObject({ kind: "struct", name: "rq" });
      }
      if (extern.kind !== "ksymFunction") continue;
      expect(btf.type(extern.typeId)).toMatchObject({ kind: "func", linkage: BtfLinkage.Global });
      const proto = btf.type(extern.protoTypeId);
      if (proto.kind !== "funcProto") throw new Error("no prototype");
      // The dots at the end stay nameless.
      for (const { name, type } of proto.params) expect(name === "").toBe(type === 0);
    }
    const proto = (name: string) => {
      const found = externs.find((extern) => extern.name === name);
      return found?.kind === "ksymFunction" ? btf.type(found.protoTypeId) : undefined;
    };
    expect(proto("bpfkit_no_function")).toMatchObject({ params: [{ name: "dummy_ksym" }, {}, { name: "", type: 0 }] });
  });

  it("that are declared and have no symbol are refused, unless nothing refers to any", () => {
    const types = new TypeWriter();
    types.datasec(".ksyms", [
      [types.variable("one", types.int(), 2), 0, 4],
      [types.variable("two", types.int(), 2), 0, 4],
    ]);
    const none = oneProgram();
    none.btf(types);
    expect(open(none).externs).toEqual([]);
    const one = oneProgram();
    one.btf(types);
    one.extern("one");
    expect(failure(() => open(one))).toMatchObject({
      code: "OBJECT_INVALID",
      reason: "two is declared here, and no symbol refers to it",
      section: ".ksyms",
    });
  });

  it("are nothing in an object without type information", () => {
    const file = new ObjectWriter();
    file.func("main", file.code("xdp", code(exit)), 0, 8);
    file.extern("somewhere");
    expect(open(file)).toMatchObject({ externs: [], btf: undefined });
  });
});
