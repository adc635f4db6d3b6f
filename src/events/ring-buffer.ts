// Events from a BPF ring buffer, decoded by BTF: `for await`, a callback, or synchronous polling.

import { type BtfTypeCodec, type BtfValue, recordCodec } from "../btf/index.js";
import { ArgumentError, StateError, ValueError } from "../errors.js";
import type { BpfMap } from "../map/index.js";
import type { FileDescriptor } from "../syscall/index.js";
import { type RecordHandler, RingMemory } from "./ring-memory.js";
import { FdWatcher } from "./watcher.js";

/** Options of {@link RingBuffer}. */
export interface RingBufferOptions {
  /**
   * Name of the C type of every record (struct, union or typedef) in the object's BTF. Without it, records come as
   * `Uint8Array` copies.
   */
  type?: string | undefined;
  /** 64-bit integers as `bigint`, or as `number`, exact up to 2^53; by default as the map says (`map.int64`). */
  int64?: "bigint" | "number" | undefined;
}

/** Records taken from the ring in one go by the event loop; between two lots timers and I/O get their turn. */
const LOT = 1024;
/** Milliseconds after which a lot ends early. */
const LOT_TIME = 2;

/**
 * Reads a map of type BPF_MAP_TYPE_RINGBUF (Linux 5.8). The map must be loaded. The reader keeps its own descriptor and
 * mapping, so it stays usable (and must be closed) when the object is closed first.
 *
 * Records are delivered once, to whoever asks first; one `events()` or `on()` may be active at a time.
 *
 * libbpf: `ring_buffer__new`, `ring_buffer__poll`, `ring_buffer__consume`, `ring_buffer__free`.
 */
export class RingBuffer<T = BtfValue> implements AsyncIterable<T>, Disposable {
  readonly #name: string;
  readonly #fd: FileDescriptor;
  readonly #memory: RingMemory;
  readonly #decode: (offset: number, length: number) => T;
  readonly #watcher: FdWatcher;
  /** Decoded but not delivered: what an iteration that ended early left over. */
  #pending: T[] = [];
  /** Who reads asynchronously at the moment. */
  #reader: string | undefined;
  #wake: (() => void) | undefined;
  #closed = false;

