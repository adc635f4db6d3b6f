// Generated types say what values are: every named type of every fixture, some of the kernel's and some with names that
// are traps are decoded from random bytes, written down as literals and checked by tsc against the generated type. A
// literal has to have exactly the members of its type, so that both what is missing and what is too much is found.

import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Btf, BtfBuilder, type BtfCodec, type BtfValue, compileCodec } from "../../src/btf/index.js";
import { parseElf } from "../../src/elf/index.js";
import { generateTypes } from "../../src/skeleton/index.js";
import { fixtureBytes, fixtureNames } from "../support/fixtures.js";
import { Project } from "./typescript.js";

let project: Project;
beforeAll(() => {
  project = new Project({ installed: false });
});
afterAll(() => project.remove());

type Int64 = "bigint" | "number";

/** A value as an expression. */
function literal(value: BtfValue): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number")
    return Number.isFinite(value)
      ? String(value)
      : `Number.${Number.isNaN(value) ? "NaN" : value > 0 ? "POSITIVE_INFINITY" : "NEGATIVE_INFINITY"}`;
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Uint8Array) return `new Uint8Array(${value.length})`;
  if (Array.isArray(value)) return `[${value.map((element: BtfValue) => literal(element)).join(", ")}]`;
  const members: string[] = [];
  // Members of unions are getters of the prototype.
  const holder = value as { readonly [name: string]: BtfValue };
  for (const name in holder) members.push(`[${JSON.stringify(name)}]: ${literal(holder[name]!)}`);
  return `{ ${members.join(", ")} }`;
}

/** Undefined for types without values. */
function codecOf(btf: Btf, id: number, int64: Int64 = "bigint"): BtfCodec | undefined {
  try {
    return compileCodec(btf, id, { int64 });
  } catch {
    return undefined;
  }
}

/** A file with one value of each of these types, none if they have no value or a large one. */
function valuesFile(module: string, btf: Btf, ids: readonly number[], int64?: Int64): { text: string; count: number } {
  const lines = [`import type * as types from "./${module}.js";`];
  for (const id of ids) {
    const name = btf.nameOf(id);
    const codec = codecOf(btf, id, int64);
    if (codec === undefined || codec.size > 2048) continue;
    const bytes = Uint8Array.from({ length: codec.size }, (_, i) => (Math.imul(i + id, 0x9e3779b1) >>> 13) & 0xff);
    const value = codec.decode(new DataView(bytes.buffer), 0);
    lines.push(`export const value${id}: types.${typescriptNames[name] ?? name} = ${literal(value)};`);
  }
  return { text: lines.join("\n"), count: lines.length - 1 };
}

/** Names of the traps. */
const typescriptNames: Readonly<Record<string, string>> = {
  number: "number_",
  class: "class_",
  Uint8Array: "Uint8Array_",
  "a-b": "a_b",
};

const kinds = new Set(["struct", "union", "enum", "enum64", "typedef"]);

/** Ids of types with a name that only they have. */
function namedTypes(btf: Btf): number[] {
  const byName = new Map<string, number[]>();
  for (let id = 1; id < btf.typeCount; id++) {
    const { kind, name } = btf.type(id);
    if (name !== "" && kinds.has(kind)) byName.set(name, [...(byName.get(name) ?? []), id]);
  }
  return [...byName.values()].flatMap((ids) => (ids.length === 1 ? ids : []));
}

/** Writes the types and their values to be checked. */
function prepare(
  module: string,
  bytes: Uint8Array,
  btf: Btf,
  ids: readonly number[],
  { types, int64 }: { types?: readonly string[]; int64?: Int64 } = {},
): { file: string; count: number } {
  project.write(
    `${module}.ts`,
    generateTypes(bytes, { source: module, ...(types && { types }), ...(int64 && { int64 }) }),
  );
  const { text, count } = valuesFile(module, btf, ids, int64);
  const file = `${module}.values.ts`;
  project.write(file, text);
  return { file, count };
}

async function check(...files: readonly { readonly file: string; readonly count: number }[]): Promise<number> {
  const errors = await project.check(
    "typescript",
    files.map(({ file }) => file),
  );
  expect(errors).toEqual([]);
  return files.reduce((sum, { count }) => sum + count, 0);
}

