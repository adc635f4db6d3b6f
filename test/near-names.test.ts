import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { didYouMean, nearNames } from "../src/near-names.js";

/** Levenshtein distance by the definition. */
function distance(a: string, b: string): number {
  if (a === "" || b === "") return a.length + b.length;
  const rest = [distance(a.slice(1), b) + 1, distance(a, b.slice(1)) + 1];
  return Math.min(...rest, distance(a.slice(1), b.slice(1)) + (a[0] === b[0] ? 0 : 1));
}

describe("near names", () => {
  it("are those within a third of the length, at least two letters", () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(word, fc.array(word, { maxLength: 3 }), (wanted, known) => {
        const near = known.filter((name) => distance(wanted, name) <= 2);
        const text = didYouMean(wanted, known);
        expect(text === "").toBe(near.length === 0);
        for (const name of near) expect(text).toMatch(new RegExp(`(mean|or) ${name}( |\\?)`));
      }),
    );
  });

  it("are found in long lists of long names, the nearest first", () => {
    const names = Array.from({ length: 1000 }, (_, i) => `function_number_${i}_with_a_name_that_goes_on_and_on`);
    const wanted = "function_number_777_with_a_nme_that_goes_on_and_on";
    expect(didYouMean(wanted, names)).toContain("mean function_number_777_with_a_name_that_goes_on_and_on or");
    expect(didYouMean("something_else_entirely", names)).toBe("");
  });

  it("or what there is", () => {
    expect(nearNames("x", ["counter", "events"])).toBe("; there are: counter, events");
    expect(nearNames("x", [])).toBe("; there are none");
  });
});
