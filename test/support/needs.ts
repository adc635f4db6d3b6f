// Tests that need something of the kernel say so once, here:
//
//   kernelDescribe("perf links", { needs: ["perf_link", "kprobe"] }, () => { it("…", …) });
//
// Where the kernel lacks a feature the tests are skipped and reported as "not supported here: perf_link (5.15)", by name
// for people and as `meta.missing` for the matrix. Where a feature is missing that this kernel must have, they fail.

import { describe, expect, it } from "vitest";
import { isExpected } from "./expected-features.js";
import { type FeatureName, features, whyMissing } from "./features.js";

/** What a test needs. `bpf` need not be listed beside another feature. */
export interface Needs {
  readonly needs: readonly FeatureName[];
}

/** `describe` for tests that need these features. */
export function kernelDescribe(name: string, { needs }: Needs, body: () => void): void {
  declare(
    name,
    needs,
    () => describe(name, body),
    // The body still runs, so that its tests are counted: keep system calls in hooks and tests.
    (title, meta) => describe.skip(title, { meta }, body),
  );
}

/** `it` for a single test that needs these features. `timeout` in milliseconds. */
export function kernelIt(
  name: string,
  { needs, timeout }: Needs & { readonly timeout?: number },
  body: () => void | Promise<void>,
): void {
  declare(
    name,
    needs,
    () => it(name, timeout === undefined ? {} : { timeout }, body),
    (title, meta) => it.skip(title, { meta }, body),
  );
}

/** The features of these that the running kernel lacks. */
export function missingOf(needs: readonly FeatureName[]): FeatureName[] {
  const unknown = needs.filter((name) => !Object.hasOwn(features, name));
  if (unknown.length > 0) throw new Error(`no such feature in test/support/features.ts: ${unknown.join(", ")}`);
  return needs.filter((name) => whyMissing(name) !== undefined);
}

type Meta = Record<string, unknown>;

function declare(
  name: string,
  needs: readonly FeatureName[],
  run: () => void,
  skip: (title: string, meta: Meta) => void,
): void {
  const missing = missingOf(needs);
  if (missing.length === 0) {
    run();
    return;
  }
  for (const feature of missing.filter((candidate) => isExpected(candidate) === true)) {
    it(`${name} needs ${feature}, which this kernel should have`, () => {
      expect.fail(`${feature} (${features[feature].what}) does not work: ${whyMissing(feature)}`);
    });
  }
  const list = missing.map((feature) => `${feature} (${features[feature].since})`).join(", ");
  skip(`${name} [not supported here: ${list}]`, { missing });
}
