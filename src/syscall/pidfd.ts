// Descriptors of processes: the keys of task storages.

import { check } from "./failure.js";
import { FileDescriptor } from "./fd.js";
import { ffi } from "./ffi.js";

/**
 * A descriptor of a process, by its pid. Linux 5.3.
 *
 * @throws SystemCallError ESRCH when there is no such process, EINVAL for a thread that is not the first of its process
 */
export function pidfdOpen(pid: number): FileDescriptor {
  const { syscall, numbers } = ffi();
  return new FileDescriptor(check(syscall(numbers.pidfd_open, pid, 0), "pidfd_open"), `process ${pid}`);
}
