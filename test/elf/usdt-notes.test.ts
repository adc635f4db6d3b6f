// Notes of USDT probes: where they say that probes are, in each class and byte order, and what is wrong with damaged ones.

import { describe, expect, it } from "vitest";
import { type RangeSource, readUsdtProbes, type UsdtProbe } from "../../src/elf/index.js";
import { BpfkitError, ElfError } from "../../src/errors.js";
import { makeElf } from "../support/any-elf.js";
import { type NoteSpec, usdtElf, usdtPlaces } from "../support/usdt-elf.js";

const { code, codeAt, data, dataAt, size, base } = usdtPlaces;
const source = (bytes: Uint8Array): RangeSource => ({
  size: bytes.length,
  read: (offset, length) => bytes.slice(offset, offset + length),
});
const read = (...notes: NoteSpec[]): readonly UsdtProbe[] => readUsdtProbes(source(usdtElf(notes))).probes;
const plain = { provider: "p", name: "n", location: code };

describe("notes of USDT probes", () => {
  const forms = ([32, 64] as const).flatMap((bits) => [true, false].map((littleEndian) => ({ bits, littleEndian })));

  it.each(forms)("tell places, semaphores and arguments: %o", (form) => {
    const bytes = usdtElf(
      [
        { provider: "app", name: "begin", location: code + 4, args: "-4@%edi" },
        { provider: "app", name: "größe", location: code + size - 1, semaphore: data + 6 },
      ],
      form,
    );
    expect(readUsdtProbes(source(bytes))).toEqual({
      machine: 62,
      wordSize: form.bits / 8,
      fixed: false,
      probes: [
        {
          provider: "app",
          name: "begin",
          address: code + 4,
          offset: codeAt + 4,
          semaphore: undefined,
          args: "-4@%edi",
        },
        {
          provider: "app",
          name: "größe",
          address: code + size - 1,
          offset: codeAt + size - 1,
          semaphore: dataAt + 6,
          args: "",
        },
      ],
    });
  });

  it("follow what a prelinker moved", () => {
    expect(read({ ...plain, location: code + 0x20, base: base - 0x10 })[0]).toMatchObject({
      address: code + 0x30,
      offset: codeAt + 0x30,
    });
    // A file that says 0 was not moved.
    expect(read({ ...plain, location: code + 0x20, base: 0 })[0]?.offset).toBe(codeAt + 0x20);
  });

  it("need not be there", () => {
    expect(readUsdtProbes(source(makeElf({ ".text": new Uint8Array(8) }, {}))).probes).toEqual([]);
    expect(read()).toEqual([]);
  });

  it.each<[string, NoteSpec, string]>([
    ["of another tool", { ...plain, owner: "GNU\0\0\0\0" }, "none of a USDT probe"],
    ["of another type", { ...plain, type: 4 }, "none of a USDT probe"],
    ["without a provider", { ...plain, provider: "" }, "without a name"],
    ["without a name", { ...plain, name: "" }, "without a name"],
    ["in data", { ...plain, location: data }, "in no executable segment"],
    ["behind the code", { ...plain, location: code + size }, "in no executable segment"],
    ["with a semaphore in code", { ...plain, semaphore: code }, "semaphore of the probe p:n is in no segment of data"],
  ])("%s are refused", (_, note, reason) => {
    expect(() => read(note)).toThrow(ElfError);
    expect(() => read(note)).toThrow(reason);
  });

  it("that are damaged are errors of ours, and places stay in the file", () => {
    const notes = [plain, { ...plain, semaphore: data, args: "8@%rax" }];
    for (const form of forms) {
      const bytes = usdtElf(notes, form);
      for (let at = 0; at < bytes.length; at++) {
        for (const value of [0, 0x7f, 0xff]) {
          const damaged = bytes.slice();
          damaged[at] = value;
          try {
            for (const { offset, semaphore = 0 } of readUsdtProbes(source(damaged)).probes) {
              expect(offset, `${at} = ${value}`).toBeLessThan(bytes.length);
              expect(semaphore, `${at} = ${value}`).toBeLessThan(bytes.length);
            }
          } catch (error) {
            expect(BpfkitError.isBpfkitError(error), `${at} = ${value}: ${error}`).toBe(true);
          }
        }
      }
    }
  });

  it("that end early are errors of ours", () => {
    const bytes = usdtElf([plain]);
    const view = new DataView(bytes.buffer);
    const sizeAt = Number(view.getBigUint64(40, true)) + 64 + 32;
    const whole = Number(view.getBigUint64(sizeAt, true));
    for (let less = 1; less < whole; less++) {
      view.setBigUint64(sizeAt, BigInt(whole - less), true);
      // Padding may be missing.
      if (less < 4) expect(readUsdtProbes(source(bytes)).probes).toHaveLength(1);
      else expect(() => readUsdtProbes(source(bytes)), `${whole - less} bytes`).toThrow(ElfError);
    }
  });
});
