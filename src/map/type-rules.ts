// What is special about each map type, as a table: one row a type, nothing in a row for the common case
// (libbpf.md 3.3, "Quirks at creation").

import type { MapTypeName } from "../object/index.js";

/** Peculiarities of a map type. */
export interface MapTypeRule {
  /** Values are one per possible CPU. */
  readonly perCpu?: true;
  /** The kernel takes no BTF ids for its keys and values. */
  readonly noBtf?: true;
  /** max_entries is a size in bytes: a power of two of at least one page. */
  readonly ring?: true;
  /** max_entries 0 stands for the number of possible CPUs. */
  readonly sizedByCpus?: true;
  /** No keys: elements are pushed, popped and peeked. */
  readonly keyless?: true;
  /** A value is written as a descriptor and read as an id; both are u32. */
  readonly holds?: "map" | "program" | "other";
  /** BPF_MAP_LOOKUP_BATCH reads it: the first kernel that can. */
  readonly batch?: string;
  /** Elements cannot be read by key at all. */
  readonly unreadable?: true;
}

const rules: Readonly<Partial<Record<MapTypeName, MapTypeRule>>> = {
  hash: { batch: "5.6" },
  array: { batch: "5.6" },
  prog_array: { holds: "program" },
  perf_event_array: { noBtf: true, sizedByCpus: true, holds: "other" },
  percpu_hash: { perCpu: true, batch: "5.6" },
  percpu_array: { perCpu: true, batch: "5.13" },
  stack_trace: { noBtf: true },
  cgroup_array: { noBtf: true, holds: "other" },
  lru_hash: { batch: "5.6" },
  lru_percpu_hash: { perCpu: true, batch: "5.6" },
  lpm_trie: { batch: "5.7" },
  array_of_maps: { noBtf: true, holds: "map" },
  hash_of_maps: { noBtf: true, holds: "map" },
  devmap: { noBtf: true },
  devmap_hash: { noBtf: true },
  sockmap: { noBtf: true },
  sockhash: { noBtf: true },
  cpumap: { noBtf: true },
  xskmap: { noBtf: true },
  percpu_cgroup_storage: { perCpu: true },
  queue: { noBtf: true, keyless: true },
  stack: { noBtf: true, keyless: true },
  bloom_filter: { keyless: true },
  ringbuf: { ring: true, unreadable: true },
  user_ringbuf: { ring: true, unreadable: true },
  arena: { noBtf: true, unreadable: true },
};

const common: MapTypeRule = {};

/** The row of a map type, by libbpf's name or by number (unknown to this version: nothing special). */
export function mapTypeRule(type: MapTypeName | number): MapTypeRule {
  return (typeof type === "number" ? undefined : rules[type]) ?? common;
}
