// Probes on user programs: the handler runs for this process's calls of the C library, and no more after close().

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { BinaryFunctions } from "../../src/elf/index.js";
import { type BpfObject, NotFoundError } from "../../src/index.js";
import { withUserBinary } from "../../src/kernel/index.js";
import { only, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";
import { ProbeFixture } from "../support/probes.js";

/** The C library that this process runs. */
const libc = /\S*\/libc\.so\.6$/m.exec(readFileSync("/proc/self/maps", "latin1"))?.[0] ?? "libc.so.6";
const pid = process.pid;

const fixture = new ProbeFixture("uprobes", () => {
  expect(process.ppid).toBeGreaterThan(0);
});
const growth = fixture.growth.bind(fixture);

const offsetOf = (name: string): number =>
  withUserBinary(libc, ({ source }) => new BinaryFunctions(source).find([name])[0]!);

kernelDescribe("uprobes", { needs: ["uprobe", "array_mmap"] }, () => {
  it("run at entry and return of a function, until they are detached", async () => {
    await fixture.load(["on_entry", "on_return"], (obj) => {
      const entry = obj.program("on_entry").attachUprobe({ binary: libc, symbol: "getppid", pid });
      const ret = obj.program("on_return").attachUprobe({ binary: libc, symbol: "getppid", pid: 0, return: true });
      expect([entry.kind, ret.target]).toEqual(["uprobe", `uretprobe ${libc}:getppid`]);
      expect(growth(obj, "entries")).toBe(3n);
      expect(growth(obj, "returns")).toBe(3n);
      expect(obj.bss.last_result).toBe(BigInt(process.ppid));
      entry.close();
      expect(growth(obj, "entries")).toBe(0n);
      ret.close();
      expect(growth(obj, "returns")).toBe(0n);
    });
  });

  it("see arguments, and run at offsets, of the file and of a function", async () => {
    await fixture.load(["on_entry"], (obj) => {
      const program = obj.program("on_entry");
      {
        using link = program.attachUprobe({ binary: libc, symbol: "kill", pid });
        process.kill(pid, 0);
        expect(obj.bss.last_argument).toBe(BigInt(pid));
        expect(link.attached).toBe(true);
      }
      const offset = offsetOf("getppid");
      using _ = program.attachUprobe({ binary: libc, offset, pid });
      expect(growth(obj, "entries")).toBe(3n);
      // The same place twice: both run.
      using _again = program.attachUprobe({ binary: libc, symbol: "getppid", offset: 0, pid });
      expect(growth(obj, "entries")).toBe(6n);
    });
  });

  it("of another process do not run here", async () => {
    await fixture.load(["on_entry"], (obj) => {
      using _ = obj.program("on_entry").attachUprobe({ binary: libc, symbol: "getppid", pid: process.ppid });
      expect(growth(obj, "entries")).toBe(0n);
    });
  });

  it("are attached by the section's name", async () => {
    await fixture.load(["on_named", "on_named_return"], (obj) => {
      const links = obj.attach();
      expect(links.map(({ target }) => target)).toEqual(["uprobe libc.so.6:getppid", "uretprobe libc.so.6:getppid"]);
      expect(growth(obj, "entries")).toBe(3n);
      expect(obj.bss.last_result).toBe(BigInt(process.ppid));
    });
  });

  kernelIt("tell the cookie, and what the kernel knows", { needs: ["perf_link", "bpf_cookie"] }, async () => {
    await fixture.load(["on_entry_cookie"], (obj) => {
      const program = obj.program("on_entry_cookie");
      using link = program.attachUprobe({ binary: libc, symbol: "getppid", pid, cookie: 0xfedc_ba98_7654_3210n });
      expect(growth(obj, "entries")).toBe(3n);
      expect(obj.bss.last_cookie).toBe(0xfedc_ba98_7654_3210n);
      expect(link.info()).toMatchObject({ kind: "perf_event" });
    });
  });

  kernelIt("can be attached by ioctl and by tracefs, which is left as it was", { needs: ["tracefs"] }, async () => {
    const place = { binary: libc, symbol: "getppid", pid };
    await fixture.expectOlderModes((obj, mode) => [
      obj.program("on_entry").attachUprobe({ ...place, mode }),
      obj.program("on_return").attachUprobe({ ...place, mode, return: true }),
    ]);
  });

  it("say what does not exist, and what is meant", async () => {
    const programs = ["on_entry", "on_no_binary", "on_return_offset", "on_nothing"];
    await fixture.load(programs, (obj) => {
      const program = obj.program("on_entry");
      expect(() => program.attachUprobe({ binary: libc, symbol: "getpppid" })).toThrow(NotFoundError);
      expect(() => program.attachUprobe({ binary: libc, symbol: "getpppid" })).toThrow(/did you mean .*getppid/);
      expect(() => obj.program("on_nothing").attach()).toThrow("has no function getpppid");
      expect(() => program.attachUprobe({ binary: "no-such-binary", symbol: "x" })).toThrow("no executable");
      expect(() => program.attachUprobe({ binary: "libnone.so", symbol: "x" })).toThrow("no shared object");
      expect(() => program.attachUprobe({ binary: "/no/such", symbol: "x" })).toThrow("there is no file /no/such");
      expect(() => program.attachUprobe({ binary: "/proc/self/comm", symbol: "x" })).toThrow("/proc/self/comm");
      expect(() => program.attachUprobe({ binary: libc })).toThrow("needs a symbol or an offset");
      expect(() => program.attachUprobe({ binary: libc, offset: -1 })).toThrow("offset is not an offset");
      expect(() => program.attachUprobe({ binary: libc, offset: 1, pid: -7 })).toThrow("not a process id");
      expect(() => program.attachUprobe({ binary: libc, offset: 2 ** 40, pid })).toThrow("cannot attach to uprobe");
      expect(() => obj.program("on_no_binary").attach()).toThrow("uprobe/BINARY:FUNCTION[+OFFSET]");
      expect(() => obj.program("on_return_offset").attach()).toThrow("uretprobe/BINARY:FUNCTION");
    });
  });

  it("name the file that was found in PATH when it is no executable", () => {
    const folder = mkdtempSync(join(tmpdir(), "bpfkit-path-"));
    const { PATH } = process.env;
    try {
      writeFileSync(join(folder, "tool"), "#!/bin/sh\n", { mode: 0o755 });
      process.env.PATH = folder;
      expect(() => withUserBinary("tool", ({ source }) => new BinaryFunctions(source))).toThrow(join(folder, "tool"));
    } finally {
      process.env.PATH = PATH;
      rmSync(folder, { recursive: true });
    }
  });
});

kernelDescribe("sleepable uprobes", { needs: ["sleepable_uprobe", "uprobe", "array_mmap"] }, () => {
  /** Goes to the working directory by its name; the programs read it where the C library's caller has it. */
  const change = (): void => process.chdir(process.cwd());
  const start = process.cwd().slice(0, 16);
  const seen = (obj: BpfObject): unknown[] => [obj.bss.entries, obj.bss.returns, String(obj.bss.path).slice(0, 15)];

  for (const [what, programs, needs, each] of [
    ["uprobe.s, uretprobe.s", ["on_entry", "on_return"], [], [1n, 1n]],
    ["uprobe.multi.s, uretprobe.multi.s", ["on_many", "on_many_returns"], ["uprobe_multi"], [1n, 1n]],
    ["uprobe.session.s", ["on_session"], ["uprobe_session"], [1n, 1n]],
  ] as const) {
    kernelIt(what, { needs }, async () => {
      const edit = (obj: BpfObject): void => {
        only(...programs)(obj);
        obj.rodata.target_pid = process.pid;
      };
      await withLoaded("sleepable", edit, (obj) => {
        const links = obj.attach();
        expect(links.length).toBe(programs.length);
        expect(seen(obj)).toEqual([0n, 0n, ""]);
        change();
        expect(seen(obj)).toEqual([...each, start.slice(0, 15)]);
        for (const link of links) link.close();
        change();
        expect(seen(obj).slice(0, 2)).toEqual(each);
      });
    });
  }
});

kernelDescribe("uprobes on many functions, one event each", { needs: ["uprobe", "perf_link", "bpf_cookie"] }, () => {
  it("are one attachment", async () => {
    await fixture.load(["on_entry_cookie"], (obj) => {
      const program = obj.program("on_entry_cookie");
      const link = program.attachUprobeMulti({ binary: libc, symbols: ["getppid", "kill"], cookies: [1n, 50n], pid });
      expect(link.kind).toBe("uprobe_multi");
      expect(growth(obj, "cookie_sum")).toBe(3n);
      process.kill(pid, 0);
      expect(obj.bss.last_cookie).toBe(50n);
      link.close();
      expect(growth(obj, "entries")).toBe(0n);
    });
  });
});

kernelDescribe("uprobes on many functions", { needs: ["uprobe_multi", "array_mmap"] }, () => {
  it("run for all that a pattern matches", async () => {
    await fixture.expectPattern("uprobe_multi");
  });

  it("take names or offsets with a cookie each", async () => {
    await fixture.load(["on_many"], (obj) => {
      const program = obj.program("on_many");
      const cookies = [7n, 1000n];
      for (const where of [{ symbols: ["getppid", "kill"] }, { offsets: [offsetOf("getppid"), offsetOf("kill")] }]) {
        using link = program.attachUprobeMulti({ binary: libc, ...where, cookies, pid });
        expect(growth(obj, "cookie_sum")).toBe(21n);
        process.kill(pid, 0);
        expect(obj.bss.last_cookie).toBe(1000n);
        expect(link.info()).toMatchObject({ kind: "uprobe_multi", pid });
      }
      using _ = program.attachUprobeMulti({ binary: libc, pattern: "getppi*", pid: 0, return: true });
      expect(growth(obj, "multi_entries")).toBe(3n);
      const refuse = (options: object, reason: string): void =>
        expect(() => program.attachUprobeMulti({ binary: libc, ...options })).toThrow(reason);
      refuse({ pattern: "no_such_function_*" }, "has no functions that match");
      refuse({ pattern: "no_such_function" }, "has no function no_such_function");
      refuse({ pattern: "get*", cookies: [1n] }, "a list of symbols");
      refuse({ symbols: [] }, "no places");
      refuse({ symbols: ["kill"], offsets: [1] }, "one of pattern, symbols and offsets");
      refuse({ offsets: [-1] }, "not a file offset");
    });
  });

  kernelIt("run at entry and return of a session, if the entry says so", { needs: ["uprobe_session"] }, async () => {
    await fixture.expectSession();
  });
});
