import { describe, expect, it } from "vitest";
import { parseCpuList } from "../../src/kernel/cpus.js";

describe("parseCpuList", () => {
  it.each([
    ["0\n", [0]],
    ["0-3", [0, 1, 2, 3]],
    ["0-1,4,6-7\n", [0, 1, 4, 6, 7]],
  ])("reads %j", (text, cpus) => {
    expect(parseCpuList(text)).toEqual(cpus);
  });

  it.each(["", "a", "3-1", "0-", "0-99999999", "1,,2"])("refuses %j", (text) => {
    expect(parseCpuList(text)).toBeUndefined();
  });
});
