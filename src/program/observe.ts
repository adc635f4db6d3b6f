// What is seen of a running program: how often it ran, and what it and the kernel wrote about it (libbpf.md 1.6).

import { ArgumentError, SystemCallError, UnsupportedError, withLocation } from "../errors.js";
import { olderThan } from "../kernel/index.js";
import { Errno, enableStats, type FdLike, type ProgramStream, progInfo, progStreamRead } from "../syscall/index.js";

/** How much a program ran. Runs and time are of the time in which statistics were enabled. */
export interface RunStats {
  readonly runCount: bigint;
  /** Nanoseconds, all CPUs together. */
  readonly runTime: bigint;
  /** Runs that did not happen because the program was running already on that CPU. Counted always. Linux 5.12. */
  readonly recursionMisses: bigint;
}

/** See `prog.stats`. */
export function statsOf(program: FdLike): RunStats {
  const { runCount, runTime, recursionMisses } = progInfo(program);
  return { runCount, runTime, recursionMisses };
}

/** Statistics that are on; `close()` ends them. */
export interface StatsSwitch extends Disposable {
  close(): void;
}

/**
 * Has the kernel count runs and run time of all BPF programs, until it is closed (or the process ends) and nobody else
 * wants them. Costs each run some tens of nanoseconds. Linux 5.8, needs CAP_SYS_ADMIN; libbpf: `bpf_enable_stats`.
 *
 * ```ts
 * using on = countRuns();
 * prog.stats().runCount;
 * ```
 *
 * @throws SystemCallError, UnsupportedError on older kernels (there `sysctl kernel.bpf_stats_enabled=1`, Linux 5.1)
 */
export function countRuns(): StatsSwitch {
  try {
    return enableStats();
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno !== Errno.EINVAL || !olderThan("5.8")) throw error;
    throw new UnsupportedError("this kernel cannot count runs for a process; that came with Linux 5.8", {
      cause: error,
      hint: "sysctl kernel.bpf_stats_enabled=1 counts for everybody",
    });
  }
}

/** The kernel keeps at most this much for a stream. */
const STREAM_CHUNK = 100_000;
/** A program that writes faster than we read must not keep us for ever. */
const MAX_CHUNKS = 16;

/** A program as its streams need it. */
interface Writer {
  readonly name: string;
  readonly file: string;
  readonly loaded: boolean;
  readonly descriptor: FdLike;
}

/** See `prog.readStream`. */
export function readStream(program: Writer, stream: ProgramStream): string {
  const decoder = new TextDecoder();
  return takeText(program, stream, decoder) + decoder.decode();
}

/** Options of `prog.followStream`. */
export interface FollowOptions {
  /** Milliseconds between two looks when nothing was there, 100 unless given. */
  interval?: number | undefined;
  /** Ends the iteration when it aborts. */
  signal?: AbortSignal | undefined;
}

/** See `prog.followStream`. */
export async function* followStream(
  program: Writer,
  stream: ProgramStream,
  { interval = 100, signal }: FollowOptions,
): AsyncGenerator<string, void, undefined> {
  if (!Number.isFinite(interval) || interval < 1 || interval > 0x7fff_ffff) {
    throw new ArgumentError(`interval is a number of milliseconds from 1 on, not ${String(interval)}`);
  }
  // Characters may come in pieces.
  const decoder = new TextDecoder();
  // The first look tells whether the program is loaded, and the kernel has streams.
  for (let first = true; first || program.loaded; first = false) {
    if (signal?.aborted === true) return;
    const text = takeText(program, stream, decoder);
    if (text !== "") yield text;
    else await pause(interval, signal);
  }
}

/** Waits; an abort ends that early. */
async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener("abort", end);
  });
}

function takeText(program: Writer, stream: ProgramStream, decoder: InstanceType<typeof TextDecoder>): string {
  const place = { file: program.file, program: program.name };
  const chunk = new Uint8Array(STREAM_CHUNK);
  let text = "";
  try {
    for (let count = 0; count < MAX_CHUNKS; count++) {
      const length = withLocation(place, () => progStreamRead(program.descriptor, stream, chunk));
      text += decoder.decode(chunk.subarray(0, length), { stream: true });
      if (length === 0) break;
    }
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno !== Errno.EINVAL || !olderThan("6.17")) throw error;
    throw new UnsupportedError("programs have no streams on this kernel; they came with Linux 6.17", {
      ...place,
      cause: error,
    });
  }
  return text;
}
