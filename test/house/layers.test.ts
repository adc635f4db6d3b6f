// The house stands: no import of src breaks a rule of scripts/check-layers.ts. And the checker sees when one does.
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { checkLayers, readSources, rooms } from "../../scripts/check-layers.js";

/** A small house that breaks no rule; samples below replace one of its files. */
const sound: Readonly<Record<string, string>> = {
  "errors.ts": "export class BpfkitError extends Error {}",
  "log.ts": "export const log = 1;",
  "elf/index.ts": 'export { parse } from "./parse.js";',
  "elf/parse.ts":
    'import { Elf } from "elfy"; import { BpfkitError } from "../errors.js"; export const parse = [Elf, BpfkitError];',
  "syscall/index.ts":
    'import type * as Koffi from "koffi"; export const load = (): Promise<typeof Koffi> => import("koffi");',
  "btf/index.ts": 'import { parse } from "../elf/index.js"; export const btf = parse;',
  "insn/index.ts": 'import { parse } from "../elf/index.js"; export const insn = parse;',
  "object/index.ts": 'import { btf } from "../btf/index.js"; export const object = btf;',
  "map/index.ts":
    'import { load } from "../syscall/index.js"; import { object } from "../object/index.js"; export { load, object };',
  "index.ts": 'export * from "./map/index.js";',
};

/** Messages about the sound house with some files replaced or added. */
function judge(changes: Readonly<Record<string, string>>): string[] {
  const sources = new Map(Object.entries({ ...sound, ...changes }));
  return checkLayers(sources).map(({ file, line, message }) => `${file}:${line}: ${message}`);
}

describe("the layers of src", () => {
  it("hold", () => {
    const sources = readSources(fileURLToPath(new URL("../../src", import.meta.url)));
    expect(sources.size).toBeGreaterThan(20);
    expect(checkLayers(sources).map(({ file, line, message }) => `${file}:${line}: ${message}`)).toEqual([]);
  });

  it("have one room for every name", () => {
    expect(new Set(rooms.map((room) => room.name)).size).toBe(rooms.length);
  });
});

describe("the checker", () => {
  it("accepts a sound house", () => {
    expect(judge({})).toEqual([]);
  });

  it.each([
    [
      "an arrow up",
      { "insn/index.ts": '\nimport { object } from "../object/index.js";' },
      "insn/index.ts:2: insn (floor 3) imports object (floor 4): arrows point down",
    ],
    [
      "a neighbour on the same floor",
      { "insn/index.ts": 'import "../btf/index.js";' },
      "insn/index.ts:1: insn (floor 3) imports btf (floor 3): arrows point down",
    ],
    [
      "a type-only arrow up",
      { "insn/index.ts": 'import type { object } from "../object/index.js";' },
      "arrows point down",
    ],
    [
      "an arrow up by import()",
      { "insn/index.ts": 'export const up = () => import("../object/index.js");' },
      "arrows point down",
    ],
    [
      "an arrow up in a type",
      { "insn/index.ts": 'export type Up = import("../object/index.js").object;' },
      "arrows point down",
    ],
    ["an arrow up by export", { "insn/index.ts": 'export * from "../object/index.js";' }, "arrows point down"],
    [
      "a side door",
      { "btf/index.ts": 'import { parse } from "../elf/parse.js";' },
      "other rooms are entered through elf/index.js",
    ],
    ["a room without a floor", { "attic/index.ts": "" }, "attic/index.ts:1: src/attic is in no room of the house"],
    [
      "an import of a room without a floor",
      { "map/index.ts": 'import "../attic/index.js";' },
      "is in no room of the house",
    ],
    ["an import without .js", { "map/index.ts": 'import "../object/index";' }, "relative imports end in .js"],
    ["an import from outside src", { "map/index.ts": 'import "../../test/support.js";' }, "leads out of src"],
    [
      "koffi outside syscall",
      { "map/index.ts": 'const koffi = await import("koffi");' },
      "only src/syscall imports koffi",
    ],
    [
      "koffi by require",
      {
        "map/index.ts":
          'import { createRequire } from "node:module"; const nodeRequire = createRequire(import.meta.url); nodeRequire("koffi");',
      },
      "only src/syscall imports koffi",
    ],
    [
      "koffi at import time",
      { "syscall/index.ts": 'import koffi from "koffi"; export const load = koffi;' },
      "koffi is loaded at the first system call",
    ],
    ["elfy outside elf", { "object/index.ts": 'import "elfy";' }, "only src/elf imports elfy"],
    ["a third dependency", { "map/index.ts": 'import "@scope/left-pad/lib";' }, "not on @scope/left-pad"],
    [
      "node: in the core",
      { "object/index.ts": 'import { readFileSync } from "node:fs";' },
      "the core is pure, it cannot import node:fs",
    ],
    [
      "a builtin without its prefix in the core",
      { "object/index.ts": 'import fs from "fs";' },
      "the core is pure, it cannot import fs",
    ],
    [
      "the kernel side in the core",
      { "object/index.ts": 'import "../syscall/index.js";' },
      "the core is pure, it cannot import syscall",
    ],
    [
      "Buffer in the core",
      { "btf/index.ts": "\n\nexport const copy = (b: Uint8Array) => Buffer.from(b);" },
      "btf/index.ts:3: the core is pure, it cannot use Buffer",
    ],
    ["process in the core", { "object/index.ts": "if (process.env.DEBUG) throw 1;" }, "cannot use process"],
    ["Buffer as a type in the core", { "btf/index.ts": "export let copy: Buffer;" }, "cannot use Buffer"],
    ["a syntax error", { "map/index.ts": "import {" }, "does not parse"],
  ])("refuses %s", (_what, changes, expected) => {
    const messages = judge(changes as Record<string, string>);
    expect(messages).toHaveLength(1);
    expect(messages[0]).toContain(expected);
  });

  it("refuses a circle inside a room, and tells its path once", () => {
    const messages = judge({
      "btf/index.ts": 'import { a } from "./a.js"; export { a };',
      "btf/a.ts": 'import { b } from "./b.js"; export const a = () => b;',
      "btf/b.ts": 'import { a } from "./a.js"; export const b = () => a;',
    });
    expect(messages).toEqual(["btf/a.ts:1: circle of imports: btf/a.ts → btf/b.ts → btf/a.ts"]);
  });

  it("does not mistake members, comments and strings for the globals of Node.js", () => {
    const text =
      "// Buffer, process\nexport const x = { process: 1, text: \"require('koffi')\" }; export const y = x.process;";
    expect(judge({ "object/index.ts": text })).toEqual([]);
  });

  it("lets the kernel side use Node.js", () => {
    expect(
      judge({
        "map/index.ts": 'import { openSync } from "node:fs"; export const x = [openSync, process.pid, Buffer];',
      }),
    ).toEqual([]);
  });
});
