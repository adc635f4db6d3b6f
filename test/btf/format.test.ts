// Values as text. The C form was compared with what libbpf 1.7 prints for the same bytes.

import { describe, expect, it } from "vitest";
import { type Btf, type FormatOptions, formatJson, formatValue } from "../../src/btf/index.js";
import { BpfObject } from "../../src/index.js";
import { fixturePath } from "../support/fixtures.js";
import { Types } from "./codec-types.js";

const object = BpfObject.open(fixturePath("globals"));
const btf: Btf = object.btf!;

/** A variable of the fixture: its type and bytes. */
function variable(name: string): [Btf, number, Uint8Array] {
  for (const section of [".rodata", ".data"]) {
    const datasec = btf.type(btf.findByName(section, "datasec")!);
    if (datasec.kind !== "datasec") continue;
    for (const { type, offset } of datasec.variables) {
      if (btf.nameOf(type) === name) return [btf, type, object.map(section).initialValue!.slice(offset)];
    }
  }
  throw new Error(`no variable ${name}`);
}

const text = (name: string, options?: FormatOptions): string => formatValue(...variable(name), options);

it("the elements of a flexible array are printed when the length is told", () => {
  const types = new Types();
  const u16 = types.int("u16", 2);
  const id = types.struct("s", 4, [
    ["n", types.int("u32", 4), 0],
    ["", types.struct("", 0, [["rest", types.array(u16, 0), 0]]), 32],
  ]);
  const bytes = Uint8Array.of(1, 0, 0, 0, 2, 0, 3, 0, 9);
  expect(formatJson(types, id, bytes)).toBe('{"n":1,"rest":[]}');
  expect(formatJson(types, id, bytes, { length: 9 })).toBe('{"n":1,"rest":[2,3]}');
  expect(formatJson(types, id, bytes, { length: 6 })).toBe('{"n":1,"rest":[2]}');
  expect(formatValue(types, id, bytes, { length: 9, compact: true, skipNames: true })).toContain("[2,3,]");
  for (const length of [3, 10, 4.5, Number.NaN]) {
    expect(() => formatJson(types, id, bytes, { length })).toThrow(/a length of .* is not within 4 \(the type\) … 9/);
  }
});

it("characters that are no text are numbers in JSON", () => {
  const types = new Types();
  const id = types.struct("s", 4, [["raw", types.array(types.int("char", 1, "char"), 4), 0]]);
  expect(formatJson(types, id, Uint8Array.of(0xc3, 0xa9, 0, 7))).toBe('{"raw":"é"}');
  expect(formatJson(types, id, Uint8Array.of(0x61, 0xff, 0, 7))).toBe('{"raw":[97,255,0,7]}');
});

