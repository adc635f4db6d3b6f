// The declarations are checked on every kernel we run: each feature of the table works exactly where it should. And the
// rule that decides it.

import { describe, expect, it } from "vitest";
import { currentProfile, isAtLeast, isExpected } from "./expected-features.js";
import { type FeatureName, featureNames, features, probe, whyMissing } from "./features.js";
import { kernelDescribe, kernelIt, missingOf } from "./needs.js";

const profile = currentProfile();

// On a developer's own kernel anything goes.
describe.runIf(profile !== undefined)(`features of the kernel (${profile})`, () => {
  it.each(featureNames)("%s", (name) => {
    // Tried here, not remembered: a second attempt of this test is to ask the kernel again. The reason stands in the
    // message, where vitest does not shorten it.
    const reason = probe(name);
    if (isExpected(name)) expect(reason, `${features[name].what}: ${reason}`).toBeUndefined();
    else
      expect(reason, `${features[name].what}: listed as missing, or newer than this kernel, but works`).toBeDefined();
  });
});

describe("expectations", () => {
  it("compare releases by their first two numbers", () => {
    expect(isAtLeast("5.10.0-32-cloud-amd64", "5.10")).toBe(true);
    expect(isAtLeast("5.10.0-32-cloud-amd64", "5.9")).toBe(true);
    expect(isAtLeast("5.10.0-32-cloud-amd64", "5.11")).toBe(false);
    expect(isAtLeast("6.1.0-50-cloud-amd64", "5.15")).toBe(true);
    expect(isAtLeast("6.12.107+deb13-cloud-amd64", "6.9")).toBe(true);
    expect(isAtLeast("6.1", "6.12")).toBe(false);
    expect(isAtLeast("7.3.4+deb13", "6.18")).toBe(true);
    expect(isAtLeast("7-rc1", "6.18")).toBe(true);
  });

  it("follow the version, then the exceptions of a kernel", () => {
    expect(isExpected("perf_link", "5.10", "5.10.0-32-cloud-amd64")).toBe(false);
    expect(isExpected("ringbuf", "5.10", "5.10.0-32-cloud-amd64")).toBe(true);
    expect(isExpected("perf_link", "6.1", "6.1.0-50-cloud-amd64")).toBe(true);
    expect(isExpected("fentry", "native", "6.18.44")).toBe(false);
    expect(isExpected("ringbuf", "native", "6.18.44")).toBe(true);
  });

  it("say nothing about kernels we do not know", () => {
    expect(isExpected("ringbuf", undefined, "6.18.44")).toBe(isExpected("ringbuf"));
    expect(isExpected("ringbuf", "somebody's", "6.18.44")).toBeUndefined();
  });
});

describe("a declaration", () => {
  it("with a name that is not in the table is refused", () => {
    expect(() => missingOf(["bpf", "bfp" as FeatureName])).toThrow("no such feature in test/support/features.ts: bfp");
  });

  it("lists what is missing, and only that", () => {
    expect(missingOf(featureNames)).toEqual(featureNames.filter((name) => whyMissing(name) !== undefined));
  });
});

// Run only where they may: an error here means that a test ran without what it needs.
kernelIt("kernelIt runs where its needs are met", { needs: ["perf_link"] }, () => {
  expect(whyMissing("perf_link")).toBeUndefined();
});
kernelDescribe("kernelDescribe", { needs: ["arena", "kprobe_multi"] }, () => {
  it("runs where its needs are met", () => {
    expect([whyMissing("arena"), whyMissing("kprobe_multi")]).toEqual([undefined, undefined]);
  });
});
