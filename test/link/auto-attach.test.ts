// How section names say what to attach to (libbpf.md 2.3): every accepted spelling with what is made of it, and every
// refused one with the form that it should have. Nothing is attached.

import { afterEach, expect, it, vi } from "vitest";
import { ObjectError } from "../../src/index.js";
import { autoAttach } from "../../src/link/index.js";
import { matchSection } from "../../src/object/index.js";
import type { ProgramHandle } from "../../src/program/index.js";

const calls = vi.hoisted(() => [] as unknown[][]);

function recorder(name: string) {
  return (_program: unknown, ...args: unknown[]): void => void calls.push([name, ...args]);
}

vi.mock("../../src/link/kprobe.js", () => ({
  attachKprobe: recorder("kprobe"),
  attachKsyscall: recorder("ksyscall"),
}));
vi.mock("../../src/link/kprobe-multi.js", () => ({ attachKprobeMulti: recorder("kprobeMulti") }));
vi.mock("../../src/link/tracepoint.js", () => ({ attachTracepoint: recorder("tracepoint") }));
vi.mock("../../src/link/raw-tracepoint.js", () => ({ attachRawTracepoint: recorder("rawTracepoint") }));
vi.mock("../../src/link/uprobe.js", () => ({ attachUprobe: recorder("uprobe"), checkPid: () => undefined }));
vi.mock("../../src/link/uprobe-multi.js", () => ({ attachUprobeMulti: recorder("uprobeMulti") }));
vi.mock("../../src/link/usdt.js", () => ({
  attachUsdt: (_program: unknown, _maps: unknown, options: unknown) => void calls.push(["usdt", options]),
}));

afterEach(() => {
  calls.length = 0;
});

/** What attaching a program of this section comes to. */
function attach(section: string): unknown {
  const match = matchSection(section);
  const program = {
    ...{ name: "f", file: "f.bpf.o", sectionName: section, spec: { type: match?.definition.programType } },
    definition: match?.definition,
    attachTarget: match?.target,
  } as unknown as ProgramHandle;
  const result = autoAttach(program, () => undefined);
  return calls.length === 0 ? result : calls.at(-1);
}

const FUNCTION = { return: false, offset: 0 };

it.each<[string, unknown]>([
  ["tp/sched/sched_switch", ["tracepoint", "sched", "sched_switch"]],
  ["tracepoint/syscalls/sys_enter_openat", ["tracepoint", "syscalls", "sys_enter_openat"]],
  ["tp.s/syscalls/sys_enter_openat", ["tracepoint", "syscalls", "sys_enter_openat"]],
  ["raw_tp/sched_switch", ["rawTracepoint", "sched_switch"]],
  ["raw_tracepoint/sched_switch", ["rawTracepoint", "sched_switch"]],
  ["raw_tp.w/writable", ["rawTracepoint", "writable"]],
  ["raw_tracepoint.s/sys_enter", ["rawTracepoint", "sys_enter"]],
  ["kprobe/do_unlinkat", ["kprobe", "do_unlinkat", FUNCTION]],
  ["kprobe/tcp_v4_connect.isra.0", ["kprobe", "tcp_v4_connect.isra.0", FUNCTION]],
  ["kprobe/do_unlinkat+16", ["kprobe", "do_unlinkat", { return: false, offset: 16 }]],
  ["kprobe/do_unlinkat+0x10", ["kprobe", "do_unlinkat", { return: false, offset: 16 }]],
  ["kprobe/do_unlinkat+020", ["kprobe", "do_unlinkat", { return: false, offset: 16 }]],
  ["kretprobe/do_unlinkat", ["kprobe", "do_unlinkat", { return: true, offset: 0 }]],
  ["ksyscall/openat", ["ksyscall", "openat", { return: false }]],
  ["kretsyscall/openat", ["ksyscall", "openat", { return: true }]],
  ["kprobe.multi/tcp_*", ["kprobeMulti", "tcp_*", { return: false }]],
  ["kprobe.multi/vfs_rea?", ["kprobeMulti", "vfs_rea?", { return: false }]],
  ["kretprobe.multi/vfs_read", ["kprobeMulti", "vfs_read", { return: true }]],
  ["kprobe.session/tcp_*", ["kprobeMulti", "tcp_*"]],
  ["uprobe/libc.so.6:malloc", ["uprobe", { binary: "libc.so.6", symbol: "malloc", ...FUNCTION }]],
  [
    "uprobe.s//usr/bin/node:main+0x1f",
    ["uprobe", { binary: "/usr/bin/node", symbol: "main", return: false, offset: 31 }],
  ],
  [
    "uretprobe/libc.so.6:malloc@@GLIBC_2.2.5",
    ["uprobe", { binary: "libc.so.6", symbol: "malloc@@GLIBC_2.2.5", return: true, offset: 0 }],
  ],
  ["uretprobe.s/bash:readline", ["uprobe", { binary: "bash", symbol: "readline", return: true, offset: 0 }]],
  // A plus belongs to the name unless a whole number follows; the binary ends at the first colon.
  ["uprobe/x:operator+", ["uprobe", { binary: "x", symbol: "operator+", ...FUNCTION }]],
  ["uprobe/x:a+b+7", ["uprobe", { binary: "x", symbol: "a+b", return: false, offset: 7 }]],
  ["uprobe/x:ns::f", ["uprobe", { binary: "x", symbol: "ns::f", ...FUNCTION }]],
  ["uprobe/app.apk!/lib/x.so:f", ["uprobe", { binary: "app.apk!/lib/x.so", symbol: "f", ...FUNCTION }]],
  ["uprobe.multi/libc.so.6:get*", ["uprobeMulti", { binary: "libc.so.6", pattern: "get*", return: false }]],
  ["uretprobe.multi.s/libc.so.6:getppid", ["uprobeMulti", { binary: "libc.so.6", pattern: "getppid", return: true }]],
  ["uprobe.session/libc.so.6:get*", ["uprobeMulti", { binary: "libc.so.6", pattern: "get*", return: false }]],
  ["uprobe.session.s/libc.so.6:get*", ["uprobeMulti", { binary: "libc.so.6", pattern: "get*", return: false }]],
  ["usdt/libc.so.6:libc:setjmp", ["usdt", { binary: "libc.so.6", provider: "libc", name: "setjmp" }]],
  // libbpf refuses this one.
  ["usdt.s//usr/bin/x:p:n", ["usdt", { binary: "/usr/bin/x", provider: "p", name: "n" }]],
])("%s", (section, made) => {
  expect(attach(section)).toEqual(made);
});

