// Signals that may not interrupt a call. The verifier gives up with EAGAIN when one is pending, and a profiler sends
// them faster than a larger program can be verified.

import { ffi } from "./ffi.js";
import { addressOf, alive } from "./memory.js";

/** UAPI asm-generic/signal.h. */
const SIG_BLOCK = 0;
const SIG_SETMASK = 2;
const SIGPROF = 27;
/** The kernel's sigset_t: 64 signals. */
const SET_SIZE = 8;

/** Runs `body` with SIGPROF, the signal of CPU profilers, blocked on this thread; one that comes is delivered afterwards. */
export function withoutProfilerSignals<T>(body: () => T): T {
  const { syscall, numbers } = ffi();
  const wanted = BigUint64Array.of(1n << BigInt(SIGPROF - 1));
  const previous = new BigUint64Array(1);
  return alive([wanted, previous], () => {
    const blocked = syscall(numbers.rt_sigprocmask, SIG_BLOCK, addressOf(wanted), addressOf(previous), SET_SIZE);
    try {
      return body();
    } finally {
      if (blocked === 0) syscall(numbers.rt_sigprocmask, SIG_SETMASK, addressOf(previous), 0, SET_SIZE);
    }
  });
}
