// Damaged objects: a hundred thousand mutations of the fixtures are opened, read and relocated (never loaded: a mutated
// program belongs into a virtual machine). Whatever comes, it is an error of bpfkit's own, soon.

import { describe, expect, it } from "vitest";
import { Btf } from "../../src/btf/index.js";
import { BpfkitError, BpfObject, setLogger } from "../../src/index.js";
import { ProgramRelocator } from "../../src/loader/relocate.js";
import { openObject } from "../../src/object/index.js";
import { fixtureBytes, fixtureNames } from "../support/fixtures.js";
import { random } from "../support/random.js";

const MUTATIONS = 100_000;
/** No single object may take longer, in milliseconds; generous, because the machine may be busy. */
const SLOWEST = 20_000;

/** The types that CO-RE is applied against: those of the fixture itself, which match everything and nothing by turns. */
const target = openObject(fixtureBytes("core"), { name: "target" }).btf!;

/** Everything that happens to an object before the kernel sees it. */
function openAndRelocate(bytes: Uint8Array): void {
  const obj = BpfObject.open(bytes, { name: "damaged" });
  for (const map of obj.maps) {
    // As a user would: print what there is.
    void [map.type, map.keySize, map.valueSize, map.maxEntries, map.flags, map.data?.variables];
    if (map.data !== undefined)
      for (const name of Object.keys(map.data.variables)) attempt(() => map.data!.variables[name]);
  }
  const relocator = new ProgramRelocator(obj.btf, { kernel: target });
  for (const program of obj.programs) attempt(() => relocator.relocate(program.spec));
}

/** One broken program or variable must not keep the others from being tried. */
function attempt(body: () => unknown): void {
  try {
    body();
  } catch (error) {
    if (!BpfkitError.isBpfkitError(error)) throw error;
  }
}

/** Changes one to eight places: single bytes, or words that look like sizes, offsets and indices. */
function mutate(original: Uint8Array, next: (below: number) => number): Uint8Array {
  const bytes = original.slice();
  const view = new DataView(bytes.buffer);
  const words = [0, 1, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, bytes.length, bytes.length - 1];
  for (let changes = 1 + next(8); changes > 0; changes--) {
    // Half of the changes hit the headers and tables, which are a small part of the file.
    const at = next(2) === 0 ? next(bytes.length) : next(64) + (next(2) === 0 ? 0 : bytes.length - 1024);
    const place = Math.min(Math.max(at, 0), bytes.length - 4);
    if (next(3) === 0) view.setUint32(place & ~3, words[next(words.length)]!, true);
    else bytes[place] = next(256);
  }
  return next(50) === 0 ? bytes.subarray(0, next(bytes.length)) : bytes;
}

describe("a damaged object", () => {
  it(`gives bpfkit's own errors, in ${MUTATIONS} mutations`, { timeout: 600_000 }, () => {
    const previous = setLogger(null);
    try {
      const objects = fixtureNames().map((name) => ({ name, bytes: fixtureBytes(name) }));
      const next = random(20261122);
      const outcomes = { accepted: 0, refused: 0 };
      let slowest = 0;
      for (let i = 0; i < MUTATIONS; i++) {
        const { name, bytes } = objects[i % objects.length]!;
        const mutated = mutate(bytes, next);
        const start = performance.now();
        try {
          openAndRelocate(mutated);
          outcomes.accepted++;
        } catch (error) {
          if (!BpfkitError.isBpfkitError(error)) throw new Error(`mutation ${i} of ${name}`, { cause: error });
          expect(error.location.file).toBe("damaged");
          outcomes.refused++;
        }
        slowest = Math.max(slowest, performance.now() - start);
      }
      // Both must happen, or the mutations miss their aim.
      expect(outcomes.accepted).toBeGreaterThan(MUTATIONS / 20);
      expect(outcomes.refused).toBeGreaterThan(MUTATIONS / 20);
      expect(slowest).toBeLessThan(SLOWEST);
    } finally {
      setLogger(previous);
    }
  });

  it("gives bpfkit's own errors wherever it is cut off", () => {
    const bytes = fixtureBytes("minimal");
    for (let length = 0; length < bytes.length; length++) {
      try {
        openAndRelocate(bytes.subarray(0, length));
        expect.fail(`${length} bytes of ${bytes.length} were accepted`);
      } catch (error) {
        expect(BpfkitError.isBpfkitError(error), `${length} bytes: ${error}`).toBe(true);
      }
    }
  });
});

describe("what is no BPF object", () => {
  const minimal = fixtureBytes("minimal");
  const changed = (offset: number, ...values: number[]): Uint8Array => {
    const bytes = minimal.slice();
    bytes.set(values, offset);
    return bytes;
  };

  it.each([
    ["nothing", new Uint8Array(0), /empty|too short|ends/i],
    [
      "a text",
      new TextEncoder().encode("#!/bin/sh\necho this is a shell script, not an object\n".repeat(4)),
      /not an ELF/i,
    ],
    ["a 32-bit ELF", changed(4, 1), /32-bit/],
    ["an x86-64 object", changed(18, 62, 0), /x86-64/],
    ["an executable", changed(16, 2, 0), /executable/],
    ["an ELF of no byte order", changed(5, 7), /byte order|encoding/i],
    ["sections beyond the end", changed(40, 0xff, 0xff, 0xff, 0x7f), /end|beyond|outside/i],
  ])("%s is refused with file, place and reason", (_, bytes, reason) => {
    try {
      BpfObject.open(bytes, { name: "input" });
      expect.fail("accepted");
    } catch (error) {
      expect(BpfkitError.isBpfkitError(error), String(error)).toBe(true);
      const { message, location, code } = error as BpfkitError;
      expect(message).toMatch(reason);
      expect(message).toMatch(/^input/);
      expect(location.file).toBe("input");
      expect(code).toMatch(/^ELF_/);
    }
  });

  it("a map without a type, and types without BTF, name the map and section", () => {
    expect(() => BpfObject.open(fixtureBytes("minimal.nobtf"), { name: "x" })).toThrow(
      /^x, section \.maps: .*type information/,
    );
  });

  it("BTF alone", () => {
    expect(() => BpfObject.open(target.bytes, { name: "x" })).toThrow(/^x.*not an ELF/i);
    expect(() => Btf.parse(fixtureBytes("minimal"))).toThrow(/section \.BTF/);
  });
});