describe("values as C", () => {
  it("are spread over lines", () => {
    expect(text("ro_shape", { strings: false, level: 1, indent: "  " })).toBe(`  (struct shape){
    .name = (char[8])[
      's',
      'q',
      'u',
      'a',
      'r',
      'e',
    ],
    .corners = (struct point[3])[
      {
        .x = 1,
        .y = -1,
      },
      {
        .x = 2,
        .y = -2,
      },
      {
        .x = 3,
        .y = -3,
      },
    ],
    .color = (enum color)COLOR_GREEN,
    .visible = (__u32)0x1,
    .layer = (__u32)0x64,
    .shift = (__s32)0x17,
    (union){
      .raw = (__u64)2459565876208275729,
      (struct){
        .low = (__u32)286331153,
        .high = (__u32)572662306,
      },
    },
  }`);
  });

  it("stand in one line, with or without names, with strings", () => {
    expect(text("ro_shape", { compact: true, skipNames: true, strings: false })).toBe(
      "{['s','q','u','a','r','e',],[{1,-1,},{2,-2,},{3,-3,},],COLOR_GREEN,0x1,0x64,0x17,{2459565876208275729,{286331153,572662306,},},}",
    );
    expect(text("ro_shape", { compact: true })).toMatch(
      /^\(struct shape\)\{\.name = \(char\[8\]\)"square",\.corners = /,
    );
    expect(text("ro_text", { compact: true })).toBe('(char[12])"read only"');
    expect(text("ro_text", { compact: true, strings: false, zeroes: true })).toBe(
      "(char[12])['r','e','a','d',' ','o','n','l','y','\\0',]",
    );
  });

  it("have casts and names of enumerators", () => {
    const compact = (name: string): string => text(name, { compact: true });
    expect(["ro_bool", "ro_s64", "ro_level", "ro_wide", "data_port", "data_matrix"].map(compact)).toEqual([
      "(_Bool)1",
      "(__s64)-6400000000000",
      "(enum level)LEVEL_LOW",
      "(enum wide)WIDE_TOP",
      "(port_t)8080",
      "(__u16[2][3])[[1,2,3,],[4,5,6,],]",
    ]);
  });

  it("leave zeros out, but not in arrays, and not when told so", () => {
    const types = new Types();
    const u32 = types.int("u32", 4);
    const pointer = types.add({ kind: "ptr", name: "", type: u32 });
    const proto = types.add({ kind: "funcProto", name: "", returnType: u32, params: [{ name: "", type: pointer }] });
    const callback = types.add({ kind: "ptr", name: "", type: proto });
    const id = types.struct("s", 40, [
      ["zero", u32, 0],
      ["list", types.array(u32, 3), 32],
      ["none", types.array(u32, 2), 128],
      ["next", pointer, 192],
      ["call", callback, 256],
    ]);
    const bytes = new Uint8Array(40);
    bytes[8] = 5;
    const compact = (options: FormatOptions = {}): string =>
      formatValue(types, id, bytes, { compact: true, ...options });
    expect(compact()).toBe("(struct s){.list = (u32[3])[0,5,0,],}");
    expect(compact({ zeroes: true })).toBe(
      "(struct s){.zero = (u32)0,.list = (u32[3])[0,5,0,],.none = (u32[2])[0,0,],.next = (u32 *)(nil),.call = (u32 (*)(u32 *))(nil),}",
    );
    expect(formatValue(types, id, new Uint8Array(40), { compact: true })).toBe("(struct s){}");
    expect(() => formatValue(types, id, new Uint8Array(39))).toThrow(/a value has 40 bytes, there are only 39/);
  });

  it("write what would break a line as escapes", () => {
    const types = new Types();
    const id = types.array(types.int("char", 1, "signed"), 8);
    const bytes = new Uint8Array([34, 92, 10, 255, 65]);
    expect(formatValue(types, id, Uint8Array.of(...bytes, 0, 0, 0))).toBe('(char[8])"\\"\\\\\\x0a\\xffA"');
  });
});

describe("values as JSON", () => {
  it("keep all digits and name enumerators", () => {
    expect(formatJson(...variable("ro_shape"))).toBe(
      '{"name":"square","corners":[{"x":1,"y":-1},{"x":2,"y":-2},{"x":3,"y":-3}],"color":"COLOR_GREEN","visible":1,' +
        '"layer":100,"shift":-9,"raw":2459565876208275729,"low":286331153,"high":572662306}',
    );
    expect(formatJson(...variable("ro_u64"))).toBe("18364758544493064720");
    expect(formatJson(...variable("ro_bool"))).toBe("true");
  });

  it("are indented", () => {
    expect(formatJson(...variable("data_union"), { indent: "  ", level: 1 })).toBe(`{
    "wide": 72623859790382856,
    "halves": [84281096, 16909060],
    "bytes": [8, 7, 6, 5, 4, 3, 2, 1]
  }`);
  });

  it("are JSON whatever the names and values", () => {
    const types = new Types();
    const names = ["__proto__", 'quo"te', "a\\b"];
    const float = types.add({ kind: "float", name: "float", size: 4 });
    const id = types.struct(
      "s",
      12,
      names.map((name, i) => [name, float, i * 32]),
    );
    const bytes = new Uint8Array(new Float32Array([Number.NaN, Infinity, 1.5]).buffer);
    expect(Object.entries(JSON.parse(formatJson(types, id, bytes)) as object)).toEqual([
      ["__proto__", null],
      ['quo"te', null],
      ["a\\b", 1.5],
    ]);
  });
});
