// The first program of every user, on the running kernel.

import { expect, it } from "vitest";
import { BpfObject } from "../../src/index.js";
import { eventually, fixturePath, openDescriptors, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

/** Makes at least this many system calls. */
function makeSyscalls(count: number): void {
  for (let i = 0; i < count; i++) process.cpuUsage();
}

kernelDescribe("minimal.bpf.o", { needs: ["tracepoint", "array_mmap"] }, () => {
  it("counts system calls in a map and in mapped memory, and stops when it is closed", async () => {
    const obj = BpfObject.open(fixturePath("minimal"));
    try {
      obj.map("syscall_count").maxEntries = 4096;
      await obj.load();
      expect(obj.map("syscall_count").maxEntries).toBe(4096);
      expect(obj.bss.total_syscalls).toBe(0n);
      const [link] = obj.attach();
      expect(link?.target).toBe("tracepoint raw_syscalls/sys_enter");
      makeSyscalls(500);
      const own = obj.map<number, bigint>("syscall_count").get(process.pid);
      expect(own).toBeGreaterThanOrEqual(500n);
      expect(obj.bss.total_syscalls).toBeGreaterThanOrEqual(own as bigint);

      link?.close();
      const stopped = obj.bss.total_syscalls;
      makeSyscalls(100);
      expect(obj.bss.total_syscalls).toBe(stopped);
    } finally {
      obj.close();
    }
  });

  it("obeys a constant set before load", async () => {
    await withLoaded(
      "minimal",
      (obj) => {
        obj.rodata.target_pid = process.pid;
      },
      async (obj) => {
        expect(obj.rodata.target_pid).toBe(process.pid);
        obj.attach();
        makeSyscalls(200);
        const keys = [...obj.map("syscall_count").keys()];
        expect(keys).toEqual([process.pid]);
      },
    );
    await withLoaded(
      "minimal",
      (obj) => {
        obj.rodata.target_pid = 2 ** 31 - 1; // nobody
      },
      async (obj) => {
        obj.attach();
        makeSyscalls(200);
        expect(obj.bss.total_syscalls).toBe(0n);
        expect([...obj.map("syscall_count")]).toEqual([]);
      },
    );
  });

  it("shares its variables with the program in both directions", async () => {
    await withLoaded(
      "minimal",
      (obj) => {
        obj.rodata.target_pid = process.pid;
        obj.bss.total_syscalls = 1_000_000n;
      },
      async (obj) => {
        expect(obj.bss.total_syscalls).toBe(1_000_000n);
        obj.attach();
        expect(await eventually(() => (obj.bss.total_syscalls as bigint) > 1_000_100n)).toBe(true);
        obj.bss.total_syscalls = 5n;
        makeSyscalls(50);
        expect(obj.bss.total_syscalls).toBeGreaterThanOrEqual(55n);
        expect(obj.bss.total_syscalls).toBeLessThan(1_000_000n);
      },
    );
  });

  it("attaches by hand, once, and again after detaching", async () => {
    await withLoaded(
      "minimal",
      (obj) => {
        obj.rodata.target_pid = process.pid;
      },
      (obj) => {
        const program = obj.program("count_syscall");
        for (let round = 1; round <= 2; round++) {
          const link = program.attachTracepoint("raw_syscalls", "sys_enter");
          expect(() => program.attachTracepoint("raw_syscalls", "sys_enter")).toThrow(
            /cannot attach to tracepoint raw_syscalls\/sys_enter: .*EEXIST.*\(this program is attached there already\)/,
          );
          const before = obj.bss.total_syscalls as bigint;
          makeSyscalls(100);
          expect((obj.bss.total_syscalls as bigint) - before).toBeGreaterThanOrEqual(100n);
          expect(program.links).toEqual([link]);
          expect(obj.attach()).toEqual([]);
          link.close();
          expect(program.links).toEqual([]);
        }
        expect(obj.attach().length).toBe(1);
        obj.detach();
        expect(program.links).toEqual([]);
      },
    );
  });

  it("says what is near when a tracepoint does not exist", async () => {
    await withLoaded(
      "minimal",
      () => {},
      (obj) => {
        const program = obj.program("count_syscall");
        expect(() => program.attachTracepoint("raw_syscalls", "sys_entr")).toThrow(
          /minimal\.bpf\.o, program count_syscall: no tracepoint raw_syscalls\/sys_entr; did you mean sys_enter/,
        );
        expect(() => program.attachTracepoint("raw_syscall", "sys_enter")).toThrow(
          /no tracepoint category raw_syscall; did you mean raw_syscalls/,
        );
        expect(() => program.attachTracepoint("../events/raw_syscalls", "sys_enter")).toThrow(/no tracepoint category/);
      },
    );
  });

  // Each detachment waits for the kernel: half a minute in an emulated guest that has a CPU of its own.
  it("leaves no descriptor behind after 100 rounds", { timeout: 300_000 }, async () => {
    const round = async (sync: boolean): Promise<void> => {
      const obj = BpfObject.open(fixturePath("minimal"));
      try {
        if (sync) obj.loadSync();
        else await obj.load();
        obj.attach();
        makeSyscalls(1);
        expect(obj.bss.total_syscalls).not.toBe(0n);
      } finally {
        obj.close();
      }
    };
    await round(true);
    await round(false);
    const before = openDescriptors();
    for (let i = 0; i < 100; i++) await round(i % 2 === 0);
    expect(openDescriptors()).toBe(before);
  });
});