  /**
   * @throws ArgumentError when `map` is no ring buffer, StateError when it is not loaded, BtfError when `type` is unknown.
   */
  constructor(map: BpfMap, options: RingBufferOptions = {}) {
    if (map.type !== "ringbuf") {
      throw new ArgumentError(`a RingBuffer reads maps of type ringbuf; this one is of type ${map.type}`, {
        map: map.name,
      });
    }
    this.#name = map.name;
    const { type, int64 = map.int64 } = options;
    const codec = type === undefined ? undefined : recordCodec(map.btf, type, { int64 }, { map: map.name });
    const watcher = new FdWatcher({ onReady: () => this.#wake?.() });
    let fd: FileDescriptor | undefined;
    try {
      fd = map.duplicateFd();
      watcher.add(fd);
      this.#memory = new RingMemory(fd, map.maxEntries);
    } catch (error) {
      watcher.close();
      fd?.close();
      throw error;
    }
    this.#fd = fd;
    this.#watcher = watcher;
    this.#decode = codec === undefined ? this.#copy : this.#decoder(codec);
  }

  /** Bytes that wait in the ring (headers and discarded records included). libbpf: `ring__avail_data_size`. */
  get availableBytes(): number {
    this.#assertOpen();
    return this.#memory.available;
  }

  /**
   * Events as they arrive, without blocking the event loop: `for await (const event of ring)`. Nothing is read ahead
   * of a slow loop body by more than one lot. Ends when the ring is closed or `signal` aborts.
   */
  async *events(options: { signal?: AbortSignal } = {}): AsyncGenerator<T, void, undefined> {
    const { signal } = options;
    const release = this.#claim("events()");
    const over = (): boolean => this.#closed || signal?.aborted === true;
    const onAbort = (): void => this.#wake?.();
    signal?.addEventListener("abort", onAbort);
    try {
      while (!over()) {
        const lot = this.#take(LOT);
        if (lot.length === 0) {
          await this.#readable();
          continue;
        }
        try {
          while (lot.length > 0 && !over()) yield lot.pop()!;
        } finally {
          this.#pending = lot.reverse().concat(this.#pending);
        }
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
   * called or the ring is closed. An exception of the handler becomes an uncaught exception.
   */
  on(handler: (event: T) => void): () => void {
    const release = this.#claim("on()");
    let active = true;
    const drain = (): void => {
      if (!active || this.#closed) return;
      const more = this.#deliver(handler, LOT, performance.now() + LOT_TIME);
      if (more && active) setImmediate(drain);
    };
    const off = (): void => {
      if (!active) return;
      active = false;
      this.#watcher.stop();
      this.#wake = undefined;
      release();
    };
    this.#wake = drain;
    this.#watcher.start();
    if (this.#pending.length > 0) setImmediate(drain);
    return off;
  }

  /**
   * Waits up to `timeoutMs` milliseconds (-1: without end, 0: not at all) until there are events, and returns them, or
   * gives each to `handler` and returns their number. Blocks the event loop meanwhile. A signal ends the wait early.
   *
   * libbpf: `ring_buffer__poll`.
   */
  poll(timeoutMs: number): T[];
  poll(timeoutMs: number, handler: (event: T) => void): number;
  poll(timeoutMs: number, handler?: (event: T) => void): T[] | number {
    this.#assertOpen();
    if (!Number.isInteger(timeoutMs) || timeoutMs < -1 || timeoutMs > 2 ** 31 - 1) {
      throw new ArgumentError(`poll() wants whole milliseconds, or -1 to wait without end, not ${timeoutMs}`);
    }
    if (this.#pending.length === 0) this.#watcher.wait(timeoutMs);
    return handler === undefined ? this.consume() : this.consume(handler);
  }

  /**
   * Returns the events that are there, or gives each to `handler` and returns their number, without waiting.
   *
   * libbpf: `ring_buffer__consume`.
   */
  consume(): T[];
  consume(handler: (event: T) => void): number;
  consume(handler?: (event: T) => void): T[] | number {
    this.#assertOpen();
    if (handler !== undefined) {
      let count = 0;
      const counting = (event: T): void => {
        count++;
        handler(event);
      };
      this.#deliver(counting, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
      return count;
    }
    return this.#take(Number.POSITIVE_INFINITY).reverse();
  }

  /** Ends iterations, unmaps the ring and closes its descriptor. Idempotent. libbpf: `ring_buffer__free`. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watcher.close();
    this.#memory.close();
    this.#fd.close();
    this.#pending = [];
    this.#wake?.();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Up to `limit` events in reverse order (so that taking them one by one is cheap). */
  #take(limit: number): T[] {
    const lot = this.#pending;
    this.#pending = [];
    if (lot.length < limit) {
      try {
        this.#memory.drain(limit - lot.length, (offset, length) => lot.push(this.#decode(offset, length)));
      } catch (error) {
        // What was decoded before the faulty record is not lost.
        this.#pending = lot;
        throw error;
      }
    }
    return lot.reverse();
  }

  /** Gives events to `handler` until none is left (false) or a bound is reached (true). */
  #deliver(handler: (event: T) => void, limit: number, deadline: number): boolean {
    let left = limit;
    while (this.#pending.length > 0) {
      if (left-- <= 0) return true;
      handler(this.#pending.shift()!);
      if (this.#closed) return false;
    }
    const decode = this.#decode;
    const handle: RecordHandler = (offset, length) => handler(decode(offset, length));
    // Looking at the clock is dearer than an event.
    const lot = deadline === Number.POSITIVE_INFINITY ? left : 64;
    while (left > 0) {
      const count = this.#memory.drain(Math.min(lot, left), handle);
      if (count === 0) return false;
      left -= count;
      if (performance.now() > deadline) return true;
    }
    return true;
  }

  #readable(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        this.#watcher.stop();
        resolve();
      };
      this.#watcher.start();
    });
  }

  #claim(reader: string): () => void {
    this.#assertOpen();
    if (this.#reader !== undefined) {
      throw new StateError(`${this.#reader} is already reading this ring buffer`, { map: this.#name });
    }
    this.#reader = reader;
    return () => {
      this.#reader = undefined;
    };
  }

  #assertOpen(): void {
    if (this.#closed) throw new StateError("the ring buffer was used after close()", { map: this.#name });
  }

  #copy = (offset: number, length: number): T => this.#memory.bytes.slice(offset, offset + length) as T;

  #decoder(codec: BtfTypeCodec): (offset: number, length: number) => T {
    const { view } = this.#memory;
    const { size, flexible, decode } = codec;
    return (offset, length) => {
      if (length < size) throw tooShort(length, size, this.#name);
      return (flexible ? codec.decodeRecord(view, offset, length) : decode(view, offset)) as T;
    };
  }
}

function tooShort(length: number, size: number, map: string): ValueError {
  return new ValueError("VALUE", `a record of ${length} bytes is shorter than its type (${size} bytes)`, {
    map,
    hint: "does the program submit another struct than the one given as type?",
  });
}
