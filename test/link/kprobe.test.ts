// Probes on kernel functions: the handler runs for this process's calls with their arguments, and no more after close().

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { NotFoundError } from "../../src/index.js";
import { olderThan } from "../../src/kernel/index.js";
import { call } from "../support/features/calls.js";
import { getpgidFunction } from "../support/features/kernel-types.js";
import { kernelDescribe, kernelIt, missingOf } from "../support/needs.js";
import { ProbeFixture } from "../support/probes.js";

const fixture = new ProbeFixture("kprobes", () => {
  call("getpgid", process.pid);
});
const growth = fixture.growth.bind(fixture);

kernelDescribe("kprobes", { needs: ["kprobe", "kretprobe", "array_mmap"] }, () => {
  it("run at entry and return of a function, until they are detached", async () => {
    await fixture.load(["on_entry", "on_return"], (obj) => {
      const entry = obj.program("on_entry").attachKprobe(getpgidFunction);
      const ret = obj.program("on_return").attachKprobe(getpgidFunction, { return: true });
      expect(entry.kind).toBe("kprobe");
      expect(growth(obj, "entries")).toBe(3n);
      expect(growth(obj, "returns")).toBe(3n);
      expect(obj.bss.last_result).toBe(BigInt(call("getpgid", process.pid)));
      entry.close();
      expect(growth(obj, "entries")).toBe(0n);
      ret.close();
      expect(growth(obj, "returns")).toBe(0n);
    });
  });

  it("run for system calls by name, with their arguments", async () => {
    await fixture.load(["on_syscall", "on_syscall_return"], (obj) => {
      const links = obj.attach();
      expect(links.map(({ target }) => target)).toEqual([`kprobe ${getpgidFunction}`, `kretprobe ${getpgidFunction}`]);
      expect(growth(obj, "entries")).toBe(3n);
      expect(obj.bss.last_argument).toBe(BigInt(process.pid));
      expect(obj.bss.last_result).toBe(BigInt(call("getpgid", process.pid)));
    });
  });

  it("run at an address", async () => {
    await fixture.load(["on_entry"], (obj) => {
      const line = readFileSync("/proc/kallsyms", "latin1").match(
        new RegExp(`^([0-9a-f]+) T ${getpgidFunction}$`, "m"),
      );
      const link = obj.program("on_entry").attachKprobe(BigInt(`0x${line?.[1]}`));
      expect(growth(obj, "entries")).toBe(3n);
      link.close();
      expect(growth(obj, "entries")).toBe(0n);
    });
  });

  kernelIt(
    "tell the cookie, and what the kernel knows of the link",
    { needs: ["perf_link", "bpf_cookie"] },
    async () => {
      await fixture.load(["on_entry_cookie"], (obj) => {
        const program = obj.program("on_entry_cookie");
        const link = program.attachKprobe(getpgidFunction, { cookie: 0xfedc_ba98_7654_3210n });
        expect(growth(obj, "entries")).toBe(3n);
        expect(obj.bss.last_cookie).toBe(0xfedc_ba98_7654_3210n);
        expect(link.info()).toMatchObject({ kind: "perf_event" });
      });
    },
  );

  it("can be attached by ioctl and by tracefs, which is left as it was", async () => {
    await fixture.expectOlderModes((obj, mode) => [
      obj.program("on_entry").attachKprobe(getpgidFunction, { mode }),
      obj.program("on_return").attachKprobe(getpgidFunction, { mode, return: true }),
    ]);
  });

  it("say which function does not exist, and which is meant", async () => {
    await fixture.load(["on_entry", "on_nothing"], (obj) => {
      const program = obj.program("on_entry");
      const wrong = getpgidFunction.replace("pgid", "pgidd");
      expect(() => program.attachKprobe(wrong)).toThrow(NotFoundError);
      expect(() => program.attachKprobe(wrong)).toThrow(getpgidFunction);
      expect(() => obj.program("on_nothing").attach()).toThrow("the kernel has no function does_not_exist");
      expect(() => program.attachKprobe(getpgidFunction, { offset: 8, return: true })).toThrow("has no offset");
      expect(() => program.attachKprobe(getpgidFunction, { offset: -1 })).toThrow("not an offset");
      expect(() => program.attachKprobe(getpgidFunction, { offset: 1 << 20 })).toThrow("kprobe");
      expect(fixture.traceEvents()).toEqual([]);
    });
  });
});

