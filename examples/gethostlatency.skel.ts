// Made by `bpfkit gen skeleton` from gethostlatency.bpf.o. Do not edit: make it again when the object changes.
/* eslint-disable */
// biome-ignore-all lint: generated

import {
  type BpfLink,
  type BpfMap,
  type BpfProgram,
  Skeleton,
  type SkeletonLayout,
  type SkeletonOptions,
} from "bpfkit/skeleton";

/**
 * The BPF object gethostlatency: open, edit, load, attach, close.
 *
 * License "Dual MIT/GPL".
 */
export class GethostlatencyBpf extends Skeleton<GethostlatencyBpfMaps, GethostlatencyBpfProgs, GethostlatencyBpfLinks> {
  /**
   * Opens the object, without privileges and on any platform, and checks that it is what this code was made from.
   *
   * @throws ObjectError naming what differs
   */
  static open(options?: SkeletonOptions): GethostlatencyBpf {
    return new GethostlatencyBpf(layout, options);
  }

  /** The object's bytes, a copy. */
  static elfBytes(): Uint8Array {
    return Skeleton.bytesOf(layout);
  }

  /** Variables that begin as zero; shared with the running programs after load. */
  get bss(): GethostlatencyBpfBss {
    return this.section(".bss");
  }
}

/** The maps of GethostlatencyBpf. */
export interface GethostlatencyBpfMaps {
  /** hash: keys of 4 bytes, values of 264 bytes, 4096 entries */
  readonly lookups: BpfMap<number, lookup>;
  /** ringbuf, 262144 bytes */
  readonly events: BpfMap<never, never>;
  /** The section .bss, 8 bytes */
  readonly bss: BpfMap<Uint8Array, Uint8Array>;
}

/** The programs of GethostlatencyBpf. */
export interface GethostlatencyBpfProgs {
  /** SEC("uprobe/libc.so.6:getaddrinfo") */
  readonly on_lookup: BpfProgram;
  /** SEC("uretprobe/libc.so.6:getaddrinfo") */
  readonly on_result: BpfProgram;
}

/** What keeps the programs of GethostlatencyBpf attached; undefined for what is not. */
export interface GethostlatencyBpfLinks {
  on_lookup: BpfLink | undefined;
  on_result: BpfLink | undefined;
}

/** Global variables in .bss. */
export interface GethostlatencyBpfBss {
  /** Offset 0, 8 bytes: `const struct event *unused` */
  get unused(): bigint;
  set unused(value: bigint | number);
}

/** `struct lookup`, 264 bytes. */
export type lookup = {
  /** Offset 0, 8 bytes: `__u64 since` */
  readonly since: number;
  /** Offset 8, 256 bytes: `char host[256]` */
  readonly host: string;
};

/** `struct event`, 288 bytes. */
export type event = {
  /** Offset 0, 8 bytes: `__u64 nanoseconds` */
  readonly nanoseconds: number;
  /** Offset 8, 4 bytes: `__u32 pid` */
  readonly pid: number;
  /** Offset 12, 4 bytes: `__s32 error` */
  readonly error: number;
  /** Offset 16, 16 bytes: `char comm[16]` */
  readonly comm: string;
  /** Offset 32, 256 bytes: `char host[256]` */
  readonly host: string;
};

// What the code above relies on; open() compares it with the object.
const layout: SkeletonLayout = {
  version: 1,
  name: "gethostlatency",
  int64: "number",
  maps: [
    ["lookups", "lookups", "hash", "u32", "struct#5d0896eed6b1b7da"],
    ["events", "events", "ringbuf", "bytes[0]", "bytes[0]"],
    ["bss", ".bss", "array", "bytes[4]", ""],
  ],
  programs: [
    ["on_lookup", "on_lookup"],
    ["on_result", "on_result"],
  ],
  sections: [
    [".bss", [["unused", "u64"]]],
  ],
  structOps: [],
  types: [
    ["event", "struct#2cfbc26c367e3c2a"],
  ],
  object: () => new URL("./gethostlatency.bpf.o", import.meta.url),
};
