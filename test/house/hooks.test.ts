// The table of hooks is whole, and the tests that it names exist: hooks.ts, kept true.

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { sectionDefinitions } from "../../src/object/index.js";
import { hookRows, unattachedRows } from "./hooks.js";

const rows = [...hookRows, ...unattachedRows];
const named = rows.flatMap(({ tests }) =>
  Object.entries(tests).flatMap(([test, names]) => names.map((name) => [test, name] as const)),
);

describe("the table of hooks", () => {
  it("has each entry of the SEC() table in one row", () => {
    const counts = new Map(sectionDefinitions.map(({ pattern }) => [pattern, 0]));
    for (const section of rows.flatMap(({ sections }) => sections)) counts.set(section, (counts.get(section) ?? 0) + 1);
    expect([...counts].filter(([, count]) => count !== 1)).toEqual([]);
    expect(counts.size).toBe(116);
  });

  it("has programs that attach by their section's name among the hooks", () => {
    const attached = new Set(hookRows.flatMap(({ sections }) => sections));
    const own = sectionDefinitions.filter(({ autoAttach }) => autoAttach !== null).map(({ pattern }) => pattern);
    expect(own.filter((pattern) => !attached.has(pattern))).toEqual([]);
  });

  it("has each hook once", () => {
    expect(new Set(rows.map(({ hook }) => hook)).size).toBe(rows.length);
  });

  // A renamed test would silently empty its row: each part of its name has to stand in the file as a text.
  it.each(named)("%s: %s", (test, name) => {
    const path = new URL(`../${test}.test.ts`, import.meta.url);
    expect(existsSync(path), test).toBe(true);
    const text = readFileSync(path, "utf8");
    for (const part of name.split(" > ")) {
      expect(
        ['"', "'", "`"].some((quote) => text.includes(`${quote}${part}${quote}`)),
        part,
      ).toBe(true);
    }
  });
});
