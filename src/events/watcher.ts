// Watches BPF buffers from Node's event loop: no thread of the pool parked, no busy timer, a clean exit. libuv's poll
// handle has sharp edges (typescript.md 1.7); everything here that looks like too much care answers one of them.

import { StateError, UnsupportedError } from "../errors.js";
import { Epoll, type EpollInterest, type FdLike, type PollHandle, pollHandle } from "../syscall/index.js";

/** Options of {@link FdWatcher}. */
export interface FdWatcherOptions {
  /**
   * Called from the event loop as long as a watched descriptor is readable, so it should drain it or stop the watcher.
   * What it throws becomes an uncaught exception.
   */
  onReady: () => void;
  /** Closes the watcher when it aborts. */
  signal?: AbortSignal | undefined;
  /** Milliseconds between two looks where the runtime cannot wait for a descriptor (Bun). 10 by default. */
  fallbackInterval?: number | undefined;
}

/** Started watchers. A poll handle that nobody refers to is collected and stops without a word. */
const started = new Set<FdWatcher>();
let exitHook = false;

function keep(watcher: FdWatcher): void {
  started.add(watcher);
  if (exitHook) return;
  exitHook = true;
  // Handles must be gone before the environment is torn down.
  process.on("exit", () => {
    for (const each of [...started]) each.close();
  });
}

/**
 * Watches any number of descriptors through one epoll set of its own. Nothing touches the event loop before
 * {@link FdWatcher.start}: synchronous users only call {@link FdWatcher.wait}.
 *
 * The own epoll set means that a bad descriptor fails with an errno in {@link FdWatcher.add}, and that no descriptor is
 * polled twice by the loop; given to libuv directly, both would abort the process.
 */
export class FdWatcher implements Disposable {
  readonly #epoll: Epoll;
  readonly #onReady: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #fallbackInterval: number;
  #waker: PollHandle | undefined;
  #running = false;
  #referenced = true;
  readonly #close = (): void => this.close();

  /** @throws SystemCallError, UnsupportedError where system calls cannot be made */
  constructor({ onReady, signal, fallbackInterval = 10 }: FdWatcherOptions) {
    this.#epoll = new Epoll();
    this.#onReady = onReady;
    this.#signal = signal;
    this.#fallbackInterval = fallbackInterval;
    if (signal?.aborted === true) this.#epoll.close();
    else signal?.addEventListener("abort", this.#close);
  }

  /**
   * Watches a descriptor, which must stay open until it is removed or the watcher is closed.
   *
   * @param token what {@link FdWatcher.ready} reports; u32
   * @param interest `"drained"`: edge-triggered, the callback has to ask {@link FdWatcher.ready}, or it is called again
   * @throws SystemCallError: EBADF, EEXIST when it is watched already, EPERM for files that are always ready
   */
  add(fd: FdLike, token = 0, interest: EpollInterest = "readable"): void {
    this.#epoll.add(fd, token, interest);
  }

  /** Ends watching a descriptor. @throws SystemCallError: ENOENT when it is not watched */
  remove(fd: FdLike): void {
    this.#epoll.remove(fd);
  }

  /**
   * Blocks the thread until a descriptor is readable, and tells how many are.
   *
   * @param timeoutMs -1 waits for ever, 0 only looks. A signal ends the wait early.
   * @throws StateError once closed
   */
  wait(timeoutMs: number): number {
    return this.ready(timeoutMs).length;
  }

  /** The same, but tells which: their tokens, up to 64 at a time. @throws StateError once closed */
  ready(timeoutMs: number): number[] {
    return this.#epoll.wait(timeoutMs);
  }

  /**
   * Begins to call `onReady` from the event loop; does nothing when that goes on already. Keeps the process alive unless
   * {@link FdWatcher.unref} was called.
   *
   * @throws UnsupportedError on a worker thread, StateError once closed
   */
  start(): void {
    if (this.closed) throw new StateError("the watcher is closed");
    if (this.#running) return;
    // Loaded when asked for: at import it costs 2 ms.
    if (!process.getBuiltinModule("node:worker_threads").isMainThread) {
      throw new UnsupportedError(
        "events cannot be awaited on a worker thread: a worker that ends meanwhile takes the process down",
        {
          hint: "call poll() with a timeout in a loop there, or read events on the main thread",
        },
      );
    }
    this.#running = true;
    keep(this);
    if (this.#waker !== undefined) this.#waker.start();
    else this.#waker = FdWatcher.#createWaker(this.#epoll.fd.number, new WeakRef(this), this.#fallbackInterval);
    if (!this.#referenced) this.#waker.unref();
  }

  /**
   * Makes what wakes a watcher. The native handle holds its callback strongly and the watcher holds the handle: were the
   * callback to hold the watcher, one that is stopped and forgotten could never be collected.
   */
  static #createWaker(epoll: number, watcher: WeakRef<FdWatcher>, fallbackInterval: number): PollHandle {
    const wake = (): void => {
      const target = watcher.deref();
      if (target !== undefined) target.#wake();
    };
    const lookAndWake = (): void => {
      const target = watcher.deref();
      if (target === undefined) return;
      if (target.#running && target.wait(0) > 0) target.#wake();
    };
    return pollHandle(epoll, wake) ?? new TimerWaker(fallbackInterval, lookAndWake);
  }

  /** Ends calling `onReady`, until {@link FdWatcher.start}. */
  stop(): void {
    if (!this.#running) return;
    this.#running = false;
    started.delete(this);
    this.#waker?.stop();
  }

  /** Lets a started watcher keep the process alive; the default. */
  ref(): void {
    this.#referenced = true;
    if (!this.closed) this.#waker?.ref();
  }

  /** Lets the process end although the watcher is started. */
  unref(): void {
    this.#referenced = false;
    if (!this.closed) this.#waker?.unref();
  }

  /** True after {@link FdWatcher.close}. */
  get closed(): boolean {
    return this.#epoll.closed;
  }

  /** Stops, and lets go of everything but the watched descriptors; later calls do nothing. */
  close(): void {
    if (this.closed) return;
    this.stop();
    this.#signal?.removeEventListener("abort", this.#close);
    this.#waker?.close();
    this.#waker = undefined;
    // After the handle: libuv must never hold a descriptor number that means something else by now.
    this.#epoll.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Runs inside a native callback, where a pending exception would surface in some later, unrelated native call. */
  #wake(): void {
    if (!this.#running) return;
    let failure: { error: unknown } | undefined;
    try {
      this.#onReady();
    } catch (error) {
      failure = { error };
    }
    // Always: on Node 26 promise jobs made in the callback wait until something else happens in the loop.
    setImmediate(() => {
      if (failure !== undefined) throw failure.error;
    });
  }
}

/** A timer in the place of a poll handle. */
class TimerWaker implements PollHandle {
  readonly #interval: number;
  readonly #onTime: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(interval: number, onTime: () => void) {
    this.#interval = interval;
    this.#onTime = onTime;
    this.start();
  }

  start(): void {
    this.#timer ??= setInterval(this.#onTime, this.#interval);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  close(): void {
    this.stop();
  }

  ref(): void {
    this.#timer?.ref();
  }

  unref(): void {
    this.#timer?.unref();
  }
}
