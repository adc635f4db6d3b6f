// Tracepoints of each kind, by the system calls of this process: argument, cookie, and silence after close().

import { expect } from "vitest";
import type { BpfLink, BpfObject, BpfProgram } from "../../src/index.js";
import { call } from "../support/features/calls.js";
import { only, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

/** Loads one program for this process. */
const pick =
  (name: string) =>
  (obj: BpfObject): void => {
    only(name)(obj);
    obj.rodata.target_pid = process.pid;
  };

/** The program runs for each call, with its argument, until the link is closed. */
async function sees(name: string, attach: (program: BpfProgram) => BpfLink, also?: (obj: BpfObject) => void) {
  await withLoaded("tracepoints", pick(name), (obj) => {
    const link = attach(obj.program(name));
    for (let i = 0; i < 3; i++) call("getpgid", process.pid);
    expect([obj.bss.runs, obj.bss.argument]).toEqual([3n, BigInt(process.pid)]);
    also?.(obj);
    link.close();
    call("getpgid", process.pid);
    expect(obj.bss.runs).toBe(3n);
  });
}

const byName = (program: BpfProgram): BpfLink => program.attach();
const COOKIE = 0xfedc_ba98_7654_3210n;
const hasCookie = (obj: BpfObject): void => expect(obj.bss.cookie).toBe(COOKIE);

kernelDescribe("tracepoints", { needs: ["tracepoint", "raw_tracepoint", "array_mmap"] }, () => {
  kernelIt("tp", { needs: [] }, () => sees("on_tp", byName));
  kernelIt("raw_tp", { needs: [] }, () => sees("on_raw_tp", byName));
  kernelIt("tp_btf", { needs: ["tp_btf"] }, () => sees("on_tp_btf", byName));

  kernelIt("tracepoint, with a cookie", { needs: ["perf_link", "bpf_cookie"] }, () =>
    sees(
      "on_tracepoint",
      (program) => program.attachTracepoint("syscalls", "sys_enter_getpgid", { cookie: COOKIE }),
      hasCookie,
    ),
  );
  kernelIt("raw_tracepoint, with a cookie", { needs: ["raw_tracepoint_cookie"] }, () =>
    sees("on_raw_tracepoint", (program) => program.attachRawTracepoint("sys_enter", { cookie: COOKIE }), hasCookie),
  );
  kernelIt("tp_btf, with a cookie", { needs: ["tp_btf", "raw_tracepoint_cookie"] }, () =>
    sees("on_tp_btf_cookie", (program) => program.attachTrace({ cookie: COOKIE }), hasCookie),
  );
});

kernelDescribe("sleepable tracepoints", { needs: ["sleepable_tracepoint", "array_mmap"] }, () => {
  for (const [section, name] of [
    ["tp.s", "on_sleepable_tp"],
    ["tracepoint.s", "on_sleepable_tracepoint"],
    ["raw_tp.s", "on_sleepable_raw_tp"],
    ["raw_tracepoint.s", "on_sleepable_raw_tracepoint"],
    ["tp_btf.s", "on_sleepable_tp_btf"],
  ] as const) {
    kernelIt(section, { needs: [] }, async () => {
      await withLoaded("tracepoints", pick(name), (obj) => {
        const link = obj.program(name).attach();
        process.chdir(process.cwd());
        expect([obj.bss.runs, String(obj.bss.path).slice(0, 15)]).toEqual([1n, process.cwd().slice(0, 15)]);
        link.close();
        process.chdir(process.cwd());
        expect(obj.bss.runs).toBe(1n);
      });
    });
  }
});
