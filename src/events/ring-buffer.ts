// Events from a BPF ring buffer, decoded by BTF.

import type { BtfValue } from "../btf/index.js";
import { ArgumentError } from "../errors.js";
import type { BpfMap } from "../map/index.js";
import { EventReader } from "./event-reader.js";
import { type EventTypeOptions, eventDecoder } from "./event-type.js";
import { type RecordHandler, RingMemory } from "./ring-memory.js";

/** Options of {@link RingBuffer}. */
export interface RingBufferOptions extends EventTypeOptions {}

/**
 * Reads a map of type BPF_MAP_TYPE_RINGBUF (Linux 5.8). The map must be loaded. The reader keeps its own descriptor and
 * mapping, so it stays usable (and must be closed) when the object is closed first.
 *
 * libbpf: `ring_buffer__new`, `ring_buffer__poll`, `ring_buffer__consume`, `ring_buffer__free`.
 */
export class RingBuffer<T = BtfValue> extends EventReader<T> {
  readonly #memory: RingMemory;

  /**
   * @throws ArgumentError when `map` is no ring buffer, StateError when it is not loaded, BtfError when `type` is unknown.
   */
  constructor(map: BpfMap, options: RingBufferOptions = {}) {
    if (map.type !== "ringbuf") {
      throw new ArgumentError(`a RingBuffer reads maps of type ringbuf; this one is of type ${map.type}`, {
        map: map.name,
      });
    }
    const decode = eventDecoder<T>(map, options);
    const fd = map.duplicateFd();
    let memory: RingMemory;
    try {
      memory = new RingMemory(fd, map.maxEntries);
    } catch (error) {
      fd.close();
      throw error;
    }
    const { bytes, view } = memory;
    super({
      what: "ring buffer",
      map: map.name,
      perCpu: false,
      fds: [fd],
      drain(limit, receive) {
        const handle: RecordHandler = (offset, length) => receive(decode(bytes, view, offset, length));
        return memory.drain(limit, handle);
      },
      close() {
        memory.close();
        fd.close();
      },
    });
    this.#memory = memory;
  }

  /** Bytes that wait in the ring (headers and discarded records included). libbpf: `ring__avail_data_size`. */
  get availableBytes(): number {
    this.assertOpen();
    return this.#memory.available;
  }
}
