// Programs on functions of the kernel and its security hooks: they run for this process with the right arguments, and no
// more when their link is closed. What they refuse is this process's own.

import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BpfObject, BpfObject as Objects, UnsupportedError } from "../../src/index.js";
import { securityModules } from "../../src/kernel/index.js";
import { ffi } from "../../src/syscall/ffi.js";
import { withBpfFs } from "../support/bpffs.js";
import { runInCgroup, withCgroup } from "../support/cgroup.js";
import { call, ProbeError } from "../support/features/calls.js";
import { eventually, fixturePath, loadError, openDescriptors, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

/** An edit: these programs only, for this process. */
function only(...names: string[]): (obj: BpfObject) => void {
  return (obj) => {
    for (const program of obj.programs) program.autoload = names.includes(program.name);
    obj.rodata.target_pid = process.pid;
  };
}

const load = (names: readonly string[], body: (obj: BpfObject) => void | Promise<void>): Promise<void> =>
  withLoaded("trampolines", only(...names), body);

/** What getpgid() answers, which is what most of the programs watch. */
const getpgid = (): number => call("getpgid", process.pid);

/** How much a counter grows by three of them. */
function growth(obj: BpfObject, counter: string): bigint {
  const before = obj.bss[counter] as bigint;
  for (let i = 0; i < 3; i++) getpgid();
  return (obj.bss[counter] as bigint) - before;
}

kernelDescribe("fentry and fexit", { needs: ["fentry", "fexit", "array_mmap"] }, () => {
  it("run with arguments and result, until their link is closed", async () => {
    await load(["on_entry", "on_exit"], (obj) => {
      const links = obj.attach();
      expect(links.map(({ kind, target }) => [kind, target])).toEqual([
        ["tracing", "fentry/security_task_getpgid"],
        ["tracing", "fexit/security_task_getpgid"],
      ]);
      expect(growth(obj, "entries")).toBe(3n);
      expect(growth(obj, "exits")).toBe(3n);
      expect([obj.bss.last_argument, obj.bss.last_result]).toEqual([process.pid, 0]);
      expect(links[0]!.info()).toMatchObject({ kind: "tracing", attachType: 24 });
      expect(links[1]!.info()).toMatchObject({ kind: "tracing", attachType: 25 });
      links[0]!.close();
      expect(growth(obj, "entries")).toBe(0n);
      expect(growth(obj, "exits")).toBe(3n);
      links[1]!.close();
      expect(growth(obj, "exits")).toBe(0n);
    });
  });

  it("go on by a pin after everything else is closed", async () => {
    await withBpfFs(async (root) => {
      const before = openDescriptors();
      await load(["on_entry"], (obj) => {
        obj.attach()[0]!.pin(`${root}/link`);
        obj.map(".bss").pin(`${root}/bss`);
      });
      expect(openDescriptors()).toBe(before);
      // As another process would: the object's memory is the pinned map's.
      const runs = (): bigint => {
        using obj = Objects.open(fixturePath("trampolines"));
        only()(obj);
        obj.map(".bss").pinPath = `${root}/bss`;
        obj.loadSync();
        return obj.bss.entries as bigint;
      };
      const first = runs();
      getpgid();
      expect(runs()).toBe(first + 1n);
      rmSync(`${root}/link`);
      // A moment later the kernel has taken it away.
      const gone = await eventually(() => {
        const last = runs();
        getpgid();
        return runs() === last;
      });
      expect(gone).toBe(true);
    });
  });

  kernelIt("tell the cookie", { needs: ["tracing_cookie"] }, async () => {
    await load(["on_entry_cookie"], (obj) => {
      const link = obj.program("on_entry_cookie").attachTrace({ cookie: 0xfedc_ba98_7654_3210n });
      expect(growth(obj, "entries")).toBe(3n);
      expect(obj.bss.last_cookie).toBe(0xfedc_ba98_7654_3210n);
      link.close();
      expect(growth(obj, "entries")).toBe(0n);
      obj.program("on_entry_cookie").attachTrace();
      expect(growth(obj, "entries")).toBe(3n);
      expect(obj.bss.last_cookie).toBe(0n);
    });
  });

  kernelIt("sleep to read memory of the process", { needs: ["sleepable_fentry"] }, async () => {
    await load(["on_test", "on_test_too"], (obj) => {
      const word = BigUint64Array.of(0x1122_3344_5566_7788n);
      const bytes = new Uint8Array(word.buffer);
      obj.bss.user_address = ffi().address(bytes);
      const links = obj.attach();
      // It calls bpf_fentry_test1(1), bpf_fentry_test2(2, 3) and so on.
      obj.program("on_test_too").testRun();
      expect([obj.bss.sleepable_runs, obj.bss.last_word]).toEqual([1n, word[0]]);
      expect(obj.bss.last_argument).toBe(203);
      for (const link of links) link.close();
      obj.program("on_test_too").testRun();
      expect([obj.bss.sleepable_runs, obj.bss.last_argument]).toEqual([1n, 203]);
    });
  });

  kernelIt("sleep behind a function, and in its place", { needs: ["sleepable_fentry"] }, async () => {
    await load(["on_test_exit", "on_test_result", "on_test_too"], (obj) => {
      const run = (): unknown => obj.program("on_test_too").testRun();
      const word = BigUint64Array.of(0x0102_0304_0506_0708n);
      const bytes = new Uint8Array(word.buffer);
      obj.bss.user_address = ffi().address(bytes);
      const exit = obj.program("on_test_exit").attach();
      run();
      expect(obj.bss).toMatchObject({ sleepable_runs: 1n, last_result: 2, last_word: word[0] });
      obj.bss.last_word = 0n;
      const result = obj.program("on_test_result").attach();
      run();
      expect(obj.bss).toMatchObject({ sleepable_runs: 3n, last_result: 2, last_word: word[0] });
      obj.bss.test_result = 99;
      // The run sees that the function does not do what it should.
      expect(run).toThrow("EFAULT");
      expect(obj.bss).toMatchObject({ sleepable_runs: 5n, last_result: 99 });
      exit.close();
      result.close();
      run();
      expect(obj.bss.sleepable_runs).toBe(5n);
    });
  });

  kernelIt("sleep in a session", { needs: ["fsession", "sleepable_fentry"] }, async () => {
    await load(["on_test_session", "on_test_too"], (obj) => {
      const word = BigUint64Array.of(0x0a0b_0c0d_0e0f_0001n);
      const bytes = new Uint8Array(word.buffer);
      obj.bss.user_address = ffi().address(bytes);
      const link = obj.program("on_test_session").attach();
      obj.program("on_test_too").testRun();
      expect(obj.bss).toMatchObject({ session_entries: 1n, session_returns: 1n, last_result: 2, last_word: word[0] });
      link.close();
      obj.program("on_test_too").testRun();
      expect(obj.bss).toMatchObject({ session_entries: 1n, session_returns: 1n });
    });
  });

  kernelIt("are both in a session, which keeps a value", { needs: ["fsession"] }, async () => {
    await load(["on_session"], (obj) => {
      const [link] = obj.attach();
      expect([link!.kind, link!.target]).toEqual(["tracing", "fsession/security_task_getpgid"]);
      expect(growth(obj, "session_entries")).toBe(3n);
      expect(growth(obj, "session_returns")).toBe(3n);
      // The sixth entry kept it.
      expect(obj.bss).toMatchObject({ session_value: 1005n, last_argument: process.pid, last_result: 0 });
      link!.close();
      expect(growth(obj, "session_entries")).toBe(0n);
      expect(obj.bss.session_returns).toBe(6n);
    });
  });
});

kernelDescribe("fmod_ret", { needs: ["fmod_ret", "array_mmap"] }, () => {
  it("changes what a function returns, for as long as it is attached", async () => {
    await load(["on_result", "on_exit"], (obj) => {
      const links = obj.attach();
      expect(getpgid()).toBeGreaterThan(0);
      obj.bss.denied_pid = process.pid;
      expect(getpgid).toThrow(new ProbeError("getpgid: EACCES"));
      expect([obj.bss.modified, obj.bss.last_result]).toEqual([1n, -13]);
      for (const link of links) link.close();
      expect(getpgid()).toBeGreaterThan(0);
    });
  });
});

kernelDescribe("raw tracepoints that can be written", { needs: ["raw_tracepoint_writable", "array_mmap"] }, () => {
  it("change what comes after them", async () => {
    await withLoaded(
      "nobtf",
      () => {},
      (target) =>
        load(["on_finish"], (obj) => {
          const run = (): number => target.program("count_runs").testRun({ data: new Uint8Array(64) }).returnValue;
          const [link] = obj.attach();
          run();
          expect(obj.bss.finishes).toBe(1n);
          obj.bss.test_error = -7;
          expect(run).toThrow("E2BIG");
          link!.close();
          run();
          expect(obj.bss.finishes).toBe(2n);
        }),
    );
  });
});

kernelDescribe("security hooks", { needs: ["lsm", "array_mmap"] }, () => {
  let directory = "";
  let file = "";
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "bpfkit-lsm-"));
    file = join(directory, "file");
    writeFileSync(file, "text");
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const open = (): void => closeSync(openSync(file, "r"));

  it("refuse what the program refuses, until the link is closed", async () => {
    await load(["on_open"], (obj) => {
      obj.bss.denied_inode = statSync(file, { bigint: true }).ino;
      const [link] = obj.attach();
      expect([link!.kind, link!.target]).toEqual(["tracing", "lsm/file_open"]);
      expect(open).toThrow(/EPERM/);
      expect(obj.bss.opens).toBe(1n);
      link!.close();
      open();
      expect(obj.bss.opens).toBe(1n);
    });
  });

  kernelIt("sleep to read memory of the process", { needs: ["sleepable_lsm"] }, async () => {
    await load(["on_open_sleepable"], (obj) => {
      const word = BigUint64Array.of(0x0807_0605_0403_0201n);
      const bytes = new Uint8Array(word.buffer);
      obj.bss.user_address = ffi().address(bytes);
      obj.bss.denied_inode = statSync(file, { bigint: true }).ino;
      const [link] = obj.attach();
      open();
      // Two where the file system is an overlay, which opens the file below, too.
      const opens = obj.bss.sleepable_opens;
      expect([1n, 2n]).toContain(opens);
      expect(obj.bss.last_word).toBe(word[0]);
      link!.close();
      open();
      expect(obj.bss.sleepable_opens).toBe(opens);
    });
  });

  kernelIt("of a control group refuse for its processes only", { needs: ["lsm_cgroup"] }, async () => {
    await withCgroup((group, below) =>
      load(["on_connect"], (obj) => {
        const connect = (where: string): string => runInCgroup(where, "(exec 3<>/dev/udp/127.0.0.1/9) 2>&1 || true");
        const program = obj.program("on_connect");
        expect(() => program.attach()).toThrow("does not say what to attach to");
        const link = program.attachCgroup(below);
        expect(connect(below)).toBe("");
        expect(obj.bss.connects).toBe(1n);
        obj.bss.denied_socket = 1;
        expect(connect(group)).toBe("");
        expect(connect(below)).toMatch(/not permitted/);
        expect(obj.bss.connects).toBe(2n);
        link.close();
        expect(connect(below)).toBe("");
        expect(obj.bss.connects).toBe(2n);
      }),
    );
  });
});

