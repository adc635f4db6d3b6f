// Made by `bpfkit gen skeleton` from opensnoop.bpf.o. Do not edit: make it again when the object changes.
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
 * The BPF object opensnoop: open, edit, load, attach, close.
 *
 * License "Dual MIT/GPL".
 */
export class OpensnoopBpf extends Skeleton<OpensnoopBpfMaps, OpensnoopBpfProgs, OpensnoopBpfLinks> {
  /**
   * Opens the object, without privileges and on any platform, and checks that it is what this code was made from.
   *
   * @throws ObjectError naming what differs
   */
  static open(options?: SkeletonOptions): OpensnoopBpf {
    return new OpensnoopBpf(layout, options);
  }

  /** The object's bytes, a copy. */
  static elfBytes(): Uint8Array {
    return Skeleton.bytesOf(layout);
  }

  /** Constants; settable until load. */
  get rodata(): OpensnoopBpfRodata {
    return this.section(".rodata");
  }

  /** Variables that begin as zero; shared with the running programs after load. */
  get bss(): OpensnoopBpfBss {
    return this.section(".bss");
  }
}

/** The maps of OpensnoopBpf. */
export interface OpensnoopBpfMaps {
  /** hash: keys of 4 bytes, values of 16 bytes, 16384 entries */
  readonly calls: BpfMap<number, call>;
  /** ringbuf, 1048576 bytes */
  readonly events: BpfMap<never, never>;
  /** The section .rodata, 5 bytes */
  readonly rodata: BpfMap<Uint8Array, Uint8Array>;
  /** The section .bss, 8 bytes */
  readonly bss: BpfMap<Uint8Array, Uint8Array>;
}

/** The programs of OpensnoopBpf. */
export interface OpensnoopBpfProgs {
  /** SEC("tp/syscalls/sys_enter_openat") */
  readonly on_enter: BpfProgram;
  /** SEC("tp/syscalls/sys_exit_openat") */
  readonly on_leave: BpfProgram;
}

/** What keeps the programs of OpensnoopBpf attached; undefined for what is not. */
export interface OpensnoopBpfLinks {
  on_enter: BpfLink | undefined;
  on_leave: BpfLink | undefined;
}

/** Global variables in .rodata. */
export interface OpensnoopBpfRodata {
  /** Offset 0, 4 bytes: `volatile const __u32 target_pid` */
  target_pid: number;
  /** Offset 4, 1 byte: `volatile const _Bool only_failed` */
  only_failed: boolean;
}

/** Global variables in .bss. */
export interface OpensnoopBpfBss {
  /** Offset 0, 8 bytes: `const struct event *unused` */
  get unused(): bigint;
  set unused(value: bigint | number);
}

/** `struct call`, 16 bytes. */
export type call = {
  /** Offset 0, 8 bytes: `__u64 path` */
  readonly path: number;
  /** Offset 8, 8 bytes: `__u64 flags` */
  readonly flags: number;
};

/** `struct event`, 288 bytes. */
export type event = {
  /** Offset 0, 4 bytes: `__u32 pid` */
  readonly pid: number;
  /** Offset 4, 4 bytes: `__u32 uid` */
  readonly uid: number;
  /** Offset 8, 4 bytes: `__s32 result` */
  readonly result: number;
  /** Offset 12, 4 bytes: `__u32 flags` */
  readonly flags: number;
  /** Offset 16, 16 bytes: `char comm[16]` */
  readonly comm: string;
  /** Offset 32, 256 bytes: `char path[256]` */
  readonly path: string;
};

// What the code above relies on; open() compares it with the object.
const layout: SkeletonLayout = {
  version: 1,
  name: "opensnoop",
  int64: "number",
  maps: [
    ["calls", "calls", "hash", "u32", "struct#320dfe6d9e9cb542"],
    ["events", "events", "ringbuf", "bytes[0]", "bytes[0]"],
    ["rodata", ".rodata", "array", "bytes[4]", ""],
    ["bss", ".bss", "array", "bytes[4]", ""],
  ],
  programs: [
    ["on_enter", "on_enter"],
    ["on_leave", "on_leave"],
  ],
  sections: [
    [".rodata", [["target_pid", "u32"], ["only_failed", "bool8"]]],
    [".bss", [["unused", "u64"]]],
  ],
  structOps: [],
  types: [
    ["event", "struct#1b1fac888bc080fc"],
  ],
  object: () => new URL("./opensnoop.bpf.o", import.meta.url),
};
