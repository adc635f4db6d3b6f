// What is special about each map type, as a table: one row a type, nothing in a row for the common case
// (libbpf.md 3.3, "Quirks at creation").

import type { MapTypeName } from "./uapi.js";

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
  /** No keys: elements are pushed, popped and peeked, or of a filter added and tested. */
  readonly keyless?: "queue" | "filter";
  /** All elements exist from the beginning and for good. */
  readonly fixed?: true;
  /** A value is written as a descriptor and read as an id; both are u32. */
  readonly holds?: "map" | "program" | "other";
  /** A value, or a key, is a descriptor when it is given to the kernel, of the type that BTF tells. */
  readonly valueIsFd?: true;
  readonly keyIsFd?: true;
  /** Why the kernel cannot list its keys. */
  readonly unlisted?: string;
  /** BPF_MAP_LOOKUP_BATCH reads it: the first kernel that can. */
  readonly batch?: string;
  /**
   * The kernel starts over when the key that it is to go on from is gone, also between batches. Elsewhere a position is a
   * bucket or an index.
   */
  readonly startsOver?: true;
  /** Keys are the numbers of slots, u32. */
  readonly indexed?: true;
  /** BPF_F_NO_PREALLOC has to be among the flags: elements are made one by one. */
  readonly noPrealloc?: true;
  /** The kernel answers EINVAL, not ENOENT, when there is nothing to remove. */
  readonly emptyIsInvalid?: true;
  /** Elements cannot be read by key at all. */
  readonly unreadable?: true;
}

const localStorage = {
  noPrealloc: true,
  keyIsFd: true,
  unlisted: "each element is in the object that it belongs to; a BPF iterator program can walk over them",
} as const satisfies MapTypeRule;

const rules: Readonly<Partial<Record<MapTypeName, MapTypeRule>>> = {
  hash: { batch: "5.6" },
  array: { indexed: true, batch: "5.6", fixed: true },
  prog_array: { indexed: true, holds: "program" },
  perf_event_array: { indexed: true, noBtf: true, sizedByCpus: true, holds: "other" },
  percpu_hash: { perCpu: true, batch: "5.6" },
  percpu_array: { indexed: true, perCpu: true, batch: "5.13", fixed: true },
  stack_trace: { noBtf: true },
  cgroup_array: { indexed: true, noBtf: true, holds: "other" },
  lru_hash: { batch: "5.6" },
  lru_percpu_hash: { perCpu: true, batch: "5.6" },
  lpm_trie: { noPrealloc: true, batch: "5.7", startsOver: true },
  array_of_maps: { indexed: true, noBtf: true, holds: "map" },
  hash_of_maps: { noBtf: true, holds: "map" },
  devmap: { indexed: true, noBtf: true },
  devmap_hash: { noBtf: true },
  sockmap: { indexed: true, noBtf: true, valueIsFd: true, emptyIsInvalid: true },
  sockhash: { noBtf: true, valueIsFd: true },
  reuseport_sockarray: { indexed: true, valueIsFd: true },
  cpumap: { indexed: true, noBtf: true },
  xskmap: { indexed: true, noBtf: true, valueIsFd: true },
  percpu_cgroup_storage: { perCpu: true },
  queue: { noBtf: true, keyless: "queue" },
  stack: { noBtf: true, keyless: "queue" },
  bloom_filter: { keyless: "filter" },
  sk_storage: localStorage,
  inode_storage: localStorage,
  task_storage: localStorage,
  cgrp_storage: localStorage,
  ringbuf: { ring: true, unreadable: true },
  user_ringbuf: { ring: true, unreadable: true },
  insn_array: { indexed: true, fixed: true },
  arena: { noBtf: true, unreadable: true },
};

const common: MapTypeRule = {};

/** The row of a map type, by libbpf's name or by number (unknown to this version: nothing special). */
export function mapTypeRule(type: MapTypeName | number): MapTypeRule {
  return (typeof type === "number" ? undefined : rules[type]) ?? common;
}
