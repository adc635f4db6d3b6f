// Probes of tracing hooks: a counting program is attached, its hook is triggered, and it has to have run.

import { existsSync, openSync, readFileSync, readSync } from "node:fs";
import { release } from "node:os";
import { bpf, call, type Field, ProbeError, struct, text, withDescriptors } from "./calls.js";
import { getpgidFunction, Kind, kernelType } from "./kernel-types.js";
import { addressProgram, createCounter, expectRuns, getpgid, load, loadBtf, nestedProgram, Type } from "./programs.js";

const TEST_RUN = 10;
const RAW_TRACEPOINT_OPEN = 17;
const LINK_CREATE = 28;
const ITER_CREATE = 33;
const PERF_TYPE_SOFTWARE = 1;
const PERF_TYPE_TRACEPOINT = 2;
const IOC_SET_BPF = 0x40042408;
const IOC_ENABLE = 0x2400;
const CLOEXEC = 8n;

/** Attach types (enum bpf_attach_type). */
const Attach = {
  traceRawTp: 23,
  fentry: 24,
  fexit: 25,
  modifyReturn: 26,
  lsmMac: 27,
  traceIter: 28,
  perfEvent: 41,
  kprobeMulti: 42,
  kprobeSession: 56,
  uprobeMulti: 48,
  uprobeSession: 57,
  fsession: 58,
  fentryMulti: 59,
} as const;

/** A descriptor of a perf event of this thread. */
function perfEvent(type: number, fields: readonly Field[]): number {
  const attr = struct(120, [[0, "u32", type], [4, "u32", 120], ...fields]);
  return call("perf_event_open", attr, 0, -1, -1, CLOEXEC);
}

/** Type number of a dynamic perf unit. */
function perfUnit(name: string): number {
  const path = `/sys/bus/event_source/devices/${name}/type`;
  if (!existsSync(path)) throw new ProbeError(`no perf unit ${name}`);
  return Number(readFileSync(path, "utf8"));
}

/** A program attached to a perf event by ioctl, as before Linux 5.15. */
function attachByIoctl(event: number, program: number): void {
  call("ioctl", event, IOC_SET_BPF, program);
  call("ioctl", event, IOC_ENABLE, 0);
}

/** kprobe (`config` 0) or kretprobe (1) by the perf unit. */
export function kprobeProbe(config: 0 | 1): () => void {
  return () =>
    withDescriptors((own) => {
      const counter = own(createCounter());
      const fields: Field[] = [
        [8, "u64", config],
        [56, "u64", text(getpgidFunction)],
      ];
      const event = own(perfEvent(perfUnit("kprobe"), fields));
      attachByIoctl(event, own(load(Type.kprobe, counter)));
      expectRuns(counter, getpgid);
    });
}

/** uprobe at the entry point of node itself: it runs once per process, so attaching is all that is tried. */
export function uprobeProbe(): void {
  withDescriptors((own) => {
    const fields: Field[] = [
      [56, "u64", text(process.execPath)],
      [64, "u64", entryOffset(process.execPath)],
    ];
    const event = own(perfEvent(perfUnit("uprobe"), fields));
    attachByIoctl(event, own(load(Type.kprobe, own(createCounter()))));
  });
}

/** A software clock, without a program. */
export function perfEventProbe(): void {
  withDescriptors((own) => {
    const event = own(perfEvent(PERF_TYPE_SOFTWARE, softwareClock));
    attachByIoctl(event, own(load(Type.perfEvent, own(createCounter()))));
  });
}

/** BPF_LINK_CREATE on a perf event. */
export function perfLinkProbe(): void {
  withDescriptors((own) => {
    const event = own(perfEvent(PERF_TYPE_SOFTWARE, softwareClock));
    own(link(own(load(Type.perfEvent, own(createCounter()))), event, Attach.perfEvent));
  });
}

/** A link with a list of functions. */
export const kprobeMultiProbe: () => void = multiProbe(Attach.kprobeMulti);
export const kprobeSessionProbe: () => void = multiProbe(Attach.kprobeSession);

