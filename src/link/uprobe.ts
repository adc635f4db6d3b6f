// Probes on functions of user programs, one at a time: uprobes and uretprobes (libbpf.md 1.5, 2.3).

import { BinaryFunctions } from "../elf/index.js";
import { ArgumentError, NotFoundError, UnsupportedError } from "../errors.js";
import { perfUnit, type UserBinary, withUserBinary } from "../kernel/index.js";
import { didYouMean } from "../near-names.js";
import type { ProgramHandle } from "../program/index.js";
import { type FileDescriptor, perfEventOpen } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { isByIoctl, type ProbeMode } from "./kprobe.js";
import type { BpfLink } from "./link.js";
import { attachToPerfEvent } from "./perf-event.js";
import { openTraceEvent } from "./trace-event.js";

/** Where in which program a probe is, and how it is attached. */
export interface UprobeOptions {
  /**
   * An executable or shared object: a path, or a name such as `libc.so.6` or `node` to be looked for as the dynamic linker
   * and the shell do. `ARCHIVE!/MEMBER` is what is stored uncompressed in a zip archive.
   */
  binary: string;
  /** A function, by its name in the binary (C++ names as the compiler made them), also `NAME@VERSION`. */
  symbol?: string | undefined;
  /** Bytes from the beginning of `symbol`, or of the binary when no symbol is given. */
  offset?: number | undefined;
  /** One process (0: this one) instead of all, also those that start later. */
  pid?: number | undefined;
  /** Runs when the function returns, instead of when it is entered. */
  return?: boolean | undefined;
  /** File offset of a 16-bit counter that the kernel raises in the program while the probe is there. Linux 4.20. */
  refCtrOffset?: number | undefined;
  /** What `bpf_get_attach_cookie()` returns. Linux 5.15. */
  cookie?: bigint | undefined;
  /** By default the best that the kernel has. */
  mode?: ProbeMode | undefined;
}

/**
 * Attaches to a place in a user program. Linux 4.1. libbpf: `bpf_program__attach_uprobe_opts`.
 *
 * @throws NotFoundError for the binary, or for the function naming near ones, SystemCallError with code `ATTACH`
 */
export function attachUprobe(program: ProgramHandle, options: UprobeOptions): BpfLink {
  const { binary, symbol, offset, pid, return: onReturn = false, refCtrOffset, cookie, mode } = options;
  const where = { file: program.file, program: program.name };
  if (symbol === undefined && offset === undefined) {
    throw new ArgumentError("a probe on a user program needs a symbol or an offset", where);
  }
  for (const [name, value] of Object.entries({ offset, refCtrOffset })) {
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 0)) {
      throw new ArgumentError(`${name} is not an offset: ${value}`, where);
    }
  }
  checkPid(program, pid);
  const place = withUserBinary(binary, (opened) => placeOf(program, opened, options));
  const shown = symbol === undefined ? `0x${place.offset.toString(16)}` : `${symbol}${plus(offset)}`;
  const target = `${onReturn ? "uretprobe" : "uprobe"} ${binary}:${shown}`;
  return explainAttach(
    program,
    target,
    () => {
      const { event, remove: cleanUp } = openUprobe({ ...place, onReturn, pid, refCtrOffset, mode });
      return attachToPerfEvent(program, event, { kind: "uprobe", target, cookie, cleanUp, ioctl: isByIoctl(mode) });
    },
    { hints: uprobeHints, since: "4.1" },
  );
}

/** What errno names mean for probes on user programs. */
export const uprobeHints = {
  EINVAL: "the offset lies beyond the end of the file, or no probe can be placed on the instruction there",
  ESRCH: "there is no such process",
  ENOTSUPP: "no probe can be placed on the instruction there",
};

/** Where a probe is, for the kernel. */
export interface UprobePlace {
  readonly path: string;
  /** Bytes from the beginning of the file. */
  readonly offset: number;
}

/** @throws ArgumentError */
export function checkPid(program: ProgramHandle, pid: number | undefined): void {
  if (pid === undefined || (Number.isSafeInteger(pid) && pid >= 0 && pid <= 0x7fff_ffff)) return;
  throw new ArgumentError(`not a process id: ${pid}`, { file: program.file, program: program.name });
}

/** File offsets of functions. @throws NotFoundError naming near functions, ArgumentError for ambiguous names */
export function functionOffsets(program: ProgramHandle, opened: UserBinary, names: readonly string[]): number[] {
  const functions = new BinaryFunctions(opened.source);
  const found = functions.find(names);
  return found.map((offset, index) => {
    if (offset !== undefined) return opened.base + offset;
    const name = names[index]!;
    throw missingFunction(program, opened, { name, functions });
  });
}

function missingFunction(
  program: ProgramHandle,
  { path }: UserBinary,
  { name, functions }: { readonly name: string; readonly functions: BinaryFunctions },
): NotFoundError {
  const known = [...functions.all()].map((each) => each.name.replace(/@.*/s, ""));
  const stripped = known.length === 0;
  const hint = stripped
    ? "the binary has no symbols of functions: it is stripped; attach to an offset"
    : "it may be inlined, or in another binary; C++ and Rust names are those that the compiler made";
  return new NotFoundError(`${path} has no function ${name}${didYouMean(name, new Set(known))}`, {
    program: program.name,
    hint,
  });
}

function placeOf(program: ProgramHandle, opened: UserBinary, { symbol, offset = 0 }: UprobeOptions): UprobePlace {
  const { path, base } = opened;
  if (symbol === undefined) return { path, offset: base + offset };
  const [start = 0] = functionOffsets(program, opened, [symbol]);
  return { path, offset: start + offset };
}

/** What {@link openUprobe} opens. */
export interface UprobeEvent extends UprobePlace {
  readonly onReturn: boolean;
  readonly pid?: number | undefined;
  readonly refCtrOffset?: number | undefined;
  readonly mode?: ProbeMode | undefined;
}

/** Opens the event of a probe. The caller owns it, and calls `remove` when it is closed. */
export function openUprobe({ path, offset, onReturn, pid, refCtrOffset = 0, mode }: UprobeEvent): {
  event: FileDescriptor;
  remove?: () => void;
} {
  const unit = mode === "tracefs" ? undefined : perfUnit("uprobe");
  if (unit !== undefined) {
    if (refCtrOffset !== 0 && unit.refCtrShift === undefined) {
      throw new UnsupportedError("this kernel does not raise counters of probes", {
        hint: "that came with Linux 4.20",
      });
    }
    // The field has 32 bits.
    if (refCtrOffset > 0xffff_ffff) throw new ArgumentError(`refCtrOffset is beyond 4 GiB: ${refCtrOffset}`);
    const counter = BigInt(refCtrOffset) << BigInt(unit.refCtrShift ?? 0);
    const config = (onReturn ? 1n << BigInt(unit.returnBit) : 0n) | counter;
    return { event: perfEventOpen({ type: unit.type, config, config1: path, config2: offset, pid }) };
  }
  if (mode === "link" || mode === "ioctl") {
    throw new UnsupportedError("this kernel has no perf events of uprobes", {
      hint: "they came with Linux 4.17; the kernel needs CONFIG_UPROBES",
    });
  }
  const counter = refCtrOffset === 0 ? "" : `(0x${refCtrOffset.toString(16)})`;
  return openTraceEvent("uprobe", { place: `${path}:0x${offset.toString(16)}${counter}`, onReturn, pid });
}

function plus(offset: number | undefined): string {
  return offset === undefined || offset === 0 ? "" : `+0x${offset.toString(16)}`;
}
