import { describe, expect, it } from "vitest";
import { RecordList } from "../../src/btf/record-list.js";

const format = {
  width: 2,
  read: (words: Uint32Array, at: number) => ({ insnOffset: words[at]!, tag: words[at + 1]! }),
};
const list = (...words: number[]) => new RecordList(Uint32Array.from(words), format);

describe("a list of records", () => {
  it("gives records as objects, one at a time", () => {
    const records = list(0, 10, 8, 11);
    expect(records.length).toBe(2);
    expect([...records]).toEqual([
      { insnOffset: 0, tag: 10 },
      { insnOffset: 8, tag: 11 },
    ]);
    expect([records.at(-1), records.at(1)?.tag, records.at(2)]).toEqual([undefined, 11, undefined]);
    expect([...list()]).toEqual([]);
  });

  it("finds the last record at or before an offset", () => {
    const records = list(8, 1, 16, 2, 16, 3, 40, 4);
    const tags = [0, 8, 15, 16, 39, 40, 0xffff_ffff].map((offset) => records.lastUpTo(offset)?.tag);
    expect(tags).toEqual([undefined, 1, 1, 3, 3, 4, 4]);
    expect(list().lastUpTo(8)).toBeUndefined();
  });

  it("cuts a part out with its offsets counted anew, and leaves the rest as it is", () => {
    const records = list(0, 1, 8, 2, 16, 3);
    expect([...records.slice(1, 3, 8).words]).toEqual([0, 2, 8, 3]);
    expect([...records.words]).toEqual([0, 1, 8, 2, 16, 3]);
  });

  it("sorts by offset and keeps the order of equal ones; what is sorted stays the same list", () => {
    expect([...list(16, 1, 0, 2, 16, 3, 0xffff_fff8, 4, 0, 5).sorted().words]).toEqual([
      ...[0, 2, 0, 5],
      ...[16, 1, 16, 3],
      ...[0xffff_fff8, 4],
    ]);
    const sorted = list(0, 1, 0, 2, 8, 3);
    expect(sorted.sorted()).toBe(sorted);
  });

  it("joins lists", () => {
    const first = list(0, 1);
    expect(first.concat([])).toBe(first);
    expect([...first.concat([list(8, 2), list(), list(4, 3)]).words]).toEqual([0, 1, 8, 2, 4, 3]);
  });
});
