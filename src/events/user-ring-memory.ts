// The shared memory of a user ring buffer and the producer's half of its protocol (libbpf.md 1.8): no encoding, no waiting.
//
// Layout as mmap shows it: one page with the consumer position (the kernel's, read-only), then one page with the producer
// position and the data twice in a row, so that a record which wraps is contiguous (both ours to write).

import { ArgumentError } from "../errors.js";
import { type FileDescriptor, MappedRegion, pageSize } from "../syscall/index.js";

/** Header of a record: u32 length with two flag bits, u32 unused. Payloads are padded to 8 bytes. */
const HEADER_SIZE = 8;
/** BPF_RINGBUF_BUSY_BIT: reserved, not yet submitted: the kernel reads no further. */
const BUSY = 0x8000_0000;
/** BPF_RINGBUF_DISCARD_BIT: to be skipped. */
const DISCARD = 0x4000_0000;

/** Where a record was reserved. */
export interface ReservedRecord {
  /** Of its payload in {@link UserRingMemory.bytes}. */
  readonly offset: number;
  readonly length: number;
}

/** Maps a user ring buffer, and reserves and publishes its records. */
export class UserRingMemory {
  /** Bytes of data; a power of two. */
  readonly size: number;
  /** The data, twice in a row. */
  readonly bytes: Uint8Array;
  readonly #regions: readonly [MappedRegion, MappedRegion];
  readonly #consumer: BigInt64Array;
  readonly #producer: BigInt64Array;
  readonly #headers: Int32Array;
  #closed = false;

  /** @param size the map's `max_entries`: bytes of data @throws ArgumentError, SystemCallError */
  constructor(fd: FileDescriptor, size: number) {
    if (size > 2 ** 30)
      throw new ArgumentError(`a user ring buffer of ${size} bytes is too large; 1 GiB is the limit here`);
    const page = pageSize();
    this.size = size;
    const consumer = MappedRegion.map(fd, { length: page });
    let producer: MappedRegion;
    try {
      producer = MappedRegion.map(fd, { length: page + 2 * size, offset: page, writable: true });
    } catch (error) {
      consumer.close();
      throw error;
    }
    this.#regions = [consumer, producer];
    this.#consumer = new BigInt64Array(consumer.buffer, consumer.byteOffset, 1);
    this.#producer = new BigInt64Array(producer.buffer, producer.byteOffset, 1);
    this.#headers = new Int32Array(producer.buffer, producer.byteOffset + page, (2 * size) / 4);
    this.bytes = new Uint8Array(producer.buffer, producer.byteOffset + page, 2 * size);
  }

  /** Bytes that were reserved and the kernel has not passed yet, headers included. */
  get pending(): number {
    return this.#closed ? 0 : Number(Atomics.load(this.#producer, 0) - Atomics.load(this.#consumer, 0));
  }

  /** The longest payload that ever fits. */
  get maxLength(): number {
    return this.size - HEADER_SIZE;
  }

  /** Takes space for a record, at which the kernel stops until it is published; undefined when there is no room now. */
  reserve(length: number): ReservedRecord | undefined {
    const total = spaceOf(length);
    const producer = Atomics.load(this.#producer, 0);
    const used = Number(producer - Atomics.load(this.#consumer, 0));
    if (used + total > this.size) return undefined;
    const at = Number(BigInt.asUintN(32, producer)) & (this.size - 1);
    Atomics.store(this.#headers, at / 4, length | BUSY);
    Atomics.store(this.#headers, at / 4 + 1, 0);
    // After the header: what lies before the position is read by the kernel.
    Atomics.store(this.#producer, 0, producer + BigInt(total));
    return { offset: at + HEADER_SIZE, length };
  }

  /** Lets the kernel have a record, or skip it. */
  publish({ offset, length }: ReservedRecord, discard = false): void {
    if (this.#closed) return;
    Atomics.store(this.#headers, (offset - HEADER_SIZE) / 4, discard ? length | DISCARD : length);
  }

  /** Unmaps; records that are in the ring stay there. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const region of this.#regions) region.close();
  }
}

/** Bytes that a record takes. */
function spaceOf(length: number): number {
  return (length + HEADER_SIZE + 7) & ~7;
}
