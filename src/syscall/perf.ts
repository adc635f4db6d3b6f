// Perf events, the carriers of tracepoint, kprobe and uprobe programs before and beside links.

import { Attr, checkInteger, layout } from "./attr.js";
import { check, PERF_EVENT } from "./failure.js";
import { type FdLike, FileDescriptor, fdNumber } from "./fd.js";
import { ffi } from "./ffi.js";
import { alive, cString } from "./memory.js";

/** struct perf_event_attr (UAPI linux/perf_event.h) up to PERF_ATTR_SIZE_VER5, Linux 4.1. Compared with C in the tests. */
export const perfEventLayout = layout(112, {
  type: ["u32", 0],
  size: ["u32", 4],
  config: ["u64", 8],
  sample_period: ["u64", 16],
  sample_type: ["u64", 24],
  read_format: ["u64", 32],
  /** The bit fields from `disabled` on. */
  bits: ["u64", 40],
  wakeup_events: ["u32", 48],
  bp_type: ["u32", 52],
  config1: ["u64", 56],
  config2: ["u64", 64],
});

/** The same with texts in config1, as the kprobe and uprobe event sources have it. */
const probeLayout = layout(112, { ...perfEventLayout.fields, config1: ["pointer", 56] });

/** enum perf_type_id. Dynamic event sources have a number of their own in /sys/bus/event_source/devices. */
export const PerfType = { HARDWARE: 0, SOFTWARE: 1, TRACEPOINT: 2, HW_CACHE: 3, RAW: 4, BREAKPOINT: 5 } as const;

/** enum perf_sw_ids, as far as BPF programs use them. */
export const PerfSoftware = {
  CPU_CLOCK: 0,
  TASK_CLOCK: 1,
  PAGE_FAULTS: 2,
  CONTEXT_SWITCHES: 3,
  BPF_OUTPUT: 10,
} as const;

/** UAPI linux/perf_event.h. */
const PERF_FLAG_FD_CLOEXEC = 8;
const BIT_DISABLED = 1n << 0n;
const BIT_FREQ = 1n << 10n;
const ioctls = {
  PERF_EVENT_IOC_ENABLE: 0x2400,
  PERF_EVENT_IOC_DISABLE: 0x2401,
  PERF_EVENT_IOC_SET_BPF: 0x4004_2408,
} as const;

/** An event and what to do when it happens. */
export interface PerfEventOptions {
  /** {@link PerfType} or the number of a dynamic event source. */
  type: number;
  /** Which event: for a tracepoint its id. */
  config: bigint | number;
  /** kprobe and uprobe sources take a symbol or path here. */
  config1?: bigint | number | string | undefined;
  config2?: bigint | number | undefined;
  /** Events between two samples, or with `frequency` samples a second. */
  samplePeriod?: bigint | number | undefined;
  frequency?: boolean | undefined;
  /** PERF_SAMPLE_*. */
  sampleType?: number | undefined;
  /** Samples before a reader is woken. */
  wakeupEvents?: number | undefined;
  /** Breakpoints. */
  breakpointType?: number | undefined;
  /** Does not count until enabled. */
  disabled?: boolean | undefined;
  /** -1, the default, means all processes; 0 this one. */
  pid?: number | undefined;
  /** -1 means all CPUs, for one process only. By default 0 with all processes, else -1. */
  cpu?: number | undefined;
}

/**
 * Opens a perf event. perf_event_open, close-on-exec.
 *
 * @throws SystemCallError (EACCES or EPERM: CAP_PERFMON, or the sysctl kernel.perf_event_paranoid), ArgumentError
 */
export function perfEventOpen(options: PerfEventOptions): FileDescriptor {
  const { config1, pid = -1 } = options;
  checkInteger(pid, "pid of a perf event", -1, 0x7fff_ffff);
  const cpu = checkInteger(options.cpu ?? (pid === -1 ? 0 : -1), "cpu of a perf event", -1, 0x7fff_ffff);
  const common = {
    type: options.type,
    size: perfEventLayout.size,
    config: options.config,
    sample_period: options.samplePeriod,
    sample_type: options.sampleType,
    bits: (options.disabled === true ? BIT_DISABLED : 0n) | (options.frequency === true ? BIT_FREQ : 0n),
    wakeup_events: options.wakeupEvents,
    bp_type: options.breakpointType,
    config2: options.config2,
  };
  const attr =
    typeof config1 === "string"
      ? new Attr("perf_event_open", probeLayout, { ...common, config1: cString(config1, "config1") })
      : new Attr("perf_event_open", perfEventLayout, { ...common, config1 });
  const { syscall, numbers } = ffi();
  const result = alive(attr, () => syscall(numbers.perf_event_open, attr.address, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC));
  return new FileDescriptor(check(result, "perf_event_open", { needs: ["CAP_PERFMON"] }), PERF_EVENT);
}

function perfIoctl(event: FdLike, request: keyof typeof ioctls, argument: number): void {
  const { syscall, numbers } = ffi();
  check(syscall(numbers.ioctl, fdNumber(event), ioctls[request], argument), `ioctl(${request})`);
}

/** Begins counting. @throws SystemCallError */
export function perfEventEnable(event: FdLike): void {
  perfIoctl(event, "PERF_EVENT_IOC_ENABLE", 0);
}

/** Ends counting. @throws SystemCallError */
export function perfEventDisable(event: FdLike): void {
  perfIoctl(event, "PERF_EVENT_IOC_DISABLE", 0);
}

/** Runs a program at every event. It stays until the event is closed. @throws SystemCallError: EEXIST when there is one */
export function perfEventSetBpf(event: FdLike, program: FdLike): void {
  perfIoctl(event, "PERF_EVENT_IOC_SET_BPF", fdNumber(program));
}
