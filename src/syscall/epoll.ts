// An epoll set: the one thing that watches BPF buffers, synchronously here, from the event loop in src/events/watcher.ts.

import { isEpollEventPacked } from "./arch.js";
import { checkInteger } from "./attr.js";
import { Errno } from "./errno.js";
import { check } from "./failure.js";
import { type FdLike, FileDescriptor, fdNumber } from "./fd.js";
import { ffi } from "./ffi.js";
import { addressOf } from "./memory.js";

/** UAPI linux/eventpoll.h. */
const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;
const EPOLLOUT = 4;
const EPOLLET = 1 << 31;

const interests = {
  /** It can be read: told as long as that is so. */
  readable: EPOLLIN,
  /** Something was read from it, so that it can be written again: told once each time, and once at the beginning. */
  drained: EPOLLOUT | EPOLLET,
} as const;

/** What a descriptor is watched for. */
export type EpollInterest = keyof typeof interests;

/** How many ready descriptors one wait reports; others come with the next. */
const MAX_EVENTS = 64;

/** Watches descriptors for being readable or drained. Low level. */
export class Epoll implements Disposable {
  readonly fd: FileDescriptor;
  readonly #events: DataView;
  readonly #eventsAddress: bigint;
  readonly #eventSize: number;
  readonly #dataAt: number;

  /** @throws SystemCallError */
  constructor() {
    const { syscall, numbers } = ffi();
    this.fd = new FileDescriptor(check(syscall(numbers.epoll_create1, EPOLL_CLOEXEC), "epoll_create1"), "epoll set");
    const packed = isEpollEventPacked(process.arch);
    this.#eventSize = packed ? 12 : 16;
    this.#dataAt = packed ? 4 : 8;
    this.#events = new DataView(new ArrayBuffer(this.#eventSize * MAX_EVENTS));
    this.#eventsAddress = addressOf(this.#events);
  }

  /**
   * Begins to watch a descriptor.
   *
   * @param token given back by {@link wait} when the descriptor is ready; u32
   * @throws SystemCallError: EBADF, EEXIST when it is watched already, EPERM for files that cannot be watched
   */
  add(fd: FdLike, token = 0, interest: EpollInterest = "readable"): void {
    this.#events.setInt32(0, interests[interest], true);
    this.#events.setUint32(this.#dataAt, checkInteger(token, "epoll token", 0, 0xffff_ffff), true);
    this.#events.setUint32(this.#dataAt + 4, 0, true);
    this.#control(EPOLL_CTL_ADD, "EPOLL_CTL_ADD", fd, this.#eventsAddress);
  }

  /** Ends watching a descriptor. @throws SystemCallError: ENOENT when it is not watched */
  remove(fd: FdLike): void {
    this.#control(EPOLL_CTL_DEL, "EPOLL_CTL_DEL", fd, 0n);
  }

  #control(operation: number, name: string, fd: FdLike, event: bigint): void {
    const { syscall, numbers } = ffi();
    check(syscall(numbers.epoll_ctl, this.fd.number, operation, fdNumber(fd), event), `epoll_ctl(${name})`);
  }

  /**
   * Blocks the thread until a descriptor is ready.
   *
   * @param timeoutMs -1 waits for ever, 0 only looks
   * @returns the tokens of what is ready: none after the time, or when a signal came
   * @throws SystemCallError, StateError once closed
   */
  wait(timeoutMs: number): number[] {
    const { syscall, numbers } = ffi();
    checkInteger(timeoutMs, "epoll timeout", -1, 0x7fff_ffff);
    // epoll_pwait without a signal mask is epoll_wait, which the generic table lacks.
    const result = syscall(numbers.epoll_pwait, this.fd.number, this.#eventsAddress, MAX_EVENTS, timeoutMs, 0, 8);
    if (result === -Errno.EINTR) return [];
    const count = check(result, "epoll_wait");
    const tokens: number[] = [];
    for (let index = 0; index < count; index++) {
      tokens.push(this.#events.getUint32(index * this.#eventSize + this.#dataAt, true));
    }
    return tokens;
  }

  /** True once closed. */
  get closed(): boolean {
    return this.fd.closed;
  }

  /** Closes the set, not what is in it; later calls do nothing. */
  close(): void {
    this.fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