kernelDescribe("kprobes on many functions, one event each", { needs: ["kprobe", "kretprobe", "array_mmap"] }, () => {
  it("are one attachment, by pattern, names or addresses", async () => {
    await fixture.load(["on_entry", "on_return"], (obj) => {
      const program = obj.program("on_entry");
      const other = getpgidFunction.replace("getpgid", "getsid");
      for (const functions of ["*_sys_getpg?d", [getpgidFunction, other]]) {
        const link = program.attachKprobeMulti(functions);
        expect(link.kind).toBe("kprobe_multi");
        expect(growth(obj, "entries")).toBe(3n);
        link.close();
        expect(growth(obj, "entries")).toBe(0n);
      }
      const ret = obj.program("on_return").attachKprobeMulti([getpgidFunction, other], { return: true });
      expect(growth(obj, "returns")).toBe(3n);
      ret.close();
      expect(growth(obj, "returns")).toBe(0n);
      const wrong = getpgidFunction.replace("pgid", "pgidd");
      expect(() => program.attachKprobeMulti([getpgidFunction, wrong])).toThrow(`has no function ${wrong}; did you`);
      expect(growth(obj, "entries")).toBe(0n);
    });
  });

  kernelIt("have a cookie each", { needs: ["perf_link", "bpf_cookie"] }, async () => {
    await fixture.load(["on_entry_cookie"], (obj) => {
      const other = getpgidFunction.replace("getpgid", "getsid");
      const program = obj.program("on_entry_cookie");
      using _link = program.attachKprobeMulti([other, getpgidFunction], { cookies: [1n, 77n] });
      expect(growth(obj, "entries")).toBe(3n);
      expect(obj.bss.last_cookie).toBe(77n);
    });
  });

  kernelIt("are what kernels without links of many are asked for", { needs: ["bpf_cookie"] }, async () => {
    await fixture.load(["on_many"], (obj) => {
      if (missingOf(["kprobe_multi"]).length > 0 && !olderThan("5.18")) {
        expect(() => obj.attach()).toThrow(/no links of many kprobes.*CONFIG_FPROBE; a program of SEC\("kprobe"\)/s);
        return;
      }
      const [link] = obj.attach();
      expect(growth(obj, "multi_entries")).toBe(3n);
      link?.close();
      expect(growth(obj, "multi_entries")).toBe(0n);
    });
  });
});

kernelDescribe("kprobes on many functions", { needs: ["kprobe_multi", "array_mmap"] }, () => {
  it("run for all that a pattern matches", async () => {
    await fixture.expectPattern("kprobe_multi");
  });

  it("take names with a cookie each, or addresses", async () => {
    await fixture.load(["on_many"], (obj) => {
      const program = obj.program("on_many");
      const getpgrp = getpgidFunction.replace("getpgid", "getsid");
      const link = program.attachKprobeMulti([getpgrp, getpgidFunction], { cookies: [1n, 77n] });
      expect(growth(obj, "multi_entries")).toBe(3n);
      expect(obj.bss.last_cookie).toBe(77n);
      link.close();
      expect(() => program.attachKprobeMulti("*_sys_getpgid", { cookies: [1n] })).toThrow("a list of names");
      expect(() => program.attachKprobeMulti("*_sys_get*", { unique: true })).toThrow("kernel functions match");
      expect(() => program.attachKprobeMulti("no_such_function_*")).toThrow("no kernel function that can be traced");
      expect(() => program.attachKprobeMulti("no_such_function")).toThrow("has no function no_such_function");
      const wrong = getpgidFunction.replace("pgid", "pgidd");
      const near = new RegExp(`no function ${wrong}; did you mean .*${getpgidFunction}`);
      expect(() => program.attachKprobeMulti([getpgidFunction, wrong])).toThrow(near);
      expect(() => program.attachKprobeMulti([])).toThrow("no functions");
    });
  });

  kernelIt("run at entry and return of a session, if the entry says so", { needs: ["kprobe_session"] }, async () => {
    await fixture.expectSession();
  });
});
