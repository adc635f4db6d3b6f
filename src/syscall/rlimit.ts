// RLIMIT_MEMLOCK, which before Linux 5.11 limited the memory of all maps and programs of a user (libbpf.md 1.15).

import { checkU64 } from "./attr.js";
import { check } from "./failure.js";
import { ffi } from "./ffi.js";
import { addressOf, alive } from "./memory.js";

/** UAPI asm-generic/resource.h. */
const RLIMIT_MEMLOCK = 8;

/** No limit. */
export const RLIM_INFINITY: bigint = (1n << 64n) - 1n;

/** A resource limit in bytes. */
export interface ResourceLimit {
  /** In force. */
  readonly soft: bigint;
  /** As far as the soft one may be raised without CAP_SYS_RESOURCE. */
  readonly hard: bigint;
}

/** The limit of this process. @throws SystemCallError */
export function memlockLimit(): ResourceLimit {
  const limit = new BigUint64Array(2);
  prlimit(undefined, limit);
  return { soft: limit[0] as bigint, hard: limit[1] as bigint };
}

/**
 * Sets the limit of the whole process.
 *
 * @throws SystemCallError: EPERM above the hard limit without CAP_SYS_RESOURCE
 */
export function setMemlockLimit({ soft, hard }: ResourceLimit): void {
  prlimit(BigUint64Array.of(checkU64(soft, "soft limit"), checkU64(hard, "hard limit")), undefined);
}

function prlimit(next: BigUint64Array | undefined, previous: BigUint64Array | undefined): void {
  const { syscall, numbers } = ffi();
  const result = alive([next, previous], () =>
    syscall(numbers.prlimit64, 0, RLIMIT_MEMLOCK, addressOf(next), addressOf(previous)),
  );
  check(result, "prlimit64(RLIMIT_MEMLOCK)");
}
