// Probes on kernel functions, one at a time: kprobes, kretprobes, and system calls by name (libbpf.md 1.5, 2.3).

import { ArgumentError, NotFoundError, SystemCallError, UnsupportedError } from "../errors.js";
import { kernelFunctionNames, perfUnit, syscallSymbol } from "../kernel/index.js";
import { didYouMean } from "../near-names.js";
import type { ProgramHandle } from "../program/index.js";
import { type FileDescriptor, perfEventOpen } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import type { BpfLink } from "./link.js";
import { attachToPerfEvent } from "./perf-event.js";
import { openTraceEvent } from "./trace-event.js";

/**
 * How a probe is attached: by a perf event with a kernel link (Linux 5.15), by one with an ioctl (4.17), or by an event
 * in tracefs (4.1). libbpf: `enum probe_attach_mode` LINK, PERF, LEGACY.
 */
export type ProbeMode = "link" | "ioctl" | "tracefs";

/** Whether a probe is attached without a kernel link. */
export function isByIoctl(mode: ProbeMode | undefined): boolean {
  return mode === "ioctl" || mode === "tracefs";
}

/** Options of kprobes. */
export interface KprobeOptions {
  /** Runs when the function returns, instead of when it is entered. */
  return?: boolean | undefined;
  /** Bytes from the beginning of the function; not with `return`. */
  offset?: number | undefined;
  /** What `bpf_get_attach_cookie()` returns. Linux 5.15. */
  cookie?: bigint | undefined;
  /** By default the best that the kernel has. */
  mode?: ProbeMode | undefined;
}

/**
 * Attaches to a function of the kernel by its name, or to an absolute address. Linux 4.1. libbpf:
 * `bpf_program__attach_kprobe_opts`.
 *
 * @throws NotFoundError naming near functions, SystemCallError with code `ATTACH`
 */
export function attachKprobe(program: ProgramHandle, place: string | bigint, options: KprobeOptions = {}): BpfLink {
  const { return: onReturn = false, offset = 0, cookie, mode } = options;
  if (!Number.isSafeInteger(offset) || offset < 0) throw new ArgumentError(`not an offset into a function: ${offset}`);
  if (onReturn && offset !== 0) {
    throw new ArgumentError("a probe on the return of a function has no offset", { program: program.name });
  }
  const name = typeof place === "string" ? place : `0x${place.toString(16)}`;
  const target = `${onReturn ? "kretprobe" : "kprobe"} ${name}${offset === 0 ? "" : `+0x${offset.toString(16)}`}`;
  const attach = (): BpfLink => {
    const { event, remove: cleanUp } = openKprobe(place, { onReturn, offset, mode });
    return attachToPerfEvent(program, event, { kind: "kprobe", target, cookie, cleanUp, ioctl: isByIoctl(mode) });
  };
  try {
    return explainAttach(program, target, attach, { hints, since: "4.1" });
  } catch (error) {
    throw typeof place === "string" ? missingFunction(error, place, program) : error;
  }
}

const hints = {
  EINVAL:
    "no function begins or no instruction is there, or the function is on the kernel's list of those not to be probed",
  EADDRNOTAVAIL: "the place lies outside the function's instructions",
  EBUSY: "something else occupies the place",
};

/** An attachment to an entry of a system call, whatever the kernel calls it. */
export interface KsyscallOptions {
  /** Runs when the call returns. */
  return?: boolean | undefined;
  /** What `bpf_get_attach_cookie()` returns. Linux 5.15. */
  cookie?: bigint | undefined;
}

/**
 * Attaches to the entry or exit of a system call, such as `"openat"`, for programs of this machine's own word size. libbpf:
 * `bpf_program__attach_ksyscall`.
 *
 * @throws as {@link attachKprobe}
 */
export function attachKsyscall(program: ProgramHandle, name: string, options: KsyscallOptions = {}): BpfLink {
  return attachKprobe(program, syscallSymbol(name), options);
}

/** Where at a function a probe is. */
interface Place {
  readonly onReturn: boolean;
  readonly offset: number;
  readonly mode: ProbeMode | undefined;
}

/** Opens the event of a probe. The caller owns it, and calls `remove` when it is closed. */
export function openKprobe(
  place: string | bigint,
  { onReturn, offset, mode }: Place,
): { event: FileDescriptor; remove?: () => void } {
  const unit = mode === "tracefs" ? undefined : perfUnit("kprobe");
  if (unit !== undefined) {
    const config = onReturn ? 1n << BigInt(unit.returnBit) : 0n;
    // Without a name the second word is the address.
    const probe = typeof place === "string" ? { config1: place, config2: offset } : { config2: place + BigInt(offset) };
    return { event: perfEventOpen({ type: unit.type, config, ...probe }) };
  }
  if (mode === "link" || mode === "ioctl") {
    throw new UnsupportedError("this kernel has no perf events of kprobes", {
      hint: "they came with Linux 4.17; the kernel needs CONFIG_KPROBES",
    });
  }
  if (typeof place !== "string") throw new UnsupportedError("kprobes in tracefs have names, not addresses");
  return openTraceEvent("kprobe", { place: `${place}+0x${offset.toString(16)}`, onReturn });
}

/** ENOENT of a perf event, or ESRCH of a link, says nothing of names. */
export function missingFunction(error: unknown, name: string, program: ProgramHandle): unknown {
  if (!(error instanceof SystemCallError) || !["ENOENT", "ESRCH"].includes(error.errnoName)) return error;
  return new NotFoundError(`the kernel has no function ${name}${didYouMean(name, kernelFunctionNames())}`, {
    file: program.file,
    program: program.name,
    hint: "it may be inlined, or in a module that is not loaded",
    cause: error,
  });
}
