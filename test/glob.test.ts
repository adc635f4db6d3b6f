import { describe, expect, it } from "vitest";
import { isGlob, matchesGlob } from "../src/glob.js";

describe("matchesGlob", () => {
  it.each([
    ["", "", true],
    ["a", "", false],
    ["", "*", true],
    ["vfs_read", "vfs_read", true],
    ["vfs_read", "vfs_*", true],
    ["vfs_read", "*read", true],
    ["vfs_read", "v*_*d", true],
    ["vfs_read", "vfs_????", true],
    ["vfs_read", "vfs_???", false],
    ["vfs_read", "?fs*x*", false],
    ["aXbXc", "a*X*c", true],
    ["ab", "a*b*c", false],
    ["[a]", "[a]", true],
    ["a", "[a]", false],
    ["mississippi", "m*iss*p?", true],
  ])("%j %j: %j", (text, pattern, expected) => {
    expect(matchesGlob(text, pattern)).toBe(expected);
  });

  it("takes no exponential time", () => {
    expect(matchesGlob("a".repeat(2000), "*a".repeat(200))).toBe(true);
    expect(matchesGlob("a".repeat(2000), `${"*a".repeat(200)}b`)).toBe(false);
  });

  it("tells patterns from names", () => {
    expect(["vfs_read", "a*", "a?"].map(isGlob)).toEqual([false, true, true]);
  });
});
