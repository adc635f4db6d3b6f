// System call numbers of the machines that koffi and bpfkit both run on. x86-64 has numbers of its own; every 64-bit
// port since then shares the generic table (UAPI asm-generic/unistd.h).

import { UnsupportedError } from "../errors.js";

const x64 = {
  read: 0,
  write: 1,
  close: 3,
  mmap: 9,
  munmap: 11,
  rt_sigprocmask: 14,
  ioctl: 16,
  socket: 41,
  sendto: 44,
  recvfrom: 45,
  bind: 49,
  getsockname: 51,
  setsockopt: 54,
  fcntl: 72,
  mount: 165,
  epoll_ctl: 233,
  openat: 257,
  epoll_pwait: 281,
  eventfd2: 290,
  epoll_create1: 291,
  perf_event_open: 298,
  prlimit64: 302,
  bpf: 321,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  pidfd_open: 434,
} as const;

/** One number per system call that the room uses. */
export type SyscallNumbers = Readonly<Record<keyof typeof x64, number>>;

const generic: SyscallNumbers = {
  eventfd2: 19,
  epoll_create1: 20,
  epoll_ctl: 21,
  epoll_pwait: 22,
  fcntl: 25,
  ioctl: 29,
  mount: 40,
  openat: 56,
  close: 57,
  read: 63,
  write: 64,
  rt_sigprocmask: 135,
  munmap: 215,
  mmap: 222,
  socket: 198,
  bind: 200,
  getsockname: 204,
  sendto: 206,
  recvfrom: 207,
  setsockopt: 208,
  perf_event_open: 241,
  prlimit64: 261,
  bpf: 280,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  pidfd_open: 434,
};

/** By `process.arch`. All little-endian, 64-bit, with the ioctl encoding of asm-generic. */
const tables: Readonly<Record<string, SyscallNumbers>> = { x64, arm64: generic, riscv64: generic, loong64: generic };

/**
 * The numbers for a platform.
 *
 * @param platform as `process.platform`
 * @param arch as `process.arch`
 * @throws UnsupportedError on anything but Linux, and on architectures without a table.
 */
export function syscallNumbers(platform: string, arch: string): SyscallNumbers {
  if (platform !== "linux") {
    throw new UnsupportedError(`BPF programs can only be loaded on Linux, this is ${platform}`, {
      hint: "opening and inspecting objects works everywhere",
    });
  }
  const numbers = Object.hasOwn(tables, arch) ? tables[arch] : undefined;
  if (numbers === undefined) {
    throw new UnsupportedError(
      `system calls on ${arch} are not supported; supported are ${Object.keys(tables).join(", ")}`,
    );
  }
  return numbers;
}

/** True where `struct epoll_event` is packed to 12 bytes (UAPI linux/eventpoll.h: only x86-64); 16 elsewhere. */
export function isEpollEventPacked(arch: string): boolean {
  return arch === "x64";
}
