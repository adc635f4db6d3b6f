// Functions of executables: names, versions, bindings and file offsets; members of archives.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BinaryFunctions, type RangeSource, zipMember } from "../../src/elf/index.js";
import { ArgumentError, BpfkitError, ElfError, NotFoundError, UnsupportedError } from "../../src/errors.js";
import { type SymbolSpec, userElf } from "../support/user-elf.js";
import { zipArchive } from "../support/zip.js";

const source = (bytes: Uint8Array): RangeSource => ({
  size: bytes.length,
  read: (offset, length) => bytes.slice(offset, offset + length),
});

const functions = (symbols: readonly SymbolSpec[], form?: Parameters<typeof userElf>[1]): BinaryFunctions =>
  new BinaryFunctions(source(userElf(symbols, form)));

describe("functions of a binary", () => {
  const forms = [32, 64].flatMap((bits) =>
    [true, false].map((littleEndian) => ({ bits: bits as 32 | 64, littleEndian })),
  );

  it.each(forms)("lie where the segments put them: %o", (form) => {
    const found = functions(
      [
        { name: "first", value: 0x1010 },
        { name: "second", value: 0x1100 },
      ],
      form,
    );
    // The only segment maps file offset 0x200 to 0x1000.
    expect(found.find(["second", "first", "third"])).toEqual([0x300, 0x210, undefined]);
  });

  it("are defined functions, not data, and not what is elsewhere", () => {
    const found = functions([
      { name: "data", value: 0x1010, type: 1 },
      { name: "imported", value: 0x1010, section: 0 },
      { name: "outside", value: 0x9000 },
      { name: "real", value: 0x1020 },
    ]);
    expect(found.find(["data", "imported", "outside", "real"])).toEqual([undefined, undefined, undefined, 0x220]);
    expect([...found.all()].map(({ name }) => name)).toEqual(["real"]);
  });

  it("of the same name: the same place is fine, the stronger binding counts, equals are refused", () => {
    expect(
      functions([
        { name: "f", value: 0x1010 },
        { name: "f", value: 0x1010 },
      ]).find(["f"]),
    ).toEqual([0x210]);
    const mixed = [
      { name: "f", value: 0x1010, binding: 0 },
      { name: "f", value: 0x1030, binding: 1 },
      { name: "f", value: 0x1020, binding: 2 },
    ];
    expect(functions(mixed).find(["f"])).toEqual([0x230]);
    const equal = functions([
      { name: "f", value: 0x1010 },
      { name: "f", value: 0x1020 },
    ]);
    expect(() => equal.find(["f"])).toThrow(ArgumentError);
    expect(() => equal.find(["f"])).toThrow("f at 0x210 and f at 0x220");
  });

  it("have versions in their names", () => {
    const found = functions([
      { name: "wait@OLD_1", value: 0x1010 },
      { name: "wait@@NEW_2", value: 0x1020 },
    ]);
    expect(found.find(["wait@OLD_1", "wait@@NEW_2", "wait@NEW_2", "wait@@OLD_1"])).toEqual([
      0x210,
      0x220,
      0x220,
      undefined,
    ]);
    expect(() => found.find(["wait"])).toThrow("wait@OLD_1 at 0x210 and wait@@NEW_2 at 0x220");
  });

  it("are found by patterns, one for each place; names may be anything", () => {
    const found = functions([
      { name: "_ZN3foo3barEv", value: 0x1010 },
      { name: "_ZN3foo3bazEv", value: 0x1020 },
      { name: "alias_of_bar", value: 0x1010 },
      { name: "größe", value: 0x1030 },
    ]);
    expect(found.matching("_ZN3foo*").map(({ offset }) => offset)).toEqual([0x210, 0x220]);
    expect(found.matching("*").length).toBe(3);
    expect(found.matching("gr??e").map(({ name }) => name)).toEqual(["größe"]);
    expect(found.find(["größe", "_ZN3foo3bazEv"])).toEqual([0x230, 0x220]);
  });

  it("of node and of the C library are those that nm lists", () => {
    const libc = /\S*\/libc\.so\.6$/m.exec(readFileSync("/proc/self/maps", "latin1"))?.[0];
    if (libc === undefined) return;
    const found = new BinaryFunctions(source(new Uint8Array(readFileSync(libc))));
    const names = new Set([...found.all()].map(({ name }) => name));
    expect(names.has("getppid@@GLIBC_2.2.5") || names.has("getppid@@GLIBC_2.17")).toBe(true);
    expect(found.find(["getppid"])[0]).toBe(found.matching("getppid")[0]?.offset);
  });

  it("of damaged files are errors of ours", () => {
    const bytes = userElf([
      { name: "first", value: 0x1010 },
      { name: "wait@@NEW_2", value: 0x1020 },
    ]);
    for (let at = 0; at < bytes.length; at++) {
      for (const value of [0, 0x7f, 0xff]) {
        const damaged = bytes.slice();
        damaged[at] = value;
        try {
          const found = new BinaryFunctions(source(damaged));
          found.find(["first", "wait"]);
          found.matching("*");
        } catch (error) {
          expect(BpfkitError.isBpfkitError(error), `${at} = ${value}: ${error}`).toBe(true);
        }
      }
    }
    expect(() => new BinaryFunctions(source(new Uint8Array(100)))).toThrow(ElfError);
  });
});

/** An archive with one member, `lib/a.so`. */
function archive(contents: Uint8Array, { method = 0, comment = "" } = {}): Uint8Array {
  return zipArchive([{ name: "lib/a.so", contents, method }], comment);
}

describe("members of archives", () => {
  it("are found where they are stored", () => {
    const elf = userElf([{ name: "f", value: 0x1010 }]);
    for (const comment of ["", "a comment"]) {
      const file = source(archive(elf, { comment }));
      const { offset, size } = zipMember(file, "lib/a.so");
      expect([offset, size]).toEqual([38, elf.length]);
      const inner = new BinaryFunctions({ size, read: (at, length) => file.read(offset + at, length) });
      expect(inner.find(["f"])).toEqual([0x210]);
    }
  });

  it("are refused when they are missing or compressed, or when there is no archive", () => {
    const contents = new Uint8Array(10);
    expect(() => zipMember(source(archive(contents)), "lib/b.so")).toThrow(NotFoundError);
    expect(() => zipMember(source(archive(contents)), "lib/b.so")).toThrow("lib/a.so");
    expect(() => zipMember(source(archive(contents, { method: 8 })), "lib/a.so")).toThrow(UnsupportedError);
    expect(() => zipMember(source(contents), "lib/a.so")).toThrow(ElfError);
    const whole = archive(contents);
    for (let at = 0; at < whole.length; at++) {
      const damaged = whole.slice();
      damaged[at] = 0xff;
      try {
        zipMember(source(damaged), "lib/a.so");
      } catch (error) {
        expect(BpfkitError.isBpfkitError(error), `${at}: ${error}`).toBe(true);
      }
    }
  });
});
