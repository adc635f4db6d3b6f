// Records for BPF programs, encoded by BTF: a ring buffer in the other direction.

import { type BtfTypeCodec, type BtfValue, recordCodec, type ValueInput } from "../btf/index.js";
import { ArgumentError, StateError } from "../errors.js";
import type { BpfMap } from "../map/index.js";
import type { FileDescriptor } from "../syscall/index.js";
import type { EventTypeOptions } from "./event-type.js";
import { type ReservedRecord, UserRingMemory } from "./user-ring-memory.js";
import { FdWatcher } from "./watcher.js";

/** Options of {@link UserRingBuffer}. */
export interface UserRingBufferOptions extends Pick<EventTypeOptions, "int64"> {
  /** Name of the C type of every record in the object's BTF. Without it, records are `Uint8Array`s. */
  type?: string | undefined;
}

/** Someone who waits for room. */
interface Waiting {
  readonly record: Uint8Array;
  resolve(): void;
  reject(reason: unknown): void;
}

/**
 * Space in the ring, filled in place. The programs get no later record before it is submitted or discarded, which leaving
 * a `using` block does.
 */
export class Reservation implements Disposable {
  readonly #memory: UserRingMemory;
  readonly #record: ReservedRecord;
  #over = false;

  /** @internal */
  constructor(memory: UserRingMemory, record: ReservedRecord) {
    this.#memory = memory;
    this.#record = record;
  }

  /** The record's bytes in the ring: what was there before, not zeros. @throws StateError when it is over */
  get bytes(): Uint8Array {
    this.#assertOpen();
    return this.#memory.bytes.subarray(this.#record.offset, this.#record.offset + this.#record.length);
  }

  /** Gives the record to the programs. @throws StateError when it is over. libbpf: `user_ring_buffer__submit` */
  submit(): void {
    this.#assertOpen();
    this.#over = true;
    this.#memory.publish(this.#record);
  }

  /** Has the programs skip the record; later calls do nothing. libbpf: `user_ring_buffer__discard` */
  discard(): void {
    if (this.#over) return;
    this.#over = true;
    this.#memory.publish(this.#record, true);
  }

  [Symbol.dispose](): void {
    this.discard();
  }

  #assertOpen(): void {
    if (this.#over) throw new StateError("the record was submitted or discarded already");
  }
}

/**
 * Writes to a map of type BPF_MAP_TYPE_USER_RINGBUF (Linux 6.1), which programs read with `bpf_user_ringbuf_drain()` when
 * they run: writing wakes nobody. The map must be loaded. There must be one writer: the protocol has no room for two. The
 * writer keeps its own descriptor and mapping, so it stays usable (and must be closed) when the object is closed first.
 *
 * libbpf: `user_ring_buffer__new`, `user_ring_buffer__reserve`, `user_ring_buffer__free`.
 */
export class UserRingBuffer<T = BtfValue> implements Disposable {
  readonly #name: string;
  readonly #fd: FileDescriptor;
  readonly #memory: UserRingMemory;
  readonly #codec: BtfTypeCodec | undefined;
  readonly #watcher: FdWatcher;
  readonly #waiting: Waiting[] = [];
  #closed = false;

