// The lock file pins versions and checksums, not the place they were downloaded from.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly resolved?: string;
}

const text = readFileSync(new URL("../../package-lock.json", import.meta.url), "utf8");
const packages: Record<string, LockedPackage> = JSON.parse(text).packages;
const installed = Object.entries(packages).filter(([path]) => path !== "");

describe("package-lock.json", () => {
  it("names no download address", () => {
    expect(installed.filter(([, locked]) => locked.resolved !== undefined).map(([path]) => path)).toEqual([]);
    // Whatever the field: the only addresses in the file are those of people asking for funding.
    const rest = JSON.stringify(packages, (key, value) => (key === "funding" ? undefined : value));
    expect(rest.match(/[a-z+]+:\/\/[^"]*/g) ?? []).toEqual([]);
  });

  it("has a version and a checksum for every package", () => {
    expect(installed.length).toBeGreaterThan(50);
    const bare = installed.filter(([, { version, integrity }]) => !version || !integrity?.startsWith("sha512-"));
    expect(bare.map(([path]) => path)).toEqual([]);
  });

  it("brings two packages to the user: koffi and elfy", () => {
    expect(Object.keys(JSON.parse(text).packages[""].dependencies)).toEqual(["elfy", "koffi"]);
  });
});
