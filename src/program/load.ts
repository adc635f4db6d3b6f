// One program into the kernel, and its verifier log out of it (libbpf.md 3.9). Written as steps that somebody else runs,
// so that the same policy serves load() (off the event loop) and loadSync().

import { ArgumentError } from "../errors.js";
import { Errno, type FileDescriptor, type ProgLoadOptions, type ProgLoadResult, textOf } from "../syscall/index.js";

/** One attempt to load, to be made by whoever runs the steps. */
export type LoadSteps<T> = Generator<ProgLoadOptions, T, ProgLoadResult>;

/** How much the verifier should tell. */
export interface VerifierLogOptions {
  /** 0: no log unless the program is refused. */
  readonly level: number;
  /** Bytes of the first buffer. */
  readonly size: number;
}

/** The outcome. */
export type LoadedProgram =
  | { readonly fd: FileDescriptor; readonly log: string | undefined }
  | { readonly fd: undefined; readonly errno: number; readonly log: string };

/** Bytes of the first log buffer by default. Most logs are shorter; a log that does not fit is asked for again. */
export const FIRST_LOG_SIZE = 1 << 20;
/** The kernel's limits of log_size; the lower one was checked until Linux 6.3. */
const SMALLEST_LOG = 128;
const LARGEST_LOG = 2 ** 30 - 1;

/** @throws ArgumentError for a size of log buffers that some kernel would refuse */
export function checkLogSize(size: unknown): number {
  if (Number.isInteger(size) && Number(size) >= SMALLEST_LOG && Number(size) <= LARGEST_LOG) return Number(size);
  throw new ArgumentError(`logSize is a number of bytes from ${SMALLEST_LOG} to ${LARGEST_LOG}, not ${String(size)}`);
}

/**
 * The buffer for another attempt at a log that did not fit into `size` bytes; undefined when there can be no larger one.
 *
 * @param trueSize what the kernel says about the whole log (Linux 6.4), else 0
 */
export function largerLog(size: number, trueSize: number): Uint8Array | undefined {
  if (size >= LARGEST_LOG) return undefined;
  return logBuffer(Math.min(LARGEST_LOG, Math.max(trueSize, size * 4)));
}

/** Undefined when there is no memory for it: a part of the log is better than none. */
function logBuffer(size: number): Uint8Array | undefined {
  try {
    return new Uint8Array(size);
  } catch {
    return undefined;
  }
}

/**
 * Loads a program. Without a log level the verifier writes nothing, which is faster; a program that is refused is given
 * to it once more, for the log.
 *
 * @param program everything but the log
 */
export function* loadProgram(program: ProgLoadOptions, { level, size }: VerifierLogOptions): LoadSteps<LoadedProgram> {
  if (level === 0) {
    const { fd, errno } = yield program;
    if (fd !== undefined) return { fd, log: undefined };
    if (neverLogged.has(errno)) return { fd: undefined, errno, log: "" };
  }
  for (let buffer: Uint8Array = logBuffer(size) ?? new Uint8Array(SMALLEST_LOG); ; ) {
    const { fd, errno, logTrueSize } = yield { ...program, log: { level: level === 0 ? 1 : level, buffer } };
    if (fd !== undefined) return { fd, log: textOf(buffer) };
    const larger = errno === Errno.ENOSPC ? largerLog(buffer.length, logTrueSize) : undefined;
    if (larger === undefined) return { fd: undefined, errno, log: textOf(buffer) };
    buffer = larger;
  }
}

/** Refusals that come before the verifier: asking for a log would only repeat them. */
const neverLogged: ReadonlySet<number> = new Set([Errno.EPERM, Errno.EMFILE, Errno.ENFILE]);
