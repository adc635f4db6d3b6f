// One fentry, fexit or fsession program on many functions by one link. The functions are those that test runs of tracing
// programs call: bpf_fentry_test1(1), bpf_fentry_test2(2, 3) and so on up to 9, whose results are known.

import { closeSync, openSync, readSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder } from "../../src/btf/index.js";
import {
  ArgumentError,
  type BpfObject,
  NotFoundError,
  ObjectError,
  BpfObject as Objects,
  UnsupportedError,
} from "../../src/index.js";
import { hasTraceableType, loadKernelBtf, type ModuleBtf } from "../../src/kernel/index.js";
import { findAttachTarget } from "../../src/loader/attach-btf.js";
import type { FileDescriptor } from "../../src/syscall/index.js";
import { fixtureBytes, loadError, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

const BPF_F_SLEEPABLE = 1 << 4;

/** An edit: these programs only, for this process. */
function only(...names: string[]): (obj: BpfObject) => void {
  return (obj) => {
    for (const program of obj.programs) program.autoload = names.includes(program.name);
    obj.rodata.target_pid = process.pid;
  };
}

const load = (names: readonly string[], body: (obj: BpfObject) => void): Promise<void> =>
  withLoaded("tracing_multi", only(...names), body);

/** Calls bpf_fentry_test1 to 9; returns nothing of interest. */
function runTests(obj: BpfObject, program: string): void {
  obj.program(program).testRun();
}

describe("types of functions", () => {
  const builder = new BtfBuilder();
  const int = builder.addInt("int", 4, { signed: true });
  const pointer = builder.addPtr(0);
  const small = builder.addStruct("small", 16, [{ name: "a", type: int, bitOffset: 0 }]);
  const large = builder.addStruct("large", 24, [{ name: "a", type: int, bitOffset: 0 }]);
  const alias = builder.addTypedef("alias", large);
  const constant = builder.addConst(small);
  const add = (name: string, returns: number, ...types: readonly number[]): number =>
    builder.addFunc(
      name,
      builder.addFuncProto(
        returns,
        types.map((type, index) => ({ name: type === 0 ? "" : `a${index}`, type })),
      ),
      0,
    );
  const functions: Readonly<Record<string, [id: number, traceable: boolean]>> = {
    "without arguments": [add("none", 0), true],
    "with integers and pointers": [add("plain", int, int, pointer), true],
    "with twelve arguments": [add("twelve", int, ...new Array<number>(12).fill(int)), true],
    "with thirteen arguments": [add("thirteen", int, ...new Array<number>(13).fill(int)), false],
    "with a struct of 16 bytes": [add("small", int, constant), true],
    "with a struct of 24 bytes": [add("large", int, alias), false],
    "that return a struct": [add("returns", constant, int), false],
    "that return a pointer": [add("returns_pointer", pointer, int), true],
    "with variable arguments": [add("variable", int, int, 0), false],
  };
  const btf = Btf.parse(builder.build());
  for (const [what, [id, traceable]] of Object.entries(functions)) {
    it(`${what} can ${traceable ? "" : "not "}be traced`, () => expect(hasTraceableType(btf, id)).toBe(traceable));
  }

  it("other types than functions cannot be traced", () => expect(hasTraceableType(btf, int)).toBe(false));
});

describe("programs on many functions", () => {
  const spec = (target: string | undefined) => {
    using obj = Objects.open(fixtureBytes("tracing_multi"));
    return { ...obj.program("on_module").spec, attachTarget: target };
  };
  const module: ModuleBtf = {
    name: "nf_conntrack",
    get btf(): Btf {
      throw new Error("its types are not needed");
    },
    fd: { number: 5 } as FileDescriptor,
  };
  const find = (target: string | undefined) =>
    findAttachTarget({ spec: spec(target), targetDescriptor: undefined }, { list: () => [module] }, () => {
      throw new Error("the kernel's types are not needed");
    });

  it("are loaded for the types that have the functions", () => {
    expect(find("nf_conntrack:nf_*")).toEqual({ btfId: 0, owner: module.fd });
    expect(find("vfs_*")).toBeUndefined();
    expect(find("vmlinux:vfs_*")).toBeUndefined();
    expect(find(undefined)).toBeUndefined();
    expect(() => find("nf_conntrac:nf_*")).toThrow(
      /program on_module.*no module nf_conntrac with type information is loaded; did you mean nf_conntrack\?/,
    );
  });
});

kernelDescribe("fentry.multi and fexit.multi", { needs: ["tracing_multi", "array_mmap"] }, () => {
  it("run for all that a pattern matches, with arguments and results", async () => {
    await load(["on_entries", "on_exits"], (obj) => {
      const [entry, exit] = obj.attach();
      expect([entry!.kind, entry!.target]).toEqual([
        "tracing_multi",
        expect.stringMatching(/^bpf_fentry_test\? \(9 kernel functions\)$/),
      ]);
      runTests(obj, "on_entries");
      expect([obj.bss.entries, obj.bss.exits]).toEqual([9n, 9n]);
      // The first arguments are 1, 2, 4, 7, 11, 16, a pointer, a pointer to one, a pointer.
      expect((obj.bss.first_arguments as bigint[]).slice(0, 6)).toEqual([1n, 2n, 4n, 7n, 11n, 16n]);
      // Results 2, 5, 15, 34, 65, 111, 0 and so on are at least these.
      expect(obj.bss.results).toBeGreaterThanOrEqual(232n);
      const info = entry!.info();
      expect(info).toMatchObject({ kind: "tracing_multi" });
      if (info.kind === "tracing_multi" && info.attachType !== 0) {
        expect([info.attachType, info.btfIds.length, info.addresses.length]).toEqual([59, 9, 9]);
        const btf = loadKernelBtf("this test");
        expect([...info.btfIds].map((id) => btf.nameOf(id)).sort()).toEqual(
          Array.from({ length: 9 }, (_, index) => `bpf_fentry_test${index + 1}`),
        );
      }
      entry!.close();
      exit!.close();
      runTests(obj, "on_entries");
      expect([obj.bss.entries, obj.bss.exits]).toEqual([9n, 9n]);
    });
  });

  it("take names or BTF ids with a cookie each", async () => {
    await load(["on_chosen"], (obj) => {
      const program = obj.program("on_chosen");
      expect(() => program.attach()).toThrow("does not say what to attach to");
      const names = ["bpf_fentry_test3", "bpf_fentry_test1"];
      const byName = program.attachTracingMulti(names, { cookies: [33n, 0xffff_ffff_ffff_ff11n] });
      runTests(obj, "on_chosen");
      expect(obj.bss.entries).toBe(2n);
      expect((obj.bss.cookies as bigint[]).slice(0, 2)).toEqual([0xffff_ffff_ffff_ff11n, 33n]);
      byName.close();
      const btf = loadKernelBtf("this test");
      const id = btf.findByName("bpf_fentry_test2", "func")!;
      const byId = program.attachTracingMulti([id], { cookies: [5n] });
      runTests(obj, "on_chosen");
      expect([obj.bss.entries, (obj.bss.cookies as bigint[])[2]]).toEqual([3n, 5n]);
      byId.close();
      runTests(obj, "on_chosen");
      expect(obj.bss.entries).toBe(3n);
    });
  });

  it("sleep where the function may", async () => {
    await load(["on_sleepable", "on_sleepable_exit", "on_sleepable_session"], (obj) => {
      const counts = (): unknown[] => {
        const { sleepable_entries, sleepable_exits, session_entries, session_returns, results } = obj.bss;
        return [sleepable_entries, sleepable_exits, session_entries, session_returns, results];
      };
      for (const program of obj.programs.filter(({ loaded }) => loaded)) expect(program.flags).toBe(BPF_F_SLEEPABLE);
      const links = obj.attach();
      runTests(obj, "on_sleepable");
      expect(counts()).toEqual([1n, 1n, 1n, 1n, 2n]);
      for (const link of links) link.close();
      runTests(obj, "on_sleepable");
      expect(counts()).toEqual([1n, 1n, 1n, 1n, 2n]);
    });
  });

  it("are both in a session, which keeps a value", async () => {
    await load(["on_sessions"], (obj) => {
      const [link] = obj.attach();
      runTests(obj, "on_sessions");
      expect([obj.bss.session_entries, obj.bss.session_returns]).toEqual([9n, 9n]);
      expect(obj.bss.session_results).not.toBe(0n);
      link!.close();
      runTests(obj, "on_sessions");
      expect([obj.bss.session_entries, obj.bss.session_returns]).toEqual([9n, 9n]);
    });
  });

  kernelIt("run for functions of a module", { needs: ["conntrack_functions"] }, async () => {
    const read = (): void => {
      const fd = openSync("/proc/sys/net/netfilter/nf_conntrack_buckets", "r");
      readSync(fd, new Uint8Array(64));
      closeSync(fd);
    };
    await load(["on_module"], (obj) => {
      const [link] = obj.attach();
      read();
      expect(obj.bss.module_entries).toBe(1n);
      link!.close();
      read();
      expect(obj.bss.module_entries).toBe(1n);
      const program = obj.program("on_module");
      // The section named the module.
      using _again = program.attachTracingMulti(["nf_conntrack_hash_sysctl"]);
      read();
      expect(obj.bss.module_entries).toBe(2n);
      expect(() => program.attachTracingMulti("vmlinux:vfs_read")).toThrow(
        /loaded for functions of nf_conntrack, not of vmlinux.*setAttachTarget\("vmlinux:\*"\)/,
      );
    });
  });

  it("say what is wrong", async () => {
    await load(["on_chosen", "on_malformed"], (obj) => {
      const program = obj.program("on_chosen");
      expect(() => obj.program("on_malformed").attach()).toThrow(ObjectError);
      expect(() => obj.program("on_malformed").attach()).toThrow("fentry.multi/[MODULE:]PATTERN");
      expect(() => program.attachTracingMulti("bpf_fentry_tets1")).toThrow(NotFoundError);
      expect(() => program.attachTracingMulti("bpf_fentry_tets1")).toThrow(
        /no function bpf_fentry_tets1; did you mean/,
      );
      expect(() => program.attachTracingMulti("no_such_function_*")).toThrow("no kernel function that can be traced");
      expect(() => program.attachTracingMulti("bpf_fentry_*", { cookies: [1n] })).toThrow(ArgumentError);
      expect(() => program.attachTracingMulti([])).toThrow("no functions");
      expect(() => program.attachTracingMulti(["bpf_fentry_test1", "bpf_fentry_test1"])).toThrow("EINVAL");
      expect(() => program.attachTracingMulti("nf_tables:nft_*")).toThrow("loaded for functions of vmlinux");
      expect(program.links).toEqual([]);
    });
  });
});

describe("a program on many functions", () => {
  kernelIt("needs a section of that kind", { needs: ["tp_btf"] }, async () => {
    const edit = (obj: BpfObject): void => {
      for (const program of obj.programs) program.autoload = program.name === "on_call";
    };
    await withLoaded("trampolines", edit, (obj) => {
      expect(() => obj.program("on_call").attachTracingMulti("vfs_*")).toThrow(ArgumentError);
    });
  });

  kernelIt("on a kernel that is too old says which one it takes", { needs: ["virtual_machine", "fentry"] }, () => {
    const error = loadError("tracing_multi", only("on_chosen"));
    if (error === undefined) return;
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(String(error)).toMatch(/this kernel has no programs of attach type trace_fentry_multi.*7\.2/);
  });
});
