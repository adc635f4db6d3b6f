// One program into the kernel, and its verifier log out of it (libbpf.md 3.9). Written as steps that somebody else runs,
// so that the same policy serves load() (off the event loop) and loadSync().

import {
  Errno,
  type FileDescriptor,
  type LogOptions,
  type ProgLoadOptions,
  type ProgLoadResult,
  textOf,
} from "../syscall/index.js";

/** One attempt to load, to be made by whoever runs the steps. */
export type LoadSteps<T> = Generator<ProgLoadOptions, T, ProgLoadResult>;

/** What to load, and how much the verifier should tell. */
export interface LoadProgramOptions {
  /** Everything but the log. */
  readonly program: ProgLoadOptions;
  /** 0: no log unless the program is refused. */
  readonly logLevel: number;
}

/** The outcome. */
export type LoadedProgram =
  | { readonly fd: FileDescriptor; readonly log: string | undefined }
  | { readonly fd: undefined; readonly errno: number; readonly log: string };

/** Bytes of the first log buffer. Most logs are shorter; a log that does not fit is asked for again. */
const FIRST_LOG = 1 << 20;
/** The kernel's own limit of log_size: UINT_MAX / 4. */
const LARGEST_LOG = 2 ** 30 - 1;

/**
 * Loads a program. Without a log level the verifier writes nothing, which is faster; a program that is refused is given
 * to it once more, for the log.
 */
export function* loadProgram({ program, logLevel }: LoadProgramOptions): LoadSteps<LoadedProgram> {
  if (logLevel === 0) {
    const { fd, errno } = yield program;
    if (fd !== undefined) return { fd, log: undefined };
    if (neverLogged.has(errno)) return { fd: undefined, errno, log: "" };
  }
  for (let size = FIRST_LOG; ; ) {
    const log: LogOptions = { level: logLevel === 0 ? 1 : logLevel, buffer: new Uint8Array(size) };
    const { fd, errno, logTrueSize } = yield { ...program, log };
    if (fd !== undefined) return { fd, log: textOf(log.buffer) };
    if (errno !== Errno.ENOSPC || size >= LARGEST_LOG) return { fd: undefined, errno, log: textOf(log.buffer) };
    // The kernel tells the true size since Linux 6.4.
    size = Math.min(LARGEST_LOG, Math.max(logTrueSize, size * 4));
  }
}

/** Refusals that come before the verifier: asking for a log would only repeat them. */
const neverLogged: ReadonlySet<number> = new Set([Errno.EPERM, Errno.EMFILE, Errno.ENFILE]);
