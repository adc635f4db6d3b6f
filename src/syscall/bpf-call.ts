// The way into bpf(): one attr, one command, one errno path. The files bpf-*.ts are built on these functions.

import { Attr, type FieldValues, type Layout } from "./attr.js";
import { BpfCommand, type BpfCommandName } from "./attr-layout.js";
import { check, type FailureDetails } from "./failure.js";
import { type FdLike, FileDescriptor } from "./fd.js";
import { ffi } from "./ffi.js";
import { alive, aliveUntil } from "./memory.js";

type Fields = Layout["fields"];

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
