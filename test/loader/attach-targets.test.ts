// What programs attach to by BTF id: functions of the kernel, of modules, of other BPF programs.

import { closeSync, openSync, readSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder } from "../../src/btf/index.js";
import { ArgumentError, BpfLink, BpfObject, type BpfProgram, NotFoundError, StateError } from "../../src/index.js";
import type { ModuleBtf } from "../../src/kernel/index.js";
import { findAttachTarget } from "../../src/loader/attach-btf.js";
import { AttachType, type ProgramSpec } from "../../src/object/index.js";
import { btfInfo, type FileDescriptor, linkInfo, openById, progInfo, progTestRun } from "../../src/syscall/index.js";
import { fixturePath, openDescriptors, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

/** The spec of the fixture's fentry program with another target, and what else is given. */
function specOf(target: string | undefined, changes: Partial<ProgramSpec> = {}): ProgramSpec {
  using obj = BpfObject.open(fixturePath("modtarget"));
  return { ...obj.program("on_named").spec, attachTarget: target, ...changes };
}

/** Types with these functions and typedefs. */
function types(names: readonly string[], base?: Btf): Btf {
  const builder = new BtfBuilder(base === undefined ? {} : { base });
  for (const name of names) {
    if (name.startsWith("btf_trace_")) builder.addTypedef(name, 0);
    else builder.addFunc(name, builder.addFuncProto(0, []), 0);
  }
  return Btf.parse(builder.build(), base === undefined ? {} : { base });
}

describe("a target of the kernel", () => {
  const vmlinux = types(["do_exit", "shared", "bpf_lsm_file_open", "bpf_iter_task", "btf_trace_sched_switch"]);
  const module = (name: string, functions: readonly string[], number: number | undefined): ModuleBtf => ({
    name,
    btf: types(functions, vmlinux),
    fd: number === undefined ? undefined : ({ number } as FileDescriptor),
  });
  const modules = [
    module("nf", ["nf_start", "shared", "twice"], 5),
    module("nf_tables", ["twice", "nft_run", "btf_trace_nft_event", "bpf_iter_nft", "bpf_lsm_nft"], 6),
    module("closed", ["hidden"], undefined),
  ];
  let listed = 0;
  const list = () => {
    listed++;
    return modules;
  };
  const find = (target: string | undefined, changes: Partial<ProgramSpec> = {}) => {
    const found = findAttachTarget(
      { spec: specOf(target, changes), targetDescriptor: undefined },
      { list },
      () => vmlinux,
    );
    const home = modules.find(({ fd }) => fd !== undefined && fd === found?.owner);
    return found === undefined ? undefined : [(home?.btf ?? vmlinux).nameOf(found.btfId), home?.name];
  };

  it("without a module is looked for in vmlinux, then in every module", () => {
    listed = 0;
    expect(find("shared")).toEqual(["shared", undefined]);
    expect(find("do_exit")).toEqual(["do_exit", undefined]);
    expect(listed).toBe(0);
    expect(find("twice")).toEqual(["twice", "nf"]);
    expect(find("nft_run")).toEqual(["nft_run", "nf_tables"]);
  });

  it("with a module is looked for in that one only", () => {
    expect(find("nf:shared")).toEqual(["shared", "nf"]);
    expect(find("nf_tables:twice")).toEqual(["twice", "nf_tables"]);
    expect(find("vmlinux:shared")).toEqual(["shared", undefined]);
    expect(() => find("nf:nft_run")).toThrow(/module nf has no function nft_run;? /);
    expect(() => find("nf:do_exit")).toThrow("module nf has no function do_exit");
    expect(() => find("vmlinux:nft_run")).toThrow("vmlinux has no function nft_run");
  });

  it("of a module whose name was cut short is not found", () => {
    expect(() => find("nf_table:nft_run")).toThrow(
      /no module nf_table with type information is loaded; did you mean nf_tables\?/,
    );
    expect(() => find("vm:do_exit")).toThrow("no module vm with type information is loaded");
  });

  it("can be a tracepoint, an LSM hook or an iterator", () => {
    const raw = { expectedAttachType: AttachType.trace_raw_tp };
    const lsm = { expectedAttachType: AttachType.lsm_mac };
    const iterator = { expectedAttachType: AttachType.trace_iter };
    expect(find("sched_switch", raw)).toEqual(["btf_trace_sched_switch", undefined]);
    expect(find("nft_event", raw)).toEqual(["btf_trace_nft_event", "nf_tables"]);
    expect(find("file_open", lsm)).toEqual(["bpf_lsm_file_open", undefined]);
    expect(find("nf_tables:nft", lsm)).toEqual(["bpf_lsm_nft", "nf_tables"]);
    expect(find("task", iterator)).toEqual(["bpf_iter_task", undefined]);
    expect(find("nft", iterator)).toEqual(["bpf_iter_nft", "nf_tables"]);
    expect(() => find("sched_swich", raw)).toThrow(/no tracepoint sched_swich; did you mean sched_switch\?/);
    expect(() => find("file_opem", lsm)).toThrow(/no LSM hook file_opem; did you mean file_open\?/);
    expect(() => find("do_exit", raw)).toThrow("this kernel has no tracepoint do_exit");
  });

  it("that does not exist is an error with the names that are near", () => {
    expect(() => find("do_exits")).toThrow(
      /program on_named: this kernel has no kernel function do_exits; did you mean do_exit\?/,
    );
    expect(() => find("nft_runn")).toThrow(/did you mean nft_run or nf_start\?|did you mean nft_run\?/);
    expect(() => find("nothing_like_any_of_them")).toThrow(
      /no kernel function nothing_like_any_of_them \(it may be inlined/,
    );
  });

  it("of a module whose types cannot be opened is an error with the reason", () => {
    expect(() => find("hidden")).toThrow(/types of module closed cannot be opened.*CAP_SYS_ADMIN/);
  });

  it("has to be named, unless the program needs none", () => {
    expect(() => find(undefined)).toThrow(/neither the section nor setAttachTarget\(\) names what to attach to/);
    expect(find(undefined, { needsAttachBtf: false })).toBeUndefined();
  });
});

describe("setAttachTarget()", () => {
  it("replaces what the section says", () => {
    using obj = BpfObject.open(fixturePath("modtarget"));
    const program = obj.program("on_named");
    expect([program.attachTarget, program.attachTargetProgram]).toEqual([
      "nf_conntrack:nf_conntrack_hash_sysctl",
      undefined,
    ]);
    program.setAttachTarget("do_exit");
    expect([program.attachTarget, program.attachTargetProgram]).toEqual(["do_exit", undefined]);
  });

  it("refuses what cannot be a target", () => {
    using obj = BpfObject.open(fixturePath("freplace"));
    const program = obj.program("new_verdict");
    expect(() => program.setAttachTarget(undefined)).toThrow(ArgumentError);
    expect(() => program.setAttachTarget("")).toThrow(ArgumentError);
    expect(() => program.setAttachTarget(1 as unknown as string)).toThrow(ArgumentError);
    expect(() => program.setAttachTarget(undefined, { program: "x" as unknown as number })).toThrow(ArgumentError);
    expect(() => program.setAttachTarget(undefined, { program: null as unknown as number })).toThrow(ArgumentError);
    expect(() => program.setAttachTarget(undefined, { program: obj.program("classify") })).toThrow(StateError);
    expect(() => obj.program("classify").setAttachTarget("do_exit")).toThrow(
      /program classify: programs of type sched_cls are not attached to functions/,
    );
    expect([program.attachTarget, program.attachTargetProgram]).toEqual(["verdict", undefined]);
  });

  it("counts for programs whose section says something else, once their type is set", () => {
    using obj = BpfObject.open(fixturePath("freplace"));
    const program = obj.program("classify");
    program.type = "tracing";
    expect(program.spec.needsAttachBtf).toBe(false);
    program.setAttachTarget("do_exit");
    expect(program.spec.needsAttachBtf).toBe(true);
    program.type = "xdp";
    expect(program.spec.needsAttachBtf).toBe(false);
  });
});

/** What the fixture's program returns. */
function classify(program: { readonly fd: number }): number {
  return progTestRun({ program: program.fd, data: new Uint8Array(64) }).returnValue;
}

/** The fixture with these programs only, for a target. */
const only =
  (target: { readonly fd: number } | number, ...names: string[]) =>
  (obj: BpfObject): void => {
    for (const program of obj.programs) {
      program.autoload = names.includes(program.name);
      if (program.autoload) program.setAttachTarget(undefined, { program: target });
    }
  };

kernelDescribe("a target program", { needs: ["socket_filter", "array_mmap"] }, () => {
  it("is named by its id, and has to have the function", async () => {
    await withLoaded(
      "freplace",
      () => {},
      (obj) => {
        const target = obj.program("classify");
        expect(classify(target)).toBe(12);
        const before = openDescriptors();
        {
          using other = BpfObject.open(fixturePath("freplace"));
          only(target, "new_verdict")(other);
          const program = other.program("new_verdict");
          expect(program.attachTargetProgram).toBe(progInfo(target.fd).id);
          program.setAttachTarget("verdit", { program: target.fd });
          other.program("classify").autoload = false;
          expect(() => other.loadSync()).toThrow(NotFoundError);
        }
        {
          using other = BpfObject.open(fixturePath("freplace"));
          only(target, "new_verdict")(other);
          other.program("new_verdict").setAttachTarget("verdit", { program: { fd: target.fd } });
          expect(() => other.loadSync()).toThrow(
            /program new_verdict: the target program classify has no function verdit; did you mean verdict\?/,
          );
        }
        {
          // What opens a map is no program.
          using other = BpfObject.open(fixturePath("freplace"));
          const map = obj.map(".bss");
          expect(() => other.program("new_verdict").setAttachTarget(undefined, { program: map })).toThrow(
            /program new_verdict: the descriptor is no program/,
          );
        }
        expect(openDescriptors()).toBe(before);
      },
    );
  });

  it("without type information is an error that says so", async () => {
    await withLoaded(
      "nobtf",
      () => {},
      (obj) => {
        using other = BpfObject.open(fixturePath("freplace"));
        only(obj.programs[0]!, "new_verdict")(other);
        expect(() => other.loadSync()).toThrow(/the target program \w+ has no type information/);
      },
    );
  });

  it("has to be given to programs that replace functions", async () => {
    using obj = BpfObject.open(fixturePath("freplace"));
    for (const program of obj.programs) program.autoload = program.name === "new_verdict";
    expect(() => obj.loadSync()).toThrow(
      /program new_verdict: the program that has the function verdict was not given \(call setAttachTarget/,
    );
  });
});

/** Two programs whose functions can be replaced, of two objects. */
async function withTwoTargets(body: (one: BpfProgram, two: BpfProgram) => Promise<void>): Promise<void> {
  const second = (one: BpfProgram) => (obj: BpfObject) => body(one, obj.program("classify"));
  const first = (obj: BpfObject) => withLoaded("freplace", () => {}, second(obj.program("classify")));
  await withLoaded("freplace", () => {}, first);
}

kernelDescribe("a function of a program", { needs: ["freplace", "array_mmap"] }, () => {
  it("is replaced until the link is closed", async () => {
    await withLoaded(
      "freplace",
      () => {},
      async (obj) => {
        const target = obj.program("classify");
        await withLoaded("freplace", only(target, "new_verdict", "bare_verdict"), () => {}).then(
          () => expect.fail("a section without a function was loaded"),
          (error: unknown) => expect(String(error)).toMatch(/program bare_verdict: neither the section nor/),
        );
        const edit = (other: BpfObject): void => {
          only(target, "new_verdict", "bare_verdict")(other);
          other.program("bare_verdict").setAttachTarget("second_verdict", { program: target });
        };
        await withLoaded("freplace", edit, (other) => {
          expect(classify(target)).toBe(12);
          const links = other.attach();
          expect(links).toHaveLength(2);
          expect(classify(target)).toBe(78);
          expect([obj.bss.old_calls, other.bss.new_calls]).toEqual([1n, 1n]);
          const { id: progId } = progInfo(other.program("new_verdict").fd);
          expect(linkInfo(links[0]!.fd)).toMatchObject({ kind: "tracing", progId });
          links[0]!.close();
          expect(classify(target)).toBe(18);
          links[1]!.close();
          expect(classify(target)).toBe(12);
          expect([obj.bss.old_calls, other.bss.new_calls]).toEqual([3n, 1n]);
          const again = other.program("new_verdict").attachFreplace();
          expect(classify(target)).toBe(72);
          again.close();
          expect(classify(target)).toBe(12);
          expect(other.attach()).toHaveLength(2);
          expect(classify(target)).toBe(78);
          other.detach();
          expect(classify(target)).toBe(12);
        });
      },
    );
  });

  it("is replaced in another program than the one it was loaded for", async () => {
    await withTwoTargets(async (one, two) => {
      await withLoaded("freplace", only(one.fd, "new_verdict"), (other) => {
        const program = other.program("new_verdict");
        const link = program.attachFreplace(two, "second_verdict");
        expect([classify(one), classify(two)]).toEqual([12, 17]);
        const function_ = `function second_verdict of program ${progInfo(two.fd).id}`;
        expect([link.kind, link.target, program.links]).toEqual(["tracing", function_, [link]]);
        using found = BpfLink.openById(link.info().id);
        expect([found.kind, found.program, found.target]).toEqual([
          "tracing",
          "new_verdict",
          // Linux 5.13 tells the object.
          expect.stringMatching(`^freplace of BTF id \\d+ in object (0|${progInfo(two.fd).id})$`),
        ]);
        found.close();
        link.close();
        expect([classify(one), classify(two)]).toEqual([12, 12]);
        expect(() => program.attachFreplace(two, "verdit")).toThrow(/has no function verdit; did you mean verdict\?/);
        expect(() => program.attachFreplace(two)).toThrow(ArgumentError);
        expect(() => program.attachFreplace(undefined, "verdict")).toThrow(ArgumentError);
        expect(() => one.attachFreplace(two, "verdict")).toThrow(/type sched_cls cannot replace a function/);
      });
    });
  });

  it("is replaced by clones, which have the target of their program or one of their own", async () => {
    await withTwoTargets(async (one, two) => {
      await withLoaded("freplace", only(one, "new_verdict"), async (other) => {
        using same = other.program("new_verdict").cloneSync();
        using elsewhere = await other
          .program("new_verdict")
          .clone({ attachTarget: "second_verdict", attachTargetProgram: two });
        expect([same.attachTargetProgram, elsewhere.attachTargetProgram]).toEqual([
          progInfo(one.fd).id,
          progInfo(two.fd).id,
        ]);
        same.attach();
        elsewhere.attach();
        expect([classify(one), classify(two)]).toEqual([72, 17]);
        same.close();
        expect([classify(one), classify(two)]).toEqual([12, 17]);
      });
      expect([classify(one), classify(two)]).toEqual([12, 12]);
    });
  });

  it("keeps its target after the descriptor given for it was closed", async () => {
    const other = BpfObject.open(fixturePath("freplace"));
    try {
      await withLoaded(
        "freplace",
        () => {},
        (obj) => only(obj.program("classify"), "new_verdict")(other),
      );
      other.loadSync();
      expect(progInfo(other.program("new_verdict").fd).attachBtfId).toBeGreaterThanOrEqual(0);
      expect(() => other.program("new_verdict").setAttachTarget("verdict")).toThrow(StateError);
    } finally {
      other.close();
    }
  });
});

kernelDescribe("a function of a program", { needs: ["fentry", "fexit", "socket_filter"] }, () => {
  it("is watched as it is entered and left", async () => {
    await withLoaded(
      "freplace",
      () => {},
      async (obj) => {
        const target = obj.program("classify");
        await withLoaded("freplace", only(target, "on_entry", "on_exit"), (other) => {
          const links = other.attach();
          for (let i = 0; i < 3; i++) expect(classify(target)).toBe(12);
          expect([other.bss.entries, other.bss.exits, other.bss.last_result]).toEqual([3n, 3n, 1n]);
          for (const link of links) link.close();
          classify(target);
          expect(other.bss.entries).toBe(3n);
        });
      },
    );
  });
});

kernelDescribe("a function of a module", { needs: ["fentry", "fexit", "conntrack_functions"] }, () => {
  /** One read() is one call. */
  const call = (): number => {
    const fd = openSync("/proc/sys/net/netfilter/nf_conntrack_buckets", "r");
    try {
      const text = new Uint8Array(64);
      return Number(new TextDecoder().decode(text.subarray(0, readSync(fd, text))));
    } finally {
      closeSync(fd);
    }
  };

  it("is watched, whether the section names the module or not", async () => {
    await withLoaded(
      "modtarget",
      () => {},
      (obj) => {
        for (const { fd } of obj.programs) {
          using btf = openById("btf", progInfo(fd).attachBtfObjectId);
          expect(btfInfo(btf).name).toBe("nf_conntrack");
        }
        const links = obj.attach();
        for (let i = 0; i < 3; i++) expect(call()).toBeGreaterThan(0);
        const { bss } = obj;
        expect([bss.named_runs, bss.found_runs, bss.exit_runs]).toEqual([3n, 3n, 3n]);
        for (const link of links) link.close();
        call();
        expect([bss.named_runs, bss.found_runs, bss.exit_runs]).toEqual([3n, 3n, 3n]);
      },
    );
  });

  it("that does not exist is an error with near names", async () => {
    const load = (target: string) => {
      const edit = (obj: BpfObject): void => {
        for (const program of obj.programs) program.autoload = program.name === "on_named";
        obj.program("on_named").setAttachTarget(target);
      };
      return withLoaded("modtarget", edit, () => {});
    };
    await expect(load("nf_conntrack:nf_conntrack_hash_sysct")).rejects.toThrow(
      /module nf_conntrack has no function nf_conntrack_hash_sysct; did you mean nf_conntrack_hash_sysctl/,
    );
    await expect(load("nf_conntrac:nf_conntrack_hash_sysctl")).rejects.toThrow(
      /no module nf_conntrac with type information is loaded; did you mean nf_conntrack/,
    );
    await expect(load("vmlinux:nf_conntrack_hash_sysctl")).rejects.toThrow("vmlinux has no function");
  });
});

kernelIt("a function that the kernel does not have is told with near names", { needs: ["tp_btf"] }, () => {
  using obj = BpfObject.open(fixturePath("modtarget"));
  for (const program of obj.programs) program.autoload = program.name === "on_found";
  obj.program("on_found").setAttachTarget("security_task_getpgi");
  const start = performance.now();
  expect(() => obj.loadSync()).toThrow(
    /this kernel has no kernel function security_task_getpgi; did you mean .*getpgid/,
  );
  // Comparing with some ten thousand names takes a moment, not longer.
  expect(performance.now() - start).toBeLessThan(20_000);
});
