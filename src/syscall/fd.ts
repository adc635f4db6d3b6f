// The one owner of a kernel file descriptor: closes it once, refuses use afterwards, and as a last resort closes what
// was dropped without being closed.

import { ArgumentError, StateError } from "../errors.js";
import { log } from "../log.js";
import { closeFd, duplicateFd } from "./files.js";

/** Shared with the registry, which must not hold the FileDescriptor itself. -1 once closed or released. */
interface Owned {
  number: number;
  readonly what: string;
}

const dropped = new FinalizationRegistry<Owned>((owned) => {
  if (owned.number < 0) return;
  log.warn(`${owned.what} (fd ${owned.number}) was never closed; closing it now that nothing refers to it`);
  closeFd(owned.number);
  owned.number = -1;
});

/**
 * Owns one file descriptor. Low level.
 *
 * Descriptors 0 to 2 are moved above 2, so that a BPF object is never taken for stdin, stdout or stderr (libbpf.md 1.6).
 */
export class FileDescriptor implements Disposable {
  readonly #owned: Owned;

  /**
   * Takes ownership of `fd`.
   *
   * @param what what the descriptor is, for messages: `map "counts"`
   */
  constructor(fd: number, what: string) {
    if (!Number.isInteger(fd) || fd < 0 || fd > 0x7fff_ffff) throw new ArgumentError(`not a file descriptor: ${fd}`);
    let number = fd;
    if (fd < 3) {
      try {
        number = duplicateFd(fd);
      } finally {
        closeFd(fd);
      }
    }
    this.#owned = { number, what };
    dropped.register(this, this.#owned, this);
  }

  /** Owns another descriptor of what a number stands for that somebody else owns. @throws ArgumentError, SystemCallError */
  static duplicateOf(fd: number, what: string): FileDescriptor {
    return new FileDescriptor(duplicateFd(fdNumber(fd)), what);
  }

  /** What the descriptor is, for messages. */
  get what(): string {
    return this.#owned.what;
  }

  /** True once closed or released. */
  get closed(): boolean {
    return this.#owned.number < 0;
  }

  /**
   * The number, for a system call that starts now.
   *
   * @throws StateError once closed: the kernel may have given the number to something else.
   */
  get number(): number {
    const { number, what } = this.#owned;
    if (number < 0) throw new StateError(`${what} is closed`);
    return number;
  }

  /** Closes the descriptor; later calls do nothing. */
  close(): void {
    const { number } = this.#owned;
    if (number < 0) return;
    this.#forget();
    closeFd(number);
  }

  /** Gives up ownership and returns the number. */
  release(): number {
    const { number } = this;
    this.#forget();
    return number;
  }

  /** Another descriptor of the same kernel object. */
  duplicate(): FileDescriptor {
    return new FileDescriptor(duplicateFd(this.number), this.what);
  }

  #forget(): void {
    this.#owned.number = -1;
    dropped.unregister(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A descriptor that a call borrows: an owner, or a bare number that someone else keeps open. */
export type FdLike = FileDescriptor | number;

/**
 * The number of a borrowed descriptor.
 *
 * @throws StateError when it is closed, ArgumentError for a number that cannot be one. -1 is let through: the kernel
 * answers it with EBADF, which feature probes want to see.
 */
export function fdNumber(fd: FdLike): number {
  if (fd instanceof FileDescriptor) return fd.number;
  if (!Number.isInteger(fd) || fd < -1 || fd > 0x7fff_ffff)
    throw new ArgumentError(`not a file descriptor: ${String(fd)}`);
  return fd;
}
