// The lock file pins versions and checksums, not the place they were downloaded from, and `npm ci` accepts it.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { completed, type LockedPackages, missingOptional } from "../../scripts/complete-lock.js";

const text = readFileSync(new URL("../../package-lock.json", import.meta.url), "utf8");
const packages = (JSON.parse(text) as { packages: LockedPackages }).packages;
const installed = Object.entries(packages).filter(([path]) => path !== "");

describe("package-lock.json", () => {
  it("names no download address", () => {
    expect(installed.filter(([, locked]) => locked.resolved !== undefined).map(([path]) => path)).toEqual([]);
    // Whatever the field: the only addresses in the file are those of people asking for funding.
    const rest = JSON.stringify(packages, (key, value) => (key === "funding" ? undefined : value));
    expect(rest.match(/[a-z+]+:\/\/[^"]*/g) ?? []).toEqual([]);
  });

  it("has a version for every package, and a checksum unless it is for another platform", () => {
    expect(installed.length).toBeGreaterThan(50);
    const bare = installed.filter(
      ([, { version, integrity, optional, os }]) =>
        !version || (!integrity?.startsWith("sha512-") && !(optional === true && os !== undefined)),
    );
    expect(bare.map(([path]) => path)).toEqual([]);
  });

  it("has every optional package, or npm ci refuses it (else: npx tsx scripts/complete-lock.ts)", () => {
    expect(missingOptional(packages).map(({ name }) => name)).toEqual([]);
  });

  it("brings two packages to the user: koffi and elfy", () => {
    expect(Object.keys(packages[""]?.dependencies ?? {})).toEqual(["elfy", "koffi"]);
  });
});

describe("completing a lock file", () => {
  const tool = {
    version: "1.2.3",
    dev: true,
    license: "MIT",
    optionalDependencies: { "@tool/linux-x64-musl": "1.2.3", "@tool/here": "1.2.3" },
  };

  it("adds what a package wants and npm left out", () => {
    const lock: LockedPackages = { "": {}, "node_modules/tool": tool, "node_modules/tool/node_modules/@tool/here": {} };
    expect(missingOptional(lock).map(({ name }) => name)).toEqual(["@tool/linux-x64-musl"]);
    const whole = completed(lock);
    expect(missingOptional(whole)).toEqual([]);
    expect(whole["node_modules/@tool/linux-x64-musl"]).toEqual({
      version: "1.2.3",
      cpu: ["x64"],
      dev: true,
      libc: ["musl"],
      license: "MIT",
      optional: true,
      os: ["linux"],
    });
  });

  it("does not guess a platform", () => {
    expect(() => completed({ "node_modules/tool": tool })).toThrow(/@tool\/here@1.2.3.* names no platform/);
  });
});
