// The ways to read events: `for await`, a callback, synchronous polling. The same for every kind of buffer that programs
// write to; what differs between them is an EventSource.

import { ArgumentError, StateError } from "../errors.js";
import type { FdLike } from "../syscall/index.js";
import { FdWatcher } from "./watcher.js";

/** Receives an event, and what its buffer knows of where it comes from: nothing, or the CPU. */
export type EventHandler<T, Origin extends readonly number[]> = (event: T, ...origin: Origin) => void;

/** Receives an event, with the CPU when the source has one, and tells whether it takes more. */
type Receive<T> = (event: T, cpu?: number) => boolean;

/** What a reader takes its events from. */
export interface EventSource<T> {
  /** What it is called in messages: "ring buffer". */
  readonly what: string;
  /** The map's name. */
  readonly map: string;
  /** Events have a CPU. */
  readonly perCpu: boolean;
  /** What becomes readable when events arrive. */
  readonly fds: readonly FdLike[];
  /**
   * Whether events wait. Only of sources whose descriptors tell of new events, not of those that wait: whoever asks a perf
   * event first is told, and beginning to watch is asking (`perf_poll` in the kernel).
   */
  readonly waiting?: () => boolean;
  /**
   * Gives up to `limit` events to `receive`, as long as it takes more, and returns how many. An event is delivered once,
   * though `receive` throws.
   */
  drain(limit: number, receive: Receive<T>): number;
  /** Gives memory and descriptors up. */
  close(): void;
}

/** Events taken in one go by the event loop; between two lots timers and I/O get their turn. */
const LOT = 1024;
/** Milliseconds after which a lot ends early. */
const LOT_TIME = 2;
/** Looking at the clock is dearer than an event: events between two looks. */
const EVENTS_A_LOOK = 64;

/** Decoded but not delivered, in order. */
interface Backlog<T> {
  readonly events: T[];
  /** As many, where the source has CPUs; else none. */
  readonly cpus: number[];
  /** How many of them were delivered. */
  next: number;
}

const always = (): boolean => true;

const emptyBacklog = <T>(): Backlog<T> => ({ events: [], cpus: [], next: 0 });

/**
 * Reads what programs write. Events are delivered once, to whoever asks first; one `events()` or `on()` may be active at a
 * time. Base of `RingBuffer` and `PerfBuffer`.
 */
export abstract class EventReader<T, Origin extends readonly number[] = []> implements AsyncIterable<T>, Disposable {
  readonly #source: EventSource<T>;
  readonly #watcher: FdWatcher;
  /** What an iteration that ended early left over. */
  #backlog: Backlog<T> = emptyBacklog();
  /** Who reads asynchronously at the moment. */
  #reader: string | undefined;
  #wake: (() => void) | undefined;
  #closed = false;

  /** @internal Owns the source: closes it when it cannot be watched, and with itself. */
  protected constructor(source: EventSource<T>) {
    this.#source = source;
    try {
      this.#watcher = new FdWatcher({ onReady: () => this.#wake?.() });
    } catch (error) {
      source.close();
      throw error;
    }
    try {
      for (const fd of source.fds) this.#watcher.add(fd);
    } catch (error) {
      this.#watcher.close();
      source.close();
      throw error;
    }
  }