function multiProbe(attachType: number): () => void {
  return () =>
    withDescriptors((own) => {
      const counter = own(createCounter());
      const names = struct(8, [[0, "u64", text(getpgidFunction)]]);
      const program = own(load(Type.kprobe, counter, { expectedAttachType: attachType }));
      own(
        link(program, 0, attachType, [
          [20, "u32", 1],
          [24, "u64", names],
        ]),
      );
      expectRuns(counter, getpgid);
    });
}

/** A link with a list of offsets in a file. */
export const uprobeMultiProbe: () => void = offsetsProbe(Attach.uprobeMulti);
export const uprobeSessionProbe: () => void = offsetsProbe(Attach.uprobeSession);

function offsetsProbe(attachType: number): () => void {
  return () =>
    withDescriptors((own) => {
      const program = own(load(Type.kprobe, own(createCounter()), { expectedAttachType: attachType }));
      const offsets = struct(8, [[0, "u64", entryOffset(process.execPath)]]);
      own(
        link(program, 0, attachType, [
          [16, "u64", text(process.execPath)],
          [24, "u64", offsets],
          [48, "u32", 1],
        ]),
      );
    });
}

/** The tracepoint of entering getpgid(). */
export function tracepointProbe(): void {
  withDescriptors((own) => {
    const counter = own(createCounter());
    const path = `${tracefs(own)}/events/syscalls/sys_enter_getpgid/id`;
    if (!existsSync(path)) throw new ProbeError("no tracepoints of system calls");
    const event = own(perfEvent(PERF_TYPE_TRACEPOINT, [[8, "u64", Number(readFileSync(path, "utf8"))]]));
    attachByIoctl(event, own(load(Type.tracepoint, counter)));
    expectRuns(counter, getpgid);
  });
}

/** tracefs with events, mounted or mountable. */
export function tracefsProbe(): void {
  withDescriptors((own) => void tracefs(own));
}

/** A raw tracepoint by name. */
export function sleepableTracepointProbe(): void {
  // Not even tried where it is refused for sure.
  if (Number.parseInt(release(), 10) < 7) throw new ProbeError("before Linux 7 only others sleep");
  const SLEEPABLE = 1 << 4;
  withDescriptors((own) => void own(load(Type.rawTracepoint, own(createCounter()), { flags: SLEEPABLE })));
}

export function rawTracepointProbe(): void {
  withDescriptors((own) => {
    const counter = own(createCounter());
    const program = own(load(Type.rawTracepoint, counter));
    own(
      bpf(
        RAW_TRACEPOINT_OPEN,
        16,
        [
          [0, "u64", text("sys_enter")],
          [8, "u32", program],
        ],
        "raw tracepoint",
      ),
    );
    expectRuns(counter, getpgid);
  });
}

const SLEEPABLE = 1 << 4;

/** Hooks that are known by the id of a kernel type, and what makes them run. */
const typedHooks = {
  tp_btf: { type: Type.tracing, attach: Attach.traceRawTp, kind: Kind.typedef, name: "btf_trace_sys_enter" },
  fentry: { type: Type.tracing, attach: Attach.fentry, kind: Kind.func, name: getpgidFunction },
  fexit: { type: Type.tracing, attach: Attach.fexit, kind: Kind.func, name: getpgidFunction },
  fsession: { type: Type.tracing, attach: Attach.fsession, kind: Kind.func, name: getpgidFunction },
  fmod_ret: { type: Type.tracing, attach: Attach.modifyReturn, kind: Kind.func, name: "security_task_getpgid" },
  lsm: { type: Type.lsm, attach: Attach.lsmMac, kind: Kind.func, name: "bpf_lsm_task_getpgid" },
  sleepable_fentry: {
    type: Type.tracing,
    attach: Attach.fentry,
    kind: Kind.func,
    name: "bpf_fentry_test1",
    flags: SLEEPABLE,
    // A test run of such a program calls the function.
    trigger: (program: number) => bpf(TEST_RUN, 80, [[0, "u32", program]], "test run"),
  },
  sleepable_lsm: {
    type: Type.lsm,
    attach: Attach.lsmMac,
    kind: Kind.func,
    name: "bpf_lsm_file_open",
    flags: SLEEPABLE,
    trigger: () => readFileSync("/dev/null"),
  },
} as const;

