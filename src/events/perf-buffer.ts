// Events from a perf event array: a buffer for each CPU, written with bpf_perf_event_output. What there was before ring
// buffers, and still what kernels before Linux 5.8 have.

import type { BtfValue } from "../btf/index.js";
import { ArgumentError, SystemCallError } from "../errors.js";
import { log } from "../log.js";
import type { BpfMap } from "../map/index.js";
import {
  Errno,
  type FdLike,
  type FileDescriptor,
  mapDelete,
  mapUpdate,
  onlineCpus,
  PerfSoftware,
  PerfType,
  perfEventOpen,
} from "../syscall/index.js";
import { EventReader } from "./event-reader.js";
import { type EventTypeOptions, eventDecoder } from "./event-type.js";
import { PerfMemory, type SampleHandler } from "./perf-memory.js";

/** Options of {@link PerfBuffer}. libbpf: `struct perf_buffer_opts` and the arguments of `perf_buffer__new`. */
export interface PerfBufferOptions extends EventTypeOptions {
  /** Memory pages of each CPU's buffer, a power of two; 64 by default. */
  pages?: number | undefined;
  /**
   * Events on one CPU before a reader is woken, 1 by default. More cost the traced system less; the last ones of a burst
   * then wait for `consume()`, or for the end of a `poll()`. libbpf: `sample_period`.
   */
  wakeupEvents?: number | undefined;
  /** Called when the kernel had no room for events, before the next event of that CPU is delivered. */
  onLost?: ((count: number, cpu: number) => void) | undefined;
}

const DEFAULT_PAGES = 64;
/** 2 GiB of 4-KiB pages; positions that differ by 4 GiB could not be told apart. */
const MAX_PAGES = 2 ** 19;
/** PERF_SAMPLE_RAW, UAPI linux/perf_event.h. */
const SAMPLE_RAW = 1 << 10;

/** The buffer of one CPU. */
interface CpuBuffer {
  readonly cpu: number;
  readonly event: FileDescriptor;
  readonly memory: PerfMemory;
}

/**
 * Reads a map of type BPF_MAP_TYPE_PERF_EVENT_ARRAY (Linux 4.3, programs other than tracing ones later), which programs
 * write to with `bpf_perf_event_output(ctx, &map, BPF_F_CURRENT_CPU, …)`. The map must be loaded. Puts an event of its own
 * into the map for each CPU that is online, until it is closed; a map has one such reader at a time.
 *
 * Handlers get the CPU as a second argument. Events of one CPU come in the order in which they were written, those of
 * several CPUs in no order. The kernel pads events to a multiple of 8 bytes less 4: without a type, and in flexible
 * arrays at the end of one, there may be up to 7 bytes more than the program wrote.
 *
 * libbpf: `perf_buffer__new`, `perf_buffer__poll`, `perf_buffer__consume`, `perf_buffer__free`.
 */
export class PerfBuffer<T = BtfValue> extends EventReader<T, [cpu: number]> {
  readonly #cpus: CpuBuffers;

  /**
   * @throws ArgumentError when `map` is no perf event array, StateError when it is not loaded, BtfError when `type` is
   * unknown, SystemCallError: EPERM or EACCES without CAP_PERFMON, or where the pages are more than may be locked
   */
  constructor(map: BpfMap, options: PerfBufferOptions = {}) {
    if (map.type !== "perf_event_array") {
      throw new ArgumentError(`a PerfBuffer reads maps of type perf_event_array; this one is of type ${map.type}`, {
        map: map.name,
      });
    }
    const decode = eventDecoder<T>(map, options);
    const cpus = new CpuBuffers(map, options);
    super({
      what: "perf buffer",
      map: map.name,
      perCpu: true,
      fds: cpus.fds,
      waiting: () => cpus.available > 0,
      drain: (limit, receive) =>
        cpus.drain(limit, (cpu, bytes, view, offset, length) => receive(decode(bytes, view, offset, length), cpu)),
      close: () => cpus.close(),
    });
    this.#cpus = cpus;
  }

  /** Bytes that wait on all CPUs (headers included). */
  get availableBytes(): number {
    this.assertOpen();
    return this.#cpus.available;
  }

  /** Numbers of the CPUs whose events are read: those that were online. */
  get cpus(): number[] {
    return this.#cpus.numbers;
  }