describe("generated types and decoded values agree", { timeout: 300_000 }, () => {
  it("for every type of every fixture", async () => {
    const files: { file: string; count: number }[] = [];
    for (const name of fixtureNames()) {
      const section = parseElf(fixtureBytes(name)).section(".BTF");
      if (section === undefined) continue;
      const btf = Btf.parse(section.data);
      const module = `fixture_${name.replaceAll(".", "_")}`;
      files.push(prepare(module, section.data, btf, namedTypes(btf)));
      files.push(prepare(`${module}_numbers`, section.data, btf, namedTypes(btf), { int64: "number" }));
    }
    expect(await check(...files)).toBeGreaterThan(100);
  });

  const vmlinux = "/sys/kernel/btf/vmlinux";
  it.skipIf(!existsSync(vmlinux))("for some hundred types of this kernel", async () => {
    const bytes = new Uint8Array(readFileSync(vmlinux));
    const btf = Btf.parse(bytes, { trusted: true });
    const composites = namedTypes(btf).filter((id) => ["struct", "union"].includes(btf.type(id).kind));
    const step = Math.ceil(composites.length / 300);
    const some = composites.filter((id, index) => index % step === 0 && codecOf(btf, id) !== undefined);
    const names = some.map((id) => btf.nameOf(id));
    expect(await check(prepare("vmlinux", bytes, btf, some, { types: names }))).toBeGreaterThan(some.length / 2);
  });

  it("for names that are traps", async () => {
    const builder = new BtfBuilder();
    const int = builder.addInt("int", 4, { signed: true });
    const u64 = builder.addInt("u64", 8, {});
    const names = [
      "__proto__",
      "constructor",
      "toString",
      "a-b",
      'x"; throw 1; "',
      "*/ throw 1 /*",
      "\n`",
      "class",
      "größe",
    ];
    const members = names.map((name, i) => ({ name, type: i % 2 === 0 ? int : u64, bitOffset: i * 64, bitSize: 0 }));
    for (const name of ["number", "class", "Uint8Array", "a-b"]) builder.addStruct(name, names.length * 8, members);
    builder.addStruct("uses", 8, [
      { name: "Array", type: builder.addTypedef("string", int), bitOffset: 0, bitSize: 0 },
    ]);
    const values = ["__proto__", "a b", "constructor"].map((name, value) => ({ name, value }));
    builder.addEnum("traps", values, { size: 4, signed: false });
    const bytes = builder.build();
    const btf = Btf.parse(bytes);
    const ids = namedTypes(btf).filter((id) => btf.nameOf(id) !== "string");
    expect(await check(prepare("traps", bytes, btf, ids))).toBe(6);
    const text = generateTypes(bytes, { source: "evil */ throw 1; /*\n throw 2" });
    expect(text.split("\n").filter((line) => /^\s*throw/.test(line))).toEqual([]);
  });
});

describe("the generator", () => {
  it("gives the same text every time, and the types that were asked for", () => {
    const bytes = fixtureBytes("globals");
    expect(generateTypes(bytes, { source: "x" })).toBe(generateTypes(fixtureBytes("globals"), { source: "x" }));
    const shape = generateTypes(bytes, { source: "x", types: ["struct shape"] });
    // With what it refers to, and nothing else.
    expect(shape.match(/^export type \w+/gm)).toEqual(["export type color", "export type shape", "export type point"]);
    expect(() => generateTypes(bytes, { source: "x", types: ["shap"] })).toThrow("the object has no type shap");
    expect(() => generateTypes(fixtureBytes("nobtf"), { source: "x" })).toThrow("no type information");
  });

  it("writes this for a small object", () => {
    expect(
      generateTypes(fixtureBytes("globals"), { source: "globals.bpf.o", types: ["shape"] }),
    ).toMatchInlineSnapshot(`
      "// Made by \`bpfkit gen types\` from globals.bpf.o. Do not edit: make it again when the object changes.
      /* eslint-disable */
      // biome-ignore-all lint: generated

      /** \`enum color\`, 4 bytes. A value may be any number: C does not check. */
      export const color = {
        COLOR_RED: 1,
        COLOR_GREEN: 2,
        COLOR_BLUE: 40,
      } as const;
      export type color = (typeof color)[keyof typeof color] | (number & {});

      /** \`struct shape\`, 48 bytes. */
      export type shape = {
        /** Offset 0, 8 bytes: \`char name[8]\` */
        readonly name: string;
        /** Offset 8, 24 bytes: \`struct point corners[3]\` */
        readonly corners: readonly point[];
        /** Offset 32, 4 bytes: \`enum color color\` */
        readonly color: color;
        /** Offset 36: \`__u32 visible : 1\` */
        readonly visible: number;
        /** Offset 36 bit 1: \`__u32 layer : 7\` */
        readonly layer: number;
        /** Offset 37: \`__s32 shift : 5\` */
        readonly shift: number;
        /** Offset 40, 8 bytes: \`__u64 raw\` */
        readonly raw: bigint;
        /** Offset 40, 4 bytes: \`__u32 low\` */
        readonly low: number;
        /** Offset 44, 4 bytes: \`__u32 high\` */
        readonly high: number;
      };

      /** \`struct point\`, 8 bytes. */
      export type point = {
        /** Offset 0, 4 bytes: \`__s32 x\` */
        readonly x: number;
        /** Offset 4, 4 bytes: \`__s32 y\` */
        readonly y: number;
      };
      "
    `);
  });
});