/** A tracing program on a kernel type; with a cookie by a link of its own kind. */
export function tracingProbe(hook: keyof typeof typedHooks, cookie?: bigint): () => void {
  return () =>
    withDescriptors((own) => {
      const counter = own(createCounter());
      const { type, attach, kind, name, ...more } = typedHooks[hook];
      const flags = "flags" in more ? more.flags : 0;
      const attachBtfId = kernelType(kind, name);
      const program = own(load(type, counter, { expectedAttachType: attach, attachBtfId, flags }));
      if (cookie === undefined) own(bpf(RAW_TRACEPOINT_OPEN, 16, [[8, "u32", program]], hook));
      else own(link(program, 0, attach, [[24, "u64", cookie]]));
      expectRuns(counter, () => ("trigger" in more ? more.trigger(program) : getpgid()));
    });
}

/** A link with a list of functions by their BTF ids. */
export function tracingMultiProbe(): void {
  withDescriptors((own) => {
    const counter = own(createCounter());
    const ids = struct(4, [[0, "u32", kernelType(Kind.func, getpgidFunction)]]);
    const program = own(load(Type.tracing, counter, { expectedAttachType: Attach.fentryMulti }));
    own(
      link(program, 0, Attach.fentryMulti, [
        [16, "u64", ids],
        [32, "u32", 1],
      ]),
    );
    expectRuns(counter, getpgid);
  });
}

/** The tracepoint at the end of test runs, whose argument programs may write. */
export function writableTracepointProbe(): void {
  withDescriptors((own) => {
    const counter = own(createCounter());
    const program = own(load(Type.rawTracepointWritable, counter));
    const fields: Field[] = [
      [0, "u64", text("bpf_test_finish")],
      [8, "u32", program],
    ];
    own(bpf(RAW_TRACEPOINT_OPEN, 16, fields, "writable tracepoint"));
    const packet = new Uint8Array(64);
    const filter = own(load(Type.socketFilter, own(createCounter())));
    const run: Field[] = [
      [0, "u32", filter],
      [8, "u32", packet.length],
      [16, "u64", packet],
    ];
    expectRuns(counter, () => bpf(TEST_RUN, 40, run, "test run"));
  });
}

/** A program of type ext in the place of a function of a socket filter, which is then run. */
export function freplaceProbe(): void {
  withDescriptors((own) => {
    // int, its function `int (void)`, and under that prototype `main` and the global `f`.
    const types = [1, 1 << 24, 4, (1 << 24) | 32, 0, 13 << 24, 1, 5, (12 << 24) | 1, 2, 10, (12 << 24) | 1, 2];
    const [main, f] = [3, 4];
    const btf = own(loadBtf(types, "\0int\0main\0f"));
    const functions = (...pairs: number[]): Field[] => [
      [72, "u32", btf],
      [76, "u32", 8],
      [80, "u64", new Uint8Array(Uint32Array.from(pairs).buffer)],
      [88, "u32", pairs.length / 2],
    ];
    const target = own(load(Type.socketFilter, 0, { body: nestedProgram(), more: functions(0, main, 2, f) }));
    const counter = own(createCounter());
    const more: Field[] = [...functions(0, f), [112, "u32", target]];
    const program = own(load(Type.ext, counter, { attachBtfId: f, more }));
    own(bpf(RAW_TRACEPOINT_OPEN, 16, [[8, "u32", program]], "freplace"));
    const packet = new Uint8Array(64);
    const run: Field[] = [
      [0, "u32", target],
      [8, "u32", packet.length],
      [16, "u64", packet],
    ];
    expectRuns(counter, () => bpf(TEST_RUN, 40, run, "test run"));
  });
}

/** An iterator over tasks. */
export function iteratorProbe(): void {
  iterateTasks([]);
}

/** The tasks of one process only: struct {tid, pid, pid_fd}. */
export function iteratorOptionsProbe(): void {
  const info = struct(12, [[4, "u32", process.pid]]);
  iterateTasks([
    [16, "u64", info],
    [24, "u32", 12],
  ]);
}

function iterateTasks(options: readonly Field[]): void {
  withDescriptors((own) => {
    const counter = own(createCounter());
    const id = kernelType(Kind.func, "bpf_iter_task");
    const program = own(load(Type.tracing, counter, { expectedAttachType: Attach.traceIter, attachBtfId: id }));
    const target = own(link(program, 0, Attach.traceIter, options));
    const iterator = own(bpf(ITER_CREATE, 8, [[0, "u32", target]], "iterator"));
    expectRuns(counter, () => readSync(iterator, new Uint8Array(4096)));
  });
}