  /** Events that the kernel had no room for, as far as it was told by what has been read. */
  get lost(): number {
    return this.#cpus.lost;
  }
}

/** Receives a sample of a CPU. */
type CpuSampleHandler = (cpu: number, ...sample: Parameters<SampleHandler>) => boolean;

/** The buffers of all CPUs, and the map that programs find them by. */
class CpuBuffers {
  readonly #map: FileDescriptor;
  readonly #buffers: CpuBuffer[] = [];
  readonly #onLost: PerfBufferOptions["onLost"];
  /** Whose turn it is to be read first: a CPU that never rests must not keep the others waiting. */
  #first = 0;
  lost = 0;

  constructor(map: BpfMap, options: PerfBufferOptions) {
    const { pages = DEFAULT_PAGES, wakeupEvents = 1, onLost } = options;
    if (!Number.isInteger(pages) || pages < 1 || pages > MAX_PAGES || !Number.isInteger(Math.log2(pages))) {
      throw new ArgumentError(`pages of a perf buffer are a power of two up to ${MAX_PAGES}, not ${pages}`, {
        map: map.name,
      });
    }
    if (!Number.isInteger(wakeupEvents) || wakeupEvents < 1 || wakeupEvents > 2 ** 32 - 1) {
      throw new ArgumentError(`wakeupEvents is a whole number of events from 1, not ${wakeupEvents}`, {
        map: map.name,
      });
    }
    this.#onLost = onLost;
    this.#map = map.duplicateFd();
    try {
      // A map may have been made for fewer CPUs than there are.
      for (const cpu of onlineCpus()) if (cpu < map.maxEntries) this.#add(cpu, pages, wakeupEvents);
      if (this.#buffers.length === 0) {
        throw new ArgumentError(`the map has ${map.maxEntries} entries, none of them for a CPU that is online`, {
          map: map.name,
          hint: "leave max_entries out in the BPF program: there will be one for each CPU",
        });
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #add(cpu: number, pages: number, wakeupEvents: number): void {
    const event = open(cpu, wakeupEvents);
    if (event === undefined) return;
    try {
      this.#buffers.push({ cpu, event, memory: new PerfMemory(event, pages) });
    } catch (error) {
      event.close();
      throw error;
    }
    mapUpdate({ map: this.#map, key: u32(cpu), value: u32(event.number) });
  }

  get fds(): FdLike[] {
    return this.#buffers.map(({ event }) => event);
  }

  get numbers(): number[] {
    return this.#buffers.map(({ cpu }) => cpu);
  }

  get available(): number {
    return this.#buffers.reduce((sum, { memory }) => sum + memory.available, 0);
  }

  drain(limit: number, handle: CpuSampleHandler): number {
    const count = this.#buffers.length;
    let left = limit;
    let takesMore = true;
    for (let i = 0; i < count && left > 0 && takesMore; i++) {
      const { cpu, memory } = this.#buffers[(this.#first + i) % count]!;
      const ofCpu: SampleHandler = (bytes, view, offset, length) => {
        takesMore = handle(cpu, bytes, view, offset, length);
        return takesMore;
      };
      left -= memory.drain(left, ofCpu, (lost) => {
        this.lost += lost;
        this.#onLost?.(lost, cpu);
      });
    }
    this.#first = (this.#first + 1) % count;
    return limit - left;
  }

  close(): void {
    for (const { cpu, event, memory } of this.#buffers) {
      memory.close();
      event.close();
      // The map would keep the event, and programs writing to it, although nobody reads.
      try {
        mapDelete({ map: this.#map, key: u32(cpu) });
      } catch (error) {
        log.warn(`perf buffer ${this.#map.what}: CPU ${cpu} stays in the map: ${String(error)}`);
      }
    }
    this.#map.close();
  }
}

/** An event that only programs write to; undefined for a CPU that has gone offline meanwhile. */
function open(cpu: number, wakeupEvents: number): FileDescriptor | undefined {
  try {
    return perfEventOpen({
      type: PerfType.SOFTWARE,
      config: PerfSoftware.BPF_OUTPUT,
      samplePeriod: wakeupEvents,
      sampleType: SAMPLE_RAW,
      wakeupEvents,
      cpu,
    });
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno !== Errno.ENODEV) throw error;
    log.debug(() => `perf buffer: CPU ${cpu} is not online`);
    return undefined;
  }
}

const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
