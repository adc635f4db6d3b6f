// A map and memory: the global variables of a data section, arenas, and arrays whose memory this process shares.

import { type BtfValue, type CodecOptions, liveArray } from "../btf/index.js";
import { UnsupportedError, withLocation } from "../errors.js";
import { MapFlag } from "../object/index.js";
import { MappedRegion, mapLookup, mapUpdate } from "../syscall/index.js";
import { DataSection } from "./global-variables.js";
import { MapHandle } from "./handle.js";
import { SectionMemory, type SectionValue } from "./section-memory.js";

/** A map with the memory that it shares with programs, if it does. */
export class MappedMap extends MapHandle {
  #data: DataSection | undefined;
  #memory: MappedRegion | undefined;
  #live: { readonly array: readonly BtfValue[]; readonly memory: SectionMemory } | undefined;
  #dataOffset = 0;
  #frozen = false;
  /** The data section is reached by system calls. */
  #unmapped = false;
  #int64: NonNullable<CodecOptions["int64"]> = "bigint";

  /**
   * What 64-bit integers in keys and values (and in the variables of a data section) are: `"bigint"`, or `"number"`, which
   * is exact up to 2^53 and rounded beyond. Settable at any time, for what is read and written from then on.
   */
  get int64(): "bigint" | "number" {
    return this.#int64;
  }
  set int64(int64: "bigint" | "number") {
    this.#int64 = int64;
    this.#live = undefined;
    if (this.#data !== undefined) this.#data.int64 = int64;
  }

  /** The section of the global variables in this map: its own, or for an arena `.addr_space.1`; else undefined. */
  get dataSectionName(): string | undefined {
    const { dataKind, sectionName, arena } = this.spec;
    return dataKind === undefined ? arena?.sectionName : sectionName;
  }

  /**
   * The memory of the map, shared with the programs: of an arena (Linux 6.9), a data section, or an array with
   * BPF_F_MMAPABLE (Linux 5.5), whose elements begin at multiples of 8 bytes. Only while the object is loaded: a view that
   * is kept has length 0, or zeros, after close. An array that is mapped cannot be frozen any more.
   *
   * Offsets in an arena are the lower 32 bits of the programs' pointers, less those of {@link memoryAddress}. libbpf:
   * `bpf_map__initial_value` for arenas and data sections, which begins with the variables.
   *
   * @throws UnsupportedError for other maps, for constants (which the kernel has frozen) and for arenas with
   *   BPF_F_SEGV_ON_FAULT; StateError while not loaded; SystemCallError EPERM when the map is frozen
   */
  get memory(): Uint8Array {
    return this.#region.bytes;
  }

  /** Where the memory lies in this process: user-space pointers in an arena count from here. */
  get memoryAddress(): bigint {
    return this.#region.address;
  }

  /** @internal What {@link BpfMap.live} gives. */
  liveElements(): readonly BtfValue[] {
    const { type, btf, where } = this;
    const { valueTypeId, valueSize, maxEntries } = this.spec;
    const region = this.#region;
    if (this.#live !== undefined) return this.#live.array;
    if (type !== "array") throw new UnsupportedError(`a map of type ${type} is no array of elements`, where);
    if (btf === undefined || valueTypeId === 0 || this.spec.dataKind !== undefined) {
      const hint = "use memory, or the variables of a data section";
      throw new UnsupportedError("nothing tells the type of the elements", { ...where, hint });
    }
    const memory = new SectionMemory("memory", region.bytes);
    memory.bind(region.bytes);
    const stride = elementStride(valueSize);
    const name = this.name || "live";
    const array = withLocation(where, () =>
      liveArray(btf, valueTypeId, memory.of(name), {
        count: maxEntries,
        stride,
        name,
        int64: this.#int64,
      }),
    );
    this.#live = { array, memory };
    return array;
  }

  get #region(): MappedRegion {
    const { descriptor, type } = this;
    if (this.#memory !== undefined) return this.#memory;
    const { flags, valueSize, maxEntries, dataKind } = this.spec;
    if (type === "array" && dataKind === undefined && (flags & MapFlag.MMAPABLE) !== 0) {
      const length = elementStride(valueSize) * maxEntries;
      this.#memory = withLocation(this.where, () => MappedRegion.map(descriptor, { length, writable: true }));
      return this.#memory;
    }
    throw new UnsupportedError(
      type === "arena"
        ? "an arena with BPF_F_SEGV_ON_FAULT is not mapped"
        : "only arenas, variables and arrays with BPF_F_MMAPABLE share their memory",
      this.where,
    );
  }

  /** The global variables of a data section or of an arena; undefined for other maps. */
  get data(): DataSection | undefined {
    const { initialValue, valueTypeId, arena } = this.spec;
    const name = this.dataSectionName;
    if (name === undefined || initialValue === undefined) return undefined;
    if (this.#data === undefined) {
      this.#data = new DataSection(name, initialValue, this.btf, (arena?.typeId ?? valueTypeId) || undefined);
      this.#data.int64 = this.#int64;
      if (this.#memory?.closed === false) this.#bind(this.#data, this.#memory);
      if (this.#unmapped) this.#data.memory.bindValue(this.#wholeValue());
      if (this.spec.dataKind === "kconfig") this.#data.memory.withhold();
      if (this.#frozen) this.#data.memory.freeze();
      if (this.sealed === "closed") this.#data.memory.close();
    }
    return this.#data;
  }

  /** @internal Variables that somebody may still hold are those of the old image. */
  override imageChanged(): void {
    this.#data?.memory.close();
    this.#data = undefined;
  }

  /** @internal Takes over the memory that a data section shares with the kernel from now on. */
  setMemory(memory: MappedRegion, offset = 0): void {
    this.#memory = memory;
    this.#dataOffset = offset;
    if (this.#data !== undefined) this.#bind(this.#data, memory);
  }

  #bind(data: DataSection, { bytes }: MappedRegion): void {
    const size = this.spec.initialValue?.length ?? 0;
    data.memory.bind(bytes.subarray(this.#dataOffset, this.#dataOffset + size));
  }

  /** @internal The kernel cannot map the data section (before Linux 5.5): variables are read and written through the map. */
  setUnmapped(): void {
    this.#unmapped = true;
    this.#data?.memory.bindValue(this.#wholeValue());
  }

  #wholeValue(): SectionValue {
    const key = new Uint8Array(4);
    return {
      read: (value) => void mapLookup({ map: this.descriptor, key, value }),
      write: (value) => mapUpdate({ map: this.descriptor, key, value }),
    };
  }

  /** @internal The kernel froze the data section. */
  setFrozen(): void {
    this.#frozen = true;
    this.#data?.memory.freeze();
  }

  /** @internal Forgets mapped memory and closes the descriptor. */
  override close(): void {
    this.#data?.memory.close();
    this.#live?.memory.close();
    this.#memory?.close();
    super.close();
  }
}

/** Bytes from one element of an array to the next: the kernel's round_up(value_size, 8). */
function elementStride(valueSize: number): number {
  return Math.ceil(valueSize / 8) * 8;
}
