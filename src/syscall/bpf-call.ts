// The way into bpf(): one attr, one command, one errno path. The files bpf-*.ts are built on these functions.

import { Attr, type FieldValues, type Layout } from "./attr.js";
import { BpfCommand, type BpfCommandName, commonAttrLayout } from "./attr-layout.js";
import { check, type FailureDetails } from "./failure.js";
import { type FdLike, FileDescriptor } from "./fd.js";
import { ffi } from "./ffi.js";
import { alive, aliveUntil } from "./memory.js";

type Fields = Layout["fields"];

/** UAPI linux/bpf.h (Linux 7.0): set in the command when attributes common to all commands follow. */
export const BPF_COMMON_ATTRS = 1 << 16;

/** Where the kernel writes about a command. */
export interface LogOptions {
  /** Programs: 1 steps, 2 states too, 4 statistics; OR-ed. Type information and maps: 1. With 0 no buffer is passed. */
  level: number;
  /** Receives text with a terminating NUL. */
  buffer: Uint8Array;
}

/** UAPI: set in the flags of a command that carries a token fd (Linux 6.9). */
const BPF_F_TOKEN_FD = 1 << 16;

/** The flags of a command, with BPF_F_TOKEN_FD when there is a token. Other values pass, for Attr to refuse. */
export function tokenFlag(flags: number | undefined, token: FdLike | undefined): number | undefined {
  if (token === undefined || (flags !== undefined && !Number.isInteger(flags))) return flags;
  return ((flags ?? 0) | BPF_F_TOKEN_FD) >>> 0;
}

/** The message form of a command. */
export function operationOf(command: BpfCommandName): string {
  return `bpf(BPF_${command})`;
}

/** Builds the attr of a command. */
export function attrOf<F extends Fields>(command: BpfCommandName, layout: Layout<F>, values: FieldValues<F>): Attr<F> {
  return new Attr(operationOf(command), layout, values);
}

/**
 * Runs a command and has the kernel write about it into the buffer: its result, or `-errno`. The kernel reads such common
 * attributes since Linux 7.0 (`bpf_syscall_common_attrs`), and MAP_CREATE is the first that writes.
 */
export function tryBpfWithLog<F extends Fields>(command: BpfCommandName, attr: Attr<F>, log: LogOptions): number {
  const common = attrOf(command, commonAttrLayout, {
    log_buf: log.buffer,
    log_size: log.buffer.byteLength,
    log_level: log.level,
  });
  const { syscall, numbers } = ffi();
  const bit = BpfCommand[command] | BPF_COMMON_ATTRS;
  return alive([attr, common], () => syscall(numbers.bpf, bit, attr.address, attr.size, common.address, common.size));
}

/** Runs a command: its result, or `-errno`. */
export function tryBpf<F extends Fields>(command: BpfCommandName, attr: Attr<F>): number {
  return alive(attr, () => ffi().bpf(BpfCommand[command], attr.address, attr.size));
}

/** Runs a command on a thread of libuv's pool: its result, or `-errno`. */
export function tryBpfAsync<F extends Fields>(command: BpfCommandName, attr: Attr<F>): Promise<number> {
  const { syscallAsync, numbers } = ffi();
  return aliveUntil(attr, () => syscallAsync(numbers.bpf, BpfCommand[command], attr.address, attr.size));
}

/** Runs a command: its result, or SystemCallError. */
export function bpf<F extends Fields>(
  command: BpfCommandName,
  layout: Layout<F>,
  values: FieldValues<F>,
  details?: FailureDetails,
): number {
  const attr = attrOf(command, layout, values);
  return check(tryBpf(command, attr), attr.operation, details);
}

/** Runs a command that makes a descriptor. `what` names it in messages. */
export function bpfFd<F extends Fields>(
  command: BpfCommandName,
  layout: Layout<F>,
  values: FieldValues<F>,
  what: string,
  details?: FailureDetails,
): FileDescriptor {
  return new FileDescriptor(bpf(command, layout, values, details), what);
}
