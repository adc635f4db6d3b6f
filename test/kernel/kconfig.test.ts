// The text of kernel configurations.

import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors.js";
import { findKconfig, parseKconfig } from "../../src/kernel/kconfig.js";

const text = `#
# Automatically generated file; DO NOT EDIT.
#
CONFIG_CC_VERSION_TEXT="gcc (GCC) 15.3.0 = best"
CONFIG_HZ_250=y
CONFIG_HZ=250
# CONFIG_MODULES is not set
CONFIG_HZ=300
  CONFIG_INDENTED=y
CONFIG_BROKEN
CONFIG_LAST=0x10`;

describe("findKconfig", () => {
  it("gives the wanted values, the first of several, and nothing else", () => {
    const wanted = new Set(["CONFIG_HZ", "CONFIG_CC_VERSION_TEXT", "CONFIG_MODULES", "CONFIG_INDENTED", "CONFIG_LAST"]);
    expect([...findKconfig(text, wanted)]).toEqual([
      ["CONFIG_CC_VERSION_TEXT", '"gcc (GCC) 15.3.0 = best"'],
      ["CONFIG_HZ", "250"],
      ["CONFIG_LAST", "0x10"],
    ]);
    expect(findKconfig(text, new Set(["CONFIG_BROKEN", "CONFIG_H"])).size).toBe(0);
    expect(findKconfig("", wanted).size).toBe(0);
    expect(findKconfig("CONFIG_LAST=", wanted).get("CONFIG_LAST")).toBe("");
  });
});

describe("parseKconfig", () => {
  it("takes lines, comments and blanks", () => {
    expect([...parseKconfig('\n# no\n CONFIG_A=y\r\nCONFIG_B="x # y"\nCONFIG_A=n\n\n')]).toEqual([
      ["CONFIG_A", "y"],
      ["CONFIG_B", '"x # y"'],
    ]);
    expect(parseKconfig("").size).toBe(0);
  });

  it.each(["CONFIG_A", "CONFIG_A=", "HZ=3", "CONFIG_=1", "LINUX_KERNEL_VERSION=1", "CONFIG_A B=1"])(
    "refuses %s",
    (line) => {
      expect(() => parseKconfig(`CONFIG_HZ=1\n${line}`)).toThrow(ArgumentError);
      expect(() => parseKconfig(`CONFIG_HZ=1\n${line}`)).toThrow(
        /line 2 of the option kconfig is not CONFIG_NAME=value/,
      );
    },
  );
});
