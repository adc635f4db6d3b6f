// File descriptors as bare numbers: the few calls on them that Node has no function for, or not without side effects.

import { mkdirSync, readFileSync, statfsSync, unlinkSync } from "node:fs";
import { ArgumentError, type SystemCallError } from "../errors.js";
import { Errno } from "./errno.js";
import { check, systemCallError } from "./failure.js";
import { ffi } from "./ffi.js";
import { alive } from "./memory.js";

/** UAPI linux/fcntl.h and asm-generic/fcntl.h. */
const F_DUPFD_CLOEXEC = 1030;
/** UAPI linux/magic.h. */
const BPF_FS_MAGIC = 0xcafe4a11;
/** UAPI linux/eventfd.h: O_CLOEXEC and O_NONBLOCK. */
const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;

/** Closes an fd. Errors are ignored: on Linux the descriptor is gone whatever close() returns. */
export function closeFd(fd: number): void {
  const { syscall, numbers } = ffi();
  syscall(numbers.close, fd);
}

/** Duplicates an fd to the lowest free number at or above `atLeast`, with close-on-exec set. */
export function duplicateFd(fd: number, atLeast = 3): number {
  const { syscall, numbers } = ffi();
  return check(syscall(numbers.fcntl, fd, F_DUPFD_CLOEXEC, atLeast), "fcntl(F_DUPFD_CLOEXEC)");
}

/**
 * Reads into `into` from the fd's position; 0 at the end. Restarts after EINTR; a non-blocking fd without data gives
 * `undefined`.
 */
export function readFd(fd: number, into: Uint8Array): number | undefined {
  const { syscall, numbers, address } = ffi();
  for (;;) {
    const result = alive([into], () => syscall(numbers.read, fd, address(into), into.byteLength));
    if (result === -Errno.EAGAIN) return undefined;
    if (result !== -Errno.EINTR) return check(result, "read");
  }
}

/** Reads an fd to its end (iterators, pseudo files: their size is not known beforehand). `chunk` bytes at a time. */
export function readFdToEnd(fd: number, chunk = 65536): Uint8Array {
  if (!Number.isSafeInteger(chunk) || chunk < 1)
    throw new ArgumentError(`chunk must be a positive integer, not ${chunk}`);
  const parts: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const part = new Uint8Array(chunk);
    const length = readFd(fd, part) ?? 0;
    if (length === 0) break;
    parts.push(part.subarray(0, length));
    total += length;
  }
  const all = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Writes the bytes with as few write() calls as the kernel allows; restarts after EINTR. */
export function writeFd(fd: number, bytes: Uint8Array): void {
  const { syscall, numbers, address } = ffi();
  let at = 0;
  while (at < bytes.length) {
    const rest = bytes.subarray(at);
    const result = alive([rest], () => syscall(numbers.write, fd, address(rest), rest.length));
    if (result === -Errno.EINTR) continue;
    at += check(result, "write");
  }
}

/** A new eventfd with counter 0, non-blocking, close-on-exec. The caller owns the number. */
export function eventFd(): number {
  const { syscall, numbers } = ffi();
  return check(syscall(numbers.eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd2");
}

/** True when `path` lies on a BPF file system; false also when it does not exist. */
export function isBpfFs(path: string): boolean {
  try {
    return statfsSync(path).type === BPF_FS_MAGIC;
  } catch {
    return false;
  }
}

/** What Node throws about a file, as the error of this library. */
export function fileFailure(operation: string, path: string, cause: unknown): SystemCallError {
  const errno = typeof cause === "object" && cause !== null && "errno" in cause ? Number(cause.errno) : 0;
  return systemCallError(operation, Math.abs(errno) || Errno.EINVAL, { about: path, cause });
}

/** Makes a directory unless there is one. @throws SystemCallError */
export function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (cause) {
    const failure = fileFailure("mkdir", path, cause);
    if (failure.errno !== Errno.EEXIST) throw failure;
  }
}

/** Removes a file, or a pin: the name of a BPF object. @throws SystemCallError */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (cause) {
    throw fileFailure("unlink", path, cause);
  }
}

let possibleCpus: number | undefined;

/**
 * Number of possible CPUs, which is how many values a per-CPU map has for each key. Asked once.
 *
 * libbpf: `libbpf_num_possible_cpus`.
 */
export function possibleCpuCount(): number {
  possibleCpus ??= parseCpuList(cpuList("possible")).length;
  return possibleCpus;
}

/** Numbers of the CPUs that are online now. */
export function onlineCpus(): number[] {
  return parseCpuList(cpuList("online"));
}

function cpuList(name: "possible" | "online"): string {
  return readFileSync(`/sys/devices/system/cpu/${name}`, "latin1");
}

/** More than the kernel can be configured for. */
const MAX_CPUS = 1 << 16;

/** The CPUs in a list such as `0-3,8`. */
export function parseCpuList(list: string): number[] {
  const cpus: number[] = [];
  for (const range of list.trim().split(",")) {
    const [, first, last] = /^(\d{1,7})(?:-(\d{1,7}))?$/.exec(range) ?? [];
    const length = Number(last ?? first) - Number(first) + 1;
    if (first === undefined || length < 1 || cpus.length + length > MAX_CPUS) {
      throw new ArgumentError(`not a list of CPUs: ${JSON.stringify(list)}`);
    }
    for (let index = 0; index < length; index++) cpus.push(Number(first) + index);
  }
  return cpus;
}