it.each([
  ..."tp tracepoint tp.s raw_tp raw_tracepoint.w kprobe kretprobe ksyscall kprobe.multi kretprobe.multi".split(" "),
  ..."kprobe.session uprobe uretprobe.s uprobe.multi uprobe.session usdt usdt.s iter".split(" "),
  ..."fentry.multi fexit.multi.s fsession.multi xdp tc tcx/ingress cgroup/connect4 socket sk_lookup perf_event".split(
    " ",
  ),
  ..."netfilter struct_ops struct_ops/init lsm_cgroup/socket_bind syscall lwt_in action".split(" "),
])("%s is attached by hand", (section) => {
  expect(attach(section)).toBeUndefined();
});

it.each([
  ["tp/sched", "tp/CATEGORY/NAME"],
  ["tp//name", "tp/CATEGORY/NAME"],
  ["tp/sched/", "tp/CATEGORY/NAME"],
  ["tp/", "tp/CATEGORY/NAME"],
  ["raw_tp/", "raw_tp/NAME"],
  ["kprobe/", "kprobe/FUNCTION[+OFFSET]"],
  ["kprobe/a b", "kprobe/FUNCTION[+OFFSET]"],
  ["kprobe/f+", "kprobe/FUNCTION[+OFFSET]"],
  ["kprobe/f+-1", "kprobe/FUNCTION[+OFFSET]"],
  ["kprobe/f+1x", "kprobe/FUNCTION[+OFFSET]"],
  ["kretprobe/f+4", "kretprobe/FUNCTION"],
  ["ksyscall/", "ksyscall/NAME"],
  ["kprobe.multi/a-b", "kprobe.multi/PATTERN"],
  ["kretprobe.multi/tcp_[ab]", "kretprobe.multi/PATTERN"],
  ["kprobe.session/a b", "kprobe.session/PATTERN"],
  ["uprobe/malloc", "uprobe/BINARY:FUNCTION[+OFFSET]"],
  ["uprobe/:malloc", "uprobe/BINARY:FUNCTION[+OFFSET]"],
  ["uprobe/libc.so.6:", "uprobe/BINARY:FUNCTION[+OFFSET]"],
  ["uretprobe/libc.so.6:malloc+4", "uretprobe/BINARY:FUNCTION"],
  ["uprobe.multi/malloc", "uprobe.multi/BINARY:PATTERN"],
  ["uretprobe.multi.s/x:", "uretprobe.multi.s/BINARY:PATTERN"],
  ["usdt/libc.so.6:setjmp", "usdt/BINARY:PROVIDER:NAME"],
  ["usdt/a:b:c:d", "usdt/BINARY:PROVIDER:NAME"],
  ["usdt.s/x::n", "usdt/BINARY:PROVIDER:NAME"],
])("%s is refused: it should be %s", (section, form) => {
  expect(() => attach(section)).toThrow(ObjectError);
  expect(() => attach(section)).toThrow(`the section name ${section} does not have the form ${form}`);
  expect(calls).toEqual([]);
});
