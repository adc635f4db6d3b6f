// The few calls on sockets that attaching needs: making one and setting its options, the number of a network device, and
// programs on a socket.

import { ArgumentError } from "../errors.js";
import { check } from "./failure.js";
import { type FdLike, FileDescriptor, fdNumber } from "./fd.js";
import { ffi } from "./ffi.js";
import { addressOf, alive, cString } from "./memory.js";

/** UAPI linux/socket.h, asm-generic/socket.h, linux/sockios.h. */
const AF_INET = 2;
const SOCK_DGRAM = 2;
/** That is O_CLOEXEC. */
const SOCK_CLOEXEC = 0o2000000;
/** Level of options that all sockets have. */
export const SOL_SOCKET = 1;
const SIOCGIFINDEX = 0x8933;
/** struct ifreq: a name of 16 bytes, then a union that begins with the index. */
const IFREQ_SIZE = 40;
const IFREQ_INDEX = 16;
const IFNAMSIZ = 16;

/** Makes a socket; `about` is what messages call it. @throws SystemCallError */
export function openSocket(
  { family, type, protocol = 0 }: { family: number; type: number; protocol?: number },
  about: string,
): FileDescriptor {
  const { syscall, numbers } = ffi();
  return new FileDescriptor(check(syscall(numbers.socket, family, type | SOCK_CLOEXEC, protocol), "socket"), about);
}

/** Sets an option of a socket. @returns -errno when it could not be set */
export function setSocketOption(socket: FdLike, level: number, name: number, value: Uint8Array): number {
  const { syscall, numbers } = ffi();
  const fd = fdNumber(socket);
  return alive(value, () => syscall(numbers.setsockopt, fd, level, name, addressOf(value), value.length));
}

/** SO_ATTACH_* and SO_DETACH_* by what the program does there. */
const socketOptions = {
  filter: { attach: 50, detach: 27 },
  reuseport: { attach: 52, detach: 68 },
} as const;

/** What a program on a socket decides: which packets it receives, or which socket of a group does. */
export type SocketHook = keyof typeof socketOptions;

/**
 * The index of a network device of the thread's network namespace.
 *
 * @throws SystemCallError ENODEV when there is no such device, ArgumentError for a name that cannot be one
 */
export function interfaceIndex(name: string): number {
  if (typeof name !== "string" || name === "")
    throw new ArgumentError("the name of a network device must not be empty");
  const text = cString(name, "name of a network device");
  if (text.length > IFNAMSIZ)
    throw new ArgumentError(`a network device cannot be called ${JSON.stringify(name)}: too long`);
  const request = new Uint8Array(IFREQ_SIZE);
  request.set(text);
  const { syscall, numbers } = ffi();
  using socket = openSocket({ family: AF_INET, type: SOCK_DGRAM }, "socket for asking about devices");
  const result = alive(request, () => syscall(numbers.ioctl, socket.number, SIOCGIFINDEX, addressOf(request)));
  check(result, "ioctl(SIOCGIFINDEX)", { about: name });
  return new DataView(request.buffer).getInt32(IFREQ_INDEX, true);
}

function setProgramOption(socket: FdLike, option: number, value: number, what: string): void {
  const word = new Uint8Array(4);
  new DataView(word.buffer).setInt32(0, value, true);
  check(setSocketOption(socket, SOL_SOCKET, option, word), `setsockopt(${what})`);
}

/** Puts a program on a socket, in the place of one that may be there. Linux 3.19, reuseport 4.5. @throws SystemCallError */
export function setSocketProgram(socket: FdLike, program: FdLike, hook: SocketHook): void {
  setProgramOption(socket, socketOptions[hook].attach, fdNumber(program), "SO_ATTACH_BPF");
}

/** Takes the program off a socket. Linux 2.2, reuseport 5.3. @throws SystemCallError ENOENT when there is none */
export function detachFromSocket(socket: FdLike, hook: SocketHook): void {
  setProgramOption(socket, socketOptions[hook].detach, 0, "SO_DETACH_BPF");
}
