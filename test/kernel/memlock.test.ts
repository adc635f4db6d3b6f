// RLIMIT_MEMLOCK is left alone where it does not limit BPF.

import { afterEach, expect, it } from "vitest";
import { kernelHas, raiseMemlock } from "../../src/kernel/index.js";
import { memlockLimit, type ResourceLimit, RLIM_INFINITY, setMemlockLimit } from "../../src/syscall/index.js";
import { kernelDescribe } from "../support/needs.js";

kernelDescribe("RLIMIT_MEMLOCK after a refusal", { needs: ["bpf"] }, () => {
  let before: ResourceLimit | undefined;
  afterEach(() => {
    if (before !== undefined) setMemlockLimit(before);
  });

  it("is raised, once, only on kernels where it counts", () => {
    before = memlockLimit();
    // The hard limit stays: not every root may raise it again.
    const small = { soft: before.hard < 1n << 26n ? before.hard / 2n : 1n << 26n, hard: before.hard };
    setMemlockLimit(small);
    const counts = kernelHas("memcg_account") === false;
    expect(raiseMemlock()).toBe(counts);
    expect(memlockLimit()).toEqual(counts ? { soft: RLIM_INFINITY, hard: RLIM_INFINITY } : small);
    expect(raiseMemlock()).toBe(false);
  });
});
