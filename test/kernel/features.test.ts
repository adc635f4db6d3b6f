// Feature probes held against the tests' own, independent ones, and against what the kernel does.

import { readFileSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import { type FeatureName, features } from "../../src/index.js";
import { kernelHas, knownMissing, pretend } from "../../src/kernel/features.js";
import { MapType, ProgramType } from "../../src/object/index.js";
import { ffi } from "../../src/syscall/ffi.js";
import { currentProfile, isAtLeast } from "../support/expected-features.js";
import { whyMissing } from "../support/features.js";
import { openDescriptors } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

describe("the table of features", () => {
  it("has libbpf's 26 rows", () => {
    expect(features.list.length).toBe(26);
    expect(new Set(features.list.map(({ name }) => name)).size).toBe(26);
    for (const { name, what, since } of features.list) {
      expect(since, name).toMatch(/^\d\.\d+$/);
      expect(what, name).not.toBe("");
    }
  });

  it("refuses names that are not in it", () => {
    expect(() => features.has("bpf_cooky" as FeatureName)).toThrow(/no feature "bpf_cooky".*bpf_cookie/);
    expect(() => features.mapType("ringbuff" as "ringbuf")).toThrow(/no map type "ringbuff".*ringbuf/);
    expect(() => features.programType("unspec")).toThrow(/none/);
    expect(() => features.helper("kprobe", -1)).toThrow(/helper/);
    expect(() => features.helper("kprobe", 2 ** 31)).toThrow(/helper/);
  });

  it("remembers an answer, and what is known to be missing", () => {
    const before = pretend("prog_name", false);
    try {
      expect(kernelHas("prog_name")).toBe(false);
      expect(knownMissing("prog_name")).toBe(true);
      pretend("prog_name", true);
      expect(knownMissing("prog_name")).toBe(false);
      expect(kernelHas("prog_name")).toBe(true);
    } finally {
      pretend("prog_name", before);
    }
  });
});

kernelDescribe("features of the running kernel", { needs: ["bpf"] }, () => {
  /** What the tests' own probes find out by attaching and running. */
  const twins: [FeatureName, Parameters<typeof whyMissing>[0]][] = [
    ["array_mmap", "array_mmap"],
    ["prog_bind_map", "prog_bind_map"],
    ["memcg_account", "memcg_account"],
    ["btf_float", "btf_float"],
    ["btf_decl_tag", "btf_decl_tag"],
    ["btf_type_tag", "btf_type_tag"],
    ["btf_enum64", "btf_enum64"],
    ["perf_link", "perf_link"],
    ["bpf_cookie", "bpf_cookie"],
    ["uprobe_multi_link", "uprobe_multi"],
  ];
  for (const [name, twin] of twins) {
    it(`${name} is there exactly when the tests' own probe works`, () => {
      expect(features.has(name)).toBe(whyMissing(twin) === undefined);
    });
  }

  it("are all conclusive for root, old ones there, and those of later kernels not", (context) => {
    if (currentProfile() === undefined) context.skip();
    const release = kernelRelease();
    // Names of these depend on more than the version: configuration, backports into stable kernels, architecture.
    const uncertain = new Set(["exp_attach_type", "syscall_wrapper", "uprobe_multi_link", "uprobe_syscall"]);
    const answers = features.list.map(({ name, since }) => [name, since, features.has(name)] as const);
    const wrong = answers.filter(
      ([name, since, answer]) => answer === undefined || (!uncertain.has(name) && answer !== isAtLeast(release, since)),
    );
    expect(wrong).toEqual([]);
  });

  it("leave no descriptor open and are tried once", () => {
    const before = openDescriptors();
    for (const { name } of features.list) features.has(name);
    expect(openDescriptors()).toBe(before);
    const calls = [vi.spyOn(ffi(), "bpf"), vi.spyOn(ffi(), "syscall")];
    const count = () => calls.reduce((sum, { mock }) => sum + mock.calls.length, 0);
    try {
      for (const { name } of features.list) features.has(name);
      expect(count()).toBe(0);
      // They are seen when one is tried again.
      pretend("prog_name", undefined);
      features.has("prog_name");
      expect(count()).toBeGreaterThan(0);
    } finally {
      for (const spy of calls) spy.mockRestore();
    }
  });

  kernelIt("system calls have wrappers where the kernel's symbols say so", { needs: ["bpf"] }, () => {
    const symbols = readFileSync("/proc/kallsyms", "latin1");
    expect(features.has("syscall_wrapper")).toBe(/ __(x64|arm64|riscv)_sys_bpf\n/.test(symbols));
  });

  it("know program types", () => {
    expect(features.programType("socket_filter")).toBe(true);
    expect(features.programType("tracepoint")).toBe(true);
    expect(features.programType("kprobe")).toBe(true);
    expect(features.programType(ProgramType.xdp)).toBe(true);
    expect(features.programType("sk_lookup")).toBe(whyMissing("sk_lookup") === undefined);
    expect(features.programType("syscall")).toBe(whyMissing("syscall_program") === undefined);
    expect(features.programType(1000)).toBe(false);
  });

  it("know map types", () => {
    for (const type of [
      "hash",
      "array",
      "percpu_hash",
      "lru_percpu_hash",
      "stack_trace",
      "lpm_trie",
      "queue",
    ] as const) {
      expect(features.mapType(type), type).toBe(true);
    }
    for (const type of ["array_of_maps", "hash_of_maps", "sk_storage", "devmap", "cpumap", "sockmap"] as const) {
      expect(features.mapType(type), type).toBe(true);
    }
    expect(features.mapType("ringbuf")).toBe(whyMissing("ringbuf") === undefined);
    expect(features.mapType("user_ringbuf")).toBe(whyMissing("user_ringbuf") === undefined);
    expect(features.mapType("bloom_filter")).toBe(whyMissing("bloom_filter") === undefined);
    expect(features.mapType("arena")).toBe(whyMissing("arena") === undefined);
    expect(features.mapType("struct_ops")).toBe(whyMissing("struct_ops") === undefined);
    expect(features.mapType(MapType.hash)).toBe(true);
    expect(features.mapType(1000)).toBe(false);
  });

  it("know helpers by type of program", () => {
    // bpf_map_lookup_elem, bpf_skb_load_bytes, bpf_xdp_adjust_head, bpf_get_current_pid_tgid, bpf_get_attach_cookie
    expect(features.helper("socket_filter", 1)).toBe(true);
    expect(features.helper("socket_filter", 26)).toBe(true);
    expect(features.helper("xdp", 26)).toBe(false);
    expect(features.helper("xdp", 44)).toBe(true);
    expect(features.helper("socket_filter", 44)).toBe(false);
    expect(features.helper("kprobe", 14)).toBe(true);
    expect(features.helper("kprobe", 100_000)).toBe(false);
    expect(features.helper("tracepoint", 174)).toBe(features.has("bpf_cookie"));
  });

  it("cannot tell helpers of programs that need a target", () => {
    for (const type of ["tracing", "lsm", "struct_ops", "ext"] as const) {
      expect(features.helper(type, 1), type).toBeUndefined();
    }
    expect(features.helper(1000, 1)).toBe(false);
  });
});

function kernelRelease(): string {
  return readFileSync("/proc/sys/kernel/osrelease", "latin1").trim();
}