/** The kernel's BTF has one of these functions: for helpers whose arguments no short program can make. */
export function functionProbe(...names: readonly [string, ...string[]]): () => void {
  return () => {
    const missing = names.filter((name) => {
      try {
        kernelType(Kind.func, name);
        return false;
      } catch {
        return true;
      }
    });
    if (missing.length === names.length) throw new ProbeError(`the kernel's BTF has no ${names.join(" or ")}`);
  };
}

/** BPF_LINK_CREATE; fields from offset 16 on belong to the attach type. */
export function link(
  program: number,
  target: number,
  attachType: number,
  fields: readonly Field[] = [],
  flags = 0,
): number {
  const common: Field[] = [
    [0, "u32", program],
    [4, "u32", target],
    [8, "u32", attachType],
    [12, "u32", flags],
  ];
  return bpf(LINK_CREATE, 64, [...common, ...fields], `link of attach type ${attachType}`);
}

const softwareClock: readonly Field[] = [[16, "u64", 1_000_000]];

/** Where tracefs can be read: mounted, else through a mount that only this descriptor sees. */
function tracefs(own: (fd: number) => number): string {
  for (const path of ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]) {
    if (existsSync(`${path}/events`)) return path;
  }
  const context = own(call("fsopen", text("tracefs"), 1));
  const FSCONFIG_CMD_CREATE = 6;
  call("fsconfig", context, FSCONFIG_CMD_CREATE, 0, 0, 0);
  const mount = own(call("fsmount", context, 1, 0));
  const path = `/proc/self/fd/${mount}`;
  if (!existsSync(`${path}/events`)) throw new ProbeError("tracefs has no events");
  return path;
}

/** The kernel shows where a symbol lies. */
export function symbolProbe(name: string): () => void {
  return () => {
    const line = new RegExp(`^([0-9a-f]+) \\w ${name}$`, "m").exec(readFileSync("/proc/kallsyms", "latin1"));
    if (line === null) throw new ProbeError(`/proc/kallsyms has no ${name}`);
  };
}

/** The kernel's BTF has a section of its per-CPU variables. */
export function btfVariableProbe(): void {
  if (/\0\.data\.\.percpu\0/.test(readFileSync("/sys/kernel/btf/vmlinux", "latin1"))) return;
  throw new ProbeError("no .data..percpu in the kernel's BTF");
}

/** A program may ask for the address of a function of the kernel, which is how it asks whether there is one. */
export function functionAddressProbe(): void {
  const body = addressProgram(kernelType(Kind.func, "security_task_getpgid"));
  withDescriptors((own) => void own(load(Type.rawTracepoint, 0, { body })));
}

/** A module is loaded whose BTF has a function. */
export function moduleFunctionProbe(module: string, name: string): () => void {
  return () => {
    const path = `/sys/kernel/btf/${module}`;
    if (!existsSync(path)) throw new ProbeError(`${path} does not exist`);
    if (!readFileSync(path, "latin1").includes(`\0${name}\0`)) throw new ProbeError(`${path} has no ${name}`);
  };
}

/** File offset of an executable's entry point: ELF header and program headers, 64-bit little-endian. */
function entryOffset(path: string): bigint {
  const head = new Uint8Array(4096);
  withDescriptors((own) => readSync(own(openSync(path, "r")), head, 0, head.length, 0));
  const view = new DataView(head.buffer);
  const entry = view.getBigUint64(24, true);
  const table = Number(view.getBigUint64(32, true));
  const count = view.getUint16(56, true);
  for (let at = table; at < table + count * 56; at += 56) {
    const PT_LOAD = 1;
    if (view.getUint32(at, true) !== PT_LOAD) continue;
    const [offset, start, size] = [8, 16, 32].map((field) => view.getBigUint64(at + field, true)) as [
      bigint,
      bigint,
      bigint,
    ];
    if (entry >= start && entry < start + size) return entry - start + offset;
  }
  throw new ProbeError(`${path} has no entry point`);
}
