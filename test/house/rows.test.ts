// The fixtures hold something for everything that objects may contain, and tests load it: rows.ts, kept true.

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Btf, parseBtfExt } from "../../src/btf/index.js";
import { CoreRelocationKind } from "../../src/core-reloc/index.js";
import { parseElf } from "../../src/elf/index.js";
import { MapType, openObject } from "../../src/object/index.js";
import { fixtureBytes, fixtureNames } from "../support/fixtures.js";
import { mapTypeRows, rows } from "./rows.js";

const testPath = (test: string): URL => new URL(`../${test}.test.ts`, import.meta.url);

/** Fixtures that a test names. */
function fixturesOf(test: string): Set<string> {
  expect(existsSync(testPath(test)), test).toBe(true);
  const text = readFileSync(testPath(test), "utf8");
  return new Set(fixtureNames().filter((name) => text.includes(`"${name}"`) || text.includes(`/${name}.bpf.o`)));
}

describe("rows of the table", () => {
  it.each(Object.entries(mapTypeRows))("map type %s is in a fixture, and a test uses it", (type, row) => {
    const [fixture, name, test] = row;
    const { maps } = openObject(fixtureBytes(fixture), { name: fixture });
    expect(maps.find((map) => map.name === name)?.type).toBe(MapType[type as keyof typeof MapType]);
    expect(fixturesOf(test)).toContain(fixture);
  });

  it("are all types of map there are", () => {
    expect(Object.keys(mapTypeRows)).toEqual(Object.keys(MapType).filter((name) => name !== "unspec"));
  });

  it.each(rows)("$what", ({ fixtures, tests }) => {
    const named = tests.map(fixturesOf);
    for (const [fixture, names] of Object.entries(fixtures)) {
      const symbols = parseElf(fixtureBytes(fixture)).symbols.map((symbol) => symbol.name);
      expect(symbols, fixture).toEqual(expect.arrayContaining([...names]));
      expect(
        named.some((set) => set.has(fixture)),
        `a test of ${tests.join(", ")} loads ${fixture}`,
      ).toBe(true);
    }
  });

  it("core has every kind of relocation", () => {
    const elf = parseElf(fixtureBytes("core"));
    const section = (name: string): Uint8Array => elf.section(name)!.data;
    const btf = Btf.parse(section(".BTF"));
    const kinds = parseBtfExt(section(".BTF.ext"), btf).coreRelocations.flatMap(({ records }) =>
      [...records].map(({ kind }) => kind),
    );
    expect([...new Set(kinds)].sort((a, b) => a - b)).toEqual(Object.values(CoreRelocationKind));
  });
});
