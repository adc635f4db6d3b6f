// System calls for feature probes, on the bare foreign function layer: a probe that used the library's own functions
// would take their faults for a missing feature. UAPI linux/bpf.h, linux/perf_event.h.

import { closeSync } from "node:fs";
import { arch } from "node:process";
import { errnoName } from "../../../src/syscall/errno.js";
import { ffi, type Word } from "../../../src/syscall/ffi.js";
import { alive } from "../../../src/syscall/memory.js";

/** A system call that failed: the feature, or a part of it, is not there. */
export class ProbeError extends Error {
  override readonly name = "ProbeError";
}

/** A field of a structure: byte offset, width, value. A byte array stands for its address. */
export type Field = readonly [offset: number, width: "u8" | "u16" | "u32" | "u64", value: number | bigint | Uint8Array];

/** Numbers of calls the library has no use for. */
const more = {
  x64: {
    getpgid: 121,
    socket: 41,
    connect: 42,
    accept: 43,
    sendto: 44,
    recvfrom: 45,
    bind: 49,
    listen: 50,
    getsockname: 51,
    getpeername: 52,
    setsockopt: 54,
    getsockopt: 55,
    unshare: 272,
    pidfd_open: 434,
    pidfd_getfd: 438,
    setns: 308,
  },
  arm64: {
    getpgid: 155,
    socket: 198,
    connect: 203,
    accept: 202,
    sendto: 206,
    recvfrom: 207,
    bind: 200,
    listen: 201,
    getsockname: 204,
    getpeername: 205,
    setsockopt: 208,
    getsockopt: 209,
    unshare: 97,
    pidfd_open: 434,
    pidfd_getfd: 438,
    setns: 268,
  },
}[arch === "arm64" ? "arm64" : "x64"];

type CallName = keyof typeof more | keyof ReturnType<typeof ffi>["numbers"];

/** What a structure points to lives as long as the structure. */
const pointedTo = new WeakMap<Uint8Array, readonly Field[]>();

/** A structure in memory, little-endian like the machine. */
export function struct(size: number, fields: readonly Field[]): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [offset, width, value] of fields) {
    if (value instanceof Uint8Array) view.setBigUint64(offset, ffi().address(value), true);
    else if (width === "u64") view.setBigUint64(offset, BigInt.asUintN(64, BigInt(value)), true);
    else if (width === "u32") view.setUint32(offset, Number(value), true);
    else if (width === "u16") view.setUint16(offset, Number(value), true);
    else view.setUint8(offset, Number(value));
  }
  pointedTo.set(bytes, fields);
  return bytes;
}

/** A NUL-terminated string. */
export function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}

/** How often a request is made that the kernel puts off. */
const ATTEMPTS = 20;

/**
 * `bpf(command)` with an attr of these fields. Throws ProbeError. Made again after EAGAIN: the verifier gives up when a
 * signal is pending, which says nothing about the feature.
 */
export function bpf(command: number, size: number, fields: readonly Field[], what: string): number {
  const attr = struct(size, fields);
  const request = (): number => alive(attr, () => ffi().bpf(command, ffi().address(attr), size));
  let result = request();
  for (let attempt = 1; attempt < ATTEMPTS && result < 0 && errnoName(-result) === "EAGAIN"; attempt++)
    result = request();
  return checked(result, what);
}

/** Any other call; byte arrays are given by address. Throws ProbeError. */
export function call(name: CallName, ...args: (Word | Uint8Array)[]): number {
  const number = { ...ffi().numbers, ...more }[name];
  const words = args.map((value) => (value instanceof Uint8Array ? ffi().address(value) : value));
  return checked(
    alive(args, () => ffi().syscall(number, ...words)),
    name,
  );
}

/** Runs `body` with a function that takes over descriptors; they are closed, last first, when it is done. */
export function withDescriptors<T>(body: (own: (fd: number) => number) => T): T {
  const fds: number[] = [];
  try {
    return body((fd) => {
      fds.push(fd);
      return fd;
    });
  } finally {
    for (const fd of fds.reverse()) closeSync(fd);
  }
}

function checked(result: number, what: string): number {
  if (result < 0) throw new ProbeError(`${what}: ${errnoName(-result)}`);
  return result;
}