kernelIt(
  "security hooks that the kernel does not call are refused",
  { needs: ["virtual_machine", "fentry"] },
  async () => {
    await load(["on_open"], (obj) => {
      const attach = (): void => obj.program("on_open").attach().close();
      // A guest that was started with MATRIX_APPEND="lsm=landlock,yama" has no such module.
      if (securityModules()?.includes("bpf") === true) attach();
      else expect(attach).toThrow(/never run: .*start it with the parameter lsm=.*,bpf\b/);
    });
  },
);

describe("a target that is not there", () => {
  kernelIt("is told with near names", { needs: ["tp_btf"] }, () => {
    expect(String(loadError("trampolines", only("on_misspelt")))).toMatch(
      /program on_misspelt.*no kernel function security_task_getpgidd; did you mean .*security_task_getpgid\b/,
    );
  });

  kernelIt("as a security hook is told with near names", { needs: ["lsm"] }, () => {
    expect(String(loadError("trampolines", only("on_misspelt_hook")))).toMatch(
      /program on_misspelt_hook.*no LSM hook file_opem; did you mean .*file_open\b/,
    );
  });
});

describe("a kernel that is too old", () => {
  kernelIt("for sessions says which one it takes", { needs: ["virtual_machine", "fentry"] }, async () => {
    const error = loadError("trampolines", only("on_session"));
    if (error === undefined) return;
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(String(error)).toMatch(
      /program on_session.*this kernel has no programs of attach type trace_fsession.*7\.0/,
    );
  });

  kernelIt("for cookies says which one it takes", { needs: ["virtual_machine", "tp_btf"] }, async () => {
    await load(["on_call"], (obj) => {
      try {
        obj.program("on_call").attachTrace({ cookie: 1n }).close();
      } catch (error) {
        expect(error).toBeInstanceOf(UnsupportedError);
        expect(String(error)).toMatch(/tp_btf\/sys_enter: this kernel is too old.*6\.10/);
      }
    });
  });
});
