// RLIMIT_MEMLOCK, which limited BPF memory before Linux 5.11: raised only when the kernel has just refused something,
// and only where the limit counts, so that no process is changed without need (libbpf.md 1.15 raises it up front).

import { BpfkitError, SystemCallError } from "../errors.js";
import { log } from "../log.js";
import { Errno, memlockLimit, RLIM_INFINITY, setMemlockLimit } from "../syscall/index.js";
import { probeMemcgAccount } from "./feature-probes.js";
import { kernelVersionCode } from "./release.js";

/** LINUX_VERSION_CODE of Linux 5.11, since when the control group pays; some distributions had that earlier. */
const NOT_COUNTED_SINCE = (5 << 16) | (11 << 8);

let tried = false;

/** Runs `call`; when it fails with EPERM for the first time in this process, raises the limit and tries once more. */
export function withMemlock<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno !== Errno.EPERM || !raiseMemlock()) throw error;
    return call();
  }
}

/** True when the limit was raised just now, so that trying again makes sense. Not being allowed to is no error. */
export function raiseMemlock(): boolean {
  if (tried) return false;
  tried = true;
  try {
    if (kernelVersionCode() >= NOT_COUNTED_SINCE || memlockLimit().soft === RLIM_INFINITY) return false;
    // Asked directly: the table of features needs this function. Where it cannot be told, the limit may be the reason.
    if (probeMemcgAccount() === true) return false;
    setMemlockLimit({ soft: RLIM_INFINITY, hard: RLIM_INFINITY });
  } catch (error) {
    if (!(error instanceof BpfkitError)) throw error;
    log.debug(() => `RLIMIT_MEMLOCK could not be raised: ${error.message}`);
    return false;
  }
  log.info("RLIMIT_MEMLOCK was raised after the kernel had refused memory for BPF");
  return true;
}
