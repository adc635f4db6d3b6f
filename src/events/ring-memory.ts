// The shared memory of one BPF ring buffer and the consumer's half of its protocol (libbpf.md 1.7; kernel
// Documentation/bpf/ringbuf.rst): no decoding, no waiting.
//
// Layout as mmap shows it: one page with the consumer position (ours to write), then one page with the producer
// position and the data twice in a row, so that a record which wraps is contiguous (both read-only).

import { ArgumentError, StateError } from "../errors.js";
import { type FileDescriptor, MappedRegion, pageSize } from "../syscall/index.js";

/** Header of a record: u32 length with two flag bits, u32 page offset. Payloads are padded to 8 bytes. */
const HEADER_SIZE = 8;
/** BPF_RINGBUF_BUSY_BIT is the sign bit: reserved, not yet submitted. */
const isBusy = (header: number): boolean => header < 0;
/** BPF_RINGBUF_DISCARD_BIT: to be skipped. */
const DISCARD = 0x40000000;
const LENGTH = 0x3fffffff;

/** Receives one record: its payload lies at `offset`, `length` bytes long, in {@link RingMemory.view}. True for more. */
export type RecordHandler = (offset: number, length: number) => boolean;

/** Maps a ring buffer and walks its records. */
export class RingMemory {
  /** Bytes of data; a power of two. */
  readonly size: number;
  /** The data, twice in a row. Read-only memory: writing through it would end the process, so it is never handed out. */
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly #regions: readonly [MappedRegion, MappedRegion];
  readonly #consumer: BigInt64Array;
  readonly #producer: Int32Array;
  readonly #headers: Int32Array;
  #draining = false;
  #closed = false;

  /**
   * @param size the map's `max_entries`: bytes of data.
   * @throws ArgumentError for rings of 4 GiB and more, whose positions this consumer could not tell apart.
   */
  constructor(fd: FileDescriptor, size: number) {
    if (size >= 2 ** 32)
      throw new ArgumentError(`a ring buffer of ${size} bytes is too large; 2 GiB is the limit here`);
    const page = pageSize();
    this.size = size;
    const consumer = MappedRegion.map(fd, { length: page, offset: 0, writable: true });
    let producer: MappedRegion;
    try {
      producer = MappedRegion.map(fd, { length: page + 2 * size, offset: page, writable: false });
    } catch (error) {
      consumer.close();
      throw error;
    }
    this.#regions = [consumer, producer];
    this.#consumer = new BigInt64Array(consumer.buffer, consumer.byteOffset, 1);
    this.#producer = new Int32Array(producer.buffer, producer.byteOffset, 1);
    this.#headers = new Int32Array(producer.buffer, producer.byteOffset + page, (2 * size) / 4);
    this.view = new DataView(producer.buffer, producer.byteOffset + page, 2 * size);
    this.bytes = new Uint8Array(producer.buffer, producer.byteOffset + page, 2 * size);
  }

  /** Bytes that the producers have reserved and this consumer has not passed yet. */
  get available(): number {
    return this.#closed ? 0 : (Atomics.load(this.#producer, 0) - this.#position()) >>> 0;
  }

  /**
   * Gives up to `limit` records to `handle`, in order, and returns how many. Stops early at a record that is still
   * being written. The space of a record is given back after its handler returned (also when it threw: a record is
   * delivered once).
   *
   * @throws StateError when a handler reads from the ring that is calling it
   */
  drain(limit: number, handle: RecordHandler): number {
    if (this.#closed) return 0;
    if (this.#draining) throw new StateError("a handler cannot read from the ring buffer whose record it is given");
    this.#draining = true;
    const mask = this.size - 1;
    // Giving space back in pieces keeps the producers going while a long backlog is read.
    const publishAfter = this.size >>> 3;
    let position = this.#position();
    let low = position >>> 0;
    let unpublished = 0;
    let count = 0;
    const publish = (): void => {
      position += unpublished;
      unpublished = 0;
      // One 64-bit store: the kernel must never see half a position.
      Atomics.store(this.#consumer, 0, BigInt(position));
    };
    try {
      while (count < limit) {
        // The low 32 bits are enough: positions differ by less than 4 GiB.
        let available = (Atomics.load(this.#producer, 0) - low) >>> 0;
        let progress = false;
        while (available > 0 && count < limit) {
          const offset = (low & mask) >>> 0;
          const header = Atomics.load(this.#headers, offset >>> 2);
          if (isBusy(header)) break;
          const length = header & LENGTH;
          const step = (length + HEADER_SIZE + 7) & ~7;
          low = (low + step) >>> 0;
          available -= step;
          unpublished += step;
          progress = true;
          if ((header & DISCARD) === 0) {
            count++;
            if (!handle(offset + HEADER_SIZE, length) || this.#closed) return count;
          }
          if (unpublished > publishAfter) publish();
        }
        if (!progress) break;
        // The kernel wakes a consumer only if it has caught up, so look again after the position was published.
        publish();
      }
    } finally {
      this.#draining = false;
      if (unpublished > 0 && !this.#closed) publish();
    }
    return count;
  }

  /**
   * Consumer position; the kernel's counters start at 0 and only grow. Read anew each time: whoever else has mapped the
   * ring may have moved it, and what lies behind it is no longer a record.
   */
  #position(): number {
    return Number(Atomics.load(this.#consumer, 0));
  }

  /** Unmaps; records that were not read stay in the kernel's buffer. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const region of this.#regions) region.close();
  }
}
