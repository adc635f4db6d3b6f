import { describe, expect, it } from "vitest";
import { addLocation, BpfkitError, ElfError, errorCodes, NotFoundError, withLocation } from "../src/errors.js";
import { log, setLogger } from "../src/log.js";
import { nearNames } from "../src/near-names.js";

describe("BpfkitError", () => {
  it("composes its message from place, reason and hint", () => {
    const error = new ElfError("ELF_TRUNCATED", "the file ends early", {
      file: "a.bpf.o",
      section: ".maps",
      offset: 64,
      hint: "copy it again",
    });
    expect(error.message).toBe("a.bpf.o, section .maps, offset 0x40: the file ends early (copy it again)");
    expect(error.name).toBe("ElfError");
    expect(error.code).toBe("ELF_TRUNCATED");
  });

  it("is told apart by its brand, across copies of the package", () => {
    const foreign = Object.assign(new Error("x"), { [Symbol.for("bpfkit.error")]: true });
    expect(BpfkitError.isBpfkitError(foreign)).toBe(true);
    expect(BpfkitError.isBpfkitError(new Error("x"))).toBe(false);
    expect(BpfkitError.isBpfkitError(null)).toBe(false);
  });

  it("learns on the way up where it happened, inner knowledge first", () => {
    const inner = (): never => {
      throw new ElfError("ELF_INVALID", "broken", { section: ".BTF", offset: 8 });
    };
    expect(() => withLocation({ file: "a.o", section: "outer" }, inner)).toThrow(
      "a.o, section .BTF, offset 0x8: broken",
    );
    const other = new TypeError("not ours");
    expect(addLocation(other, { file: "a.o" })).toBe(other);
    expect(other.message).toBe("not ours");
  });

  it("has an explanation for every code", () => {
    for (const text of Object.values(errorCodes)) expect(text.length).toBeGreaterThan(10);
  });
});

describe("nearNames", () => {
  it("suggests near names, else lists what there is", () => {
    expect(nearNames("totl", ["total", "other"])).toBe("; did you mean total?");
    expect(nearNames("xyzzy", ["total", "other"])).toBe("; there are: total, other");
    expect(nearNames("x", [])).toBe("; there are none");
    const many = Array.from({ length: 20 }, (_, i) => `name_number_${i}`);
    expect(nearNames("q", many)).toContain("… (20 in all)");
    expect(new NotFoundError(`no map totl${nearNames("totl", ["total"])}`).message).toBe(
      "no map totl; did you mean total?",
    );
  });
});

describe("setLogger", () => {
  it("replaces the logger, returns the old one, and survives a broken one", () => {
    const lines: string[] = [];
    const previous = setLogger((level, message) => lines.push(`${level} ${message}`));
    try {
      log.warn("a");
      log.info("b");
      log.debug(() => "c");
      expect(lines).toEqual(["warn a", "info b", "debug c"]);
      setLogger(() => {
        throw new Error("broken");
      });
      expect(() => log.warn("d")).not.toThrow();
      expect(setLogger(null)).toBeTypeOf("function");
      expect(() => log.warn("e")).not.toThrow();
    } finally {
      setLogger(previous);
    }
  });
});
