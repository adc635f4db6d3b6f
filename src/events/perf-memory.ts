// The shared memory of one CPU's perf event and the reader's half of its protocol (libbpf.md 1.9; UAPI linux/perf_event.h,
// struct perf_event_mmap_page): no decoding, no waiting.
//
// Layout as mmap shows it: one page with both positions, then the data, a power of two of pages, once: a record may wrap.

import { StateError, ValueError } from "../errors.js";
import { type FdLike, MappedRegion, pageSize } from "../syscall/index.js";

/** struct perf_event_mmap_page: u64 positions in bytes that only grow. The kernel writes the first, the reader the second. */
const DATA_HEAD = 1024;
const DATA_TAIL = 1032;

/** struct perf_event_header: u32 type, u16 misc, u16 size with the header. Records are aligned to 8 bytes. */
const HEADER_SIZE = 8;
const SIZE_AT = 6;
/** The size of a record is a u16. */
const MAX_RECORD = 2 ** 16;
/** enum perf_event_type. PERF_RECORD_LOST is u64 id, u64 lost; PERF_RECORD_SAMPLE of PERF_SAMPLE_RAW is u32 size, data. */
const PERF_RECORD_LOST = 2;
const PERF_RECORD_SAMPLE = 9;
const LOST_AT = HEADER_SIZE + 8;
const RAW_AT = HEADER_SIZE + 4;

/** Receives one sample: `length` bytes at `offset` of both views, which are of the same memory. True for more. */
export type SampleHandler = (bytes: Uint8Array, view: DataView, offset: number, length: number) => boolean;

/** Maps the buffer of a perf event and walks its records. */
export class PerfMemory {
  /** Bytes of data. */
  readonly size: number;
  readonly #region: MappedRegion;
  readonly #head: Int32Array;
  readonly #tail: BigInt64Array;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Where records that wrap are put together. */
  readonly #joined = new Uint8Array(MAX_RECORD);
  readonly #joinedView = new DataView(this.#joined.buffer);
  #draining = false;
  #closed = false;

  /** @param pages of data, a power of two @throws SystemCallError: EPERM beyond kernel.perf_event_mlock_kb, EINVAL */
  constructor(event: FdLike, pages: number) {
    const page = pageSize();
    this.size = pages * page;
    this.#region = MappedRegion.map(event, { length: page + this.size, writable: true });
    const { buffer, byteOffset } = this.#region;
    this.#head = new Int32Array(buffer, byteOffset + DATA_HEAD, 1);
    this.#tail = new BigInt64Array(buffer, byteOffset + DATA_TAIL, 1);
    this.#bytes = new Uint8Array(buffer, byteOffset + page, this.size);
    this.#view = new DataView(buffer, byteOffset + page, this.size);
  }

  /** Bytes that wait: samples and what tells of lost ones. */
  get available(): number {
    return this.#closed ? 0 : (Atomics.load(this.#head, 0) - this.#position()) >>> 0;
  }

  /**
   * Gives up to `limit` samples to `handle`, in order, and returns how many. The space of a sample is given back after its
   * handler returned (also when it threw: a sample is delivered once).
   *
   * @param onLost receives the number of samples that the kernel had no room for, where they are missing
   * @throws StateError when a handler reads from the buffer that is calling it; ValueError for what is no record
   */
  drain(limit: number, handle: SampleHandler, onLost: (count: number) => void): number {
    if (this.#closed) return 0;
    if (this.#draining) throw new StateError("a handler cannot read from the perf buffer whose event it is given");
    this.#draining = true;
    // Giving space back in pieces keeps the producers going while a long backlog is read.
    const publishAfter = this.size >>> 3;
    let position = this.#position();
    let unpublished = 0;
    let count = 0;
    const publish = (): void => {
      position += unpublished;
      unpublished = 0;
      // One 64-bit store: the kernel must never see half a position.
      Atomics.store(this.#tail, 0, BigInt(position));
    };
    try {
      while (count < limit) {
        // The low 32 bits are enough: positions differ by no more than the size.
        let available = (Atomics.load(this.#head, 0) - (position + unpublished)) >>> 0;
        if (available === 0) break;
        while (available > 0 && count < limit) {
          // Not `&`: positions grow beyond 32 bits.
          const offset = (position + unpublished) % this.size;
          const size = this.#view.getUint16(offset + SIZE_AT, true);
          if (size < HEADER_SIZE || size > available) {
            // Nothing can be said of what follows; reading it again would give the same error for ever.
            unpublished += available;
            throw damaged(offset, size);
          }
          const type = this.#view.getUint32(offset, true);
          unpublished += size;
          available -= size;
          const wraps = offset + size > this.size;
          if (wraps) this.#join(offset, size);
          const at = wraps ? 0 : offset;
          const view = wraps ? this.#joinedView : this.#view;
          if (type === PERF_RECORD_SAMPLE) {
            const length = size < RAW_AT ? size : view.getUint32(at + HEADER_SIZE, true);
            if (length > size - RAW_AT) throw damaged(offset, size);
            count++;
            const bytes = wraps ? this.#joined : this.#bytes;
            if (!handle(bytes, view, at + RAW_AT, length)) return count;
          } else if (type === PERF_RECORD_LOST && size >= LOST_AT + 8) {
            onLost(Number(view.getBigUint64(at + LOST_AT, true)));
          }
          if (this.#closed) return count;
          if (unpublished > publishAfter) publish();
        }
        publish();
      }
    } finally {
      this.#draining = false;
      if (unpublished > 0 && !this.#closed) publish();
    }
    return count;
  }

  /** Read anew each time: whoever else has mapped the buffer may have moved it. */
  #position(): number {
    return Number(Atomics.load(this.#tail, 0));
  }

  #join(offset: number, size: number): void {
    const first = this.size - offset;
    this.#joined.set(this.#bytes.subarray(offset), 0);
    this.#joined.set(this.#bytes.subarray(0, size - first), first);
  }

  /** Unmaps; samples that were not read are gone. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#region.close();
  }
}

function damaged(offset: number, size: number): ValueError {
  const reason = `the perf buffer has a record of ${size} bytes at offset ${offset}, which none can be`;
  return new ValueError("VALUE", reason, { hint: "has something else written to the mapped memory?" });
}