  /**
   * Events as they arrive, without blocking the event loop: `for await (const event of reader)`. Nothing is read ahead
   * of a slow loop body by more than one lot. Ends when the reader is closed or `signal` aborts.
   */
  async *events(options: { signal?: AbortSignal } = {}): AsyncGenerator<T, void, undefined> {
    const { signal } = options;
    const release = this.#claim("events()");
    const over = (): boolean => this.#closed || signal?.aborted === true;
    const onAbort = (): void => this.#wake?.();
    signal?.addEventListener("abort", onAbort);
    try {
      while (!over()) {
        const backlog = this.#collect(LOT);
        if (backlog.events.length === 0) {
          await this.#readable();
          continue;
        }
        while (backlog.next < backlog.events.length && !over()) yield backlog.events[backlog.next++]!;
        if (!over()) await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
      release();
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    return this.events();
  }

  /**
   * Calls `handler` for every event as it arrives, without blocking the event loop, until the returned function is
   * called or the reader is closed. An exception of the handler becomes an uncaught exception; the next event is
   * delivered nevertheless where the process goes on.
   */
  on(handler: EventHandler<T, Origin>): () => void {
    const release = this.#claim("on()");
    let active = true;
    const isActive = (): boolean => active;
    const receive = this.#receiverOf(handler, isActive);
    const drain = (): void => {
      if (!active || this.#closed) return;
      let more = true;
      try {
        more = this.#deliver(receive, isActive, LOT, performance.now() + LOT_TIME);
      } finally {
        if (more && active) setImmediate(drain);
      }
    };
    const off = (): void => {
      if (!active) return;
      active = false;
      this.#watcher.stop();
      this.#wake = undefined;
      release();
    };
    this.#wake = drain;
    this.#watch();
    if (this.#isWaiting()) setImmediate(drain);
    return off;
  }

  /**
   * Waits up to `timeoutMs` milliseconds (-1: without end, 0: not at all) until there are events, and returns them, or
   * gives each to `handler` and returns their number. Blocks the event loop meanwhile. A signal ends the wait early.
   *
   * libbpf: `ring_buffer__poll`, `perf_buffer__poll`.
   */
  poll(timeoutMs: number): T[];
  poll(timeoutMs: number, handler: EventHandler<T, Origin>): number;
  poll(timeoutMs: number, handler?: EventHandler<T, Origin>): T[] | number {
    this.assertOpen();
    if (!Number.isInteger(timeoutMs) || timeoutMs < -1 || timeoutMs > 2 ** 31 - 1) {
      throw new ArgumentError(`poll() wants whole milliseconds, or -1 to wait without end, not ${timeoutMs}`);
    }
    if (!this.#isWaiting()) this.#watcher.wait(timeoutMs);
    return handler === undefined ? this.consume() : this.consume(handler);
  }

  /**
   * Returns the events that are there, or gives each to `handler` and returns their number, without waiting.
   *
   * libbpf: `ring_buffer__consume`, `perf_buffer__consume`.
   */
  consume(): T[];
  consume(handler: EventHandler<T, Origin>): number;
  consume(handler?: EventHandler<T, Origin>): T[] | number {
    this.assertOpen();
    if (handler === undefined) {
      const backlog = this.#collect(Number.POSITIVE_INFINITY);
      const events = backlog.next === 0 ? backlog.events : backlog.events.slice(backlog.next);
      // Delivered, also for a loop that is going through it at the moment.
      backlog.next = backlog.events.length;
      this.#backlog = emptyBacklog();
      return events;
    }
    let count = 0;
    const counts = (): boolean => ++count > 0;
    this.#deliver(this.#receiverOf(handler, counts), always, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    return count;
  }

  /** Ends iterations, and gives memory and descriptors up. Idempotent. libbpf: `ring_buffer__free`, `perf_buffer__free`. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watcher.close();
    this.#source.close();
    this.#backlog = emptyBacklog();
    this.#wake?.();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal @throws StateError */
  protected assertOpen(): void {
    const { what, map } = this.#source;
    if (this.#closed) throw new StateError(`the ${what} was used after close()`, { map });
  }

  #isWaiting(): boolean {
    return this.#backlog.next < this.#backlog.events.length || this.#source.waiting?.() === true;
  }

  /** The backlog, filled up to `limit` events. What was decoded before a faulty record stays in it. */
  #collect(limit: number): Backlog<T> {
    // Dropped in pieces: iterations that end after one event each would copy the rest each time.
    if (this.#backlog.next >= LOT || this.#backlog.next === this.#backlog.events.length) {
      const { events, cpus, next } = this.#backlog;
      this.#backlog = { events: events.slice(next), cpus: cpus.slice(next), next: 0 };
    }
    const { events, cpus, next } = this.#backlog;
    const left = limit - (events.length - next);
    if (left > 0) {
      this.#source.drain(left, (event, cpu) => {
        events.push(event);
        if (cpu !== undefined) cpus.push(cpu);
        return true;
      });
    }
    return this.#backlog;
  }

  /**
   * Gives events to `receive` until none is left or it takes no more (false), or a bound is reached (true).
   *
   * @param takesMore whether it does
   */
  #deliver(receive: Receive<T>, takesMore: () => boolean, limit: number, deadline: number): boolean {
    let left = limit;
    const backlog = this.#backlog;
    while (backlog.next < backlog.events.length) {
      if (left-- <= 0) return true;
      const index = backlog.next++;
      if (!receive(backlog.events[index]!, backlog.cpus[index]) || this.#closed) return false;
    }
    const lot = deadline === Number.POSITIVE_INFINITY ? left : EVENTS_A_LOOK;
    while (left > 0) {
      const count = this.#source.drain(Math.min(lot, left), receive);
      if (count === 0 || !takesMore()) return false;
      left -= count;
      if (performance.now() > deadline) return true;
    }
    return true;
  }

  /** Calls a handler, without a second argument where there is no CPU: `console.log` would print it. */
  #receiverOf(handler: EventHandler<T, Origin>, takesMore: () => boolean): Receive<T> {
    const call = handler as unknown as (event: T, cpu?: number) => void;
    if (!this.#source.perCpu) {
      return (event) => {
        call(event);
        return takesMore();
      };
    }
    return (event, cpu) => {
      call(event, cpu);
      return takesMore();
    };
  }

  #readable(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        this.#watcher.stop();
        resolve();
      };
      this.#watch();
    });
  }

  #watch(): void {
    this.#watcher.start();
    if (this.#source.waiting !== undefined) this.#look(2);
  }

  /**
   * Looks after the event loop has begun to watch, which it does when it next waits: not before the first of these turns
   * where this is called while it handles what it waited for, but before the second one.
   */
  #look(turns: number): void {
    setImmediate(() => {
      if (this.#closed) return;
      if (this.#source.waiting?.() === true) this.#wake?.();
      else if (turns > 1) this.#look(turns - 1);
    });
  }

  #claim(reader: string): () => void {
    this.assertOpen();
    if (this.#reader !== undefined) {
      const { what, map } = this.#source;
      throw new StateError(`${this.#reader} is already reading this ${what}`, { map });
    }
    this.#reader = reader;
    return () => {
      this.#reader = undefined;
    };
  }
}
