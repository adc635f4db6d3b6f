// What is seen of a running program: how often it ran, and what it and the kernel wrote about it (libbpf.md 1.6).

import { SystemCallError, UnsupportedError, withLocation } from "../errors.js";
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

/** See `prog.readStream`. */
export function readStream(
  program: { readonly name: string; readonly file: string; readonly descriptor: FdLike },
  stream: ProgramStream,
): string {
  const place = { file: program.file, program: program.name };
  const decoder = new TextDecoder();
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
  return text + decoder.decode();
}