  /**
   * @throws ArgumentError when `map` is no user ring buffer, StateError when it is not loaded, BtfError when `type` is
   * unknown
   */
  constructor(map: BpfMap, options: UserRingBufferOptions = {}) {
    if (map.type !== "user_ringbuf") {
      throw new ArgumentError(`a UserRingBuffer writes to maps of type user_ringbuf; this one is of type ${map.type}`, {
        map: map.name,
      });
    }
    this.#name = map.name;
    const { type, int64 = map.int64 } = options;
    this.#codec = type === undefined ? undefined : recordCodec(map.btf, type, { int64 }, { map: map.name });
    const watcher = new FdWatcher({ onReady: () => this.#onDrained() });
    let fd: FileDescriptor | undefined;
    try {
      fd = map.duplicateFd();
      watcher.add(fd, 0, "drained");
      this.#memory = new UserRingMemory(fd, map.maxEntries);
    } catch (error) {
      watcher.close();
      fd?.close();
      throw error;
    }
    this.#fd = fd;
    this.#watcher = watcher;
  }

  /** Bytes in the ring that the programs have not read yet (headers included). */
  get pendingBytes(): number {
    this.#assertOpen();
    return this.#memory.pending;
  }

  /**
   * Writes one record, and tells whether there was room for it. Also false while {@link send} waits for room: records keep
   * their order.
   *
   * @throws ValueError when the value does not fit its type, ArgumentError when it is longer than the ring
   */
  submit(value: ValueInput<T>): boolean {
    this.#assertOpen();
    const record = this.#encode(value);
    return this.#waiting.length === 0 && this.#write(record);
  }

  /**
   * Writes one record, as soon as there is room for it. Does not block the event loop.
   *
   * @throws as {@link submit}; StateError when the ring is closed meanwhile, or what `signal` was aborted with: then the
   * record was not written
   */
  async send(value: ValueInput<T>, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.#assertOpen();
    const { signal } = options;
    signal?.throwIfAborted();
    const record = this.#encode(value);
    if (this.#waiting.length === 0 && this.#write(record)) return;
    const { promise, resolve, reject } = withResolvers();
    const waiting: Waiting = { record, resolve, reject };
    const onAbort = (): void => {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      if (this.#waiting.length === 0) this.#watcher.stop();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#waiting.push(waiting);
    this.#watcher.start();
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /**
   * Writes one record, waiting up to `timeoutMs` milliseconds for room (-1: without end), and tells whether there was any.
   * Blocks the event loop meanwhile. A signal ends the wait early. libbpf: `user_ring_buffer__reserve_blocking`.
   *
   * @throws as {@link submit}
   */
  submitBlocking(value: ValueInput<T>, timeoutMs: number): boolean {
    this.#assertOpen();
    if (!Number.isInteger(timeoutMs) || timeoutMs < -1 || timeoutMs > 2 ** 31 - 1) {
      throw new ArgumentError(`whole milliseconds are wanted, or -1 to wait without end, not ${timeoutMs}`);
    }
    const record = this.#encode(value);
    if (this.#waiting.length > 0) return false;
    const end = timeoutMs === -1 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
    // The first wait may end at once: the beginning counts as an event.
    while (!this.#write(record)) {
      const left = Math.ceil(end - performance.now());
      if (left <= 0) return false;
      if (this.#watcher.wait(timeoutMs === -1 ? -1 : left) === 0) return this.#write(record);
    }
    return true;
  }

  /**
   * Takes space for a record of `length` bytes to be filled in place; undefined when there is no room for it now.
   *
   * libbpf: `user_ring_buffer__reserve`. @throws ArgumentError when it is longer than the ring
   */
  reserve(length: number): Reservation | undefined {
    this.#assertOpen();
    this.#checkLength(length);
    const record = this.#waiting.length > 0 ? undefined : this.#memory.reserve(length);
    return record && new Reservation(this.#memory, record);
  }

  /** Unmaps the ring and closes its descriptor; what waits for room is refused. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watcher.close();
    this.#memory.close();
    this.#fd.close();
    for (const { reject } of this.#waiting.splice(0)) reject(this.#closedError());
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #onDrained(): void {
    // Takes the event, which would be told again and again.
    this.#watcher.ready(0);
    while (this.#waiting.length > 0 && this.#write(this.#waiting[0]!.record)) this.#waiting.shift()!.resolve();
    if (this.#waiting.length === 0) this.#watcher.stop();
  }

  #write(record: Uint8Array): boolean {
    const reserved = this.#memory.reserve(record.length);
    if (reserved === undefined) return false;
    this.#memory.bytes.set(record, reserved.offset);
    this.#memory.publish(reserved);
    return true;
  }

  /** Before space is taken: a value that is refused must not leave a record. */
  #encode(value: unknown): Uint8Array {
    if (this.#codec !== undefined) {
      const { size } = this.#codec;
      this.#checkLength(size);
      const bytes = new Uint8Array(size);
      this.#codec.encode(new DataView(bytes.buffer), 0, value as BtfValue);
      return bytes;
    }
    if (!(value instanceof Uint8Array)) {
      throw new ArgumentError("without a type, records are Uint8Arrays", {
        map: this.#name,
        hint: 'name the C type: new UserRingBuffer(map, { type: "command" })',
      });
    }
    this.#checkLength(value.length);
    // The caller may write to its bytes while they wait for room.
    return new Uint8Array(value);
  }

  #checkLength(length: number): void {
    const { maxLength } = this.#memory;
    if (Number.isInteger(length) && length >= 0 && length <= maxLength) return;
    const reason = `a record of this ring has up to ${maxLength} bytes, not ${length}`;
    throw new ArgumentError(reason, {
      map: this.#name,
      hint: "max_entries of the map is the size of the ring in bytes",
    });
  }

  #assertOpen(): void {
    if (this.#closed) throw this.#closedError();
  }

  #closedError(): StateError {
    return new StateError("the user ring buffer was used after close()", { map: this.#name });
  }
}

/** Promise.withResolvers(), which Node.js 20 lacks. */
function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (reason: unknown) => void } {
  let [resolve, reject] = [(): void => undefined, (_reason: unknown): void => undefined];
  const promise = new Promise<void>((onResolve, onReject) => {
    [resolve, reject] = [onResolve, onReject];
  });
  return { promise, resolve, reject };
}
