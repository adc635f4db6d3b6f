// Made by `bpfkit gen skeleton` from execsnoop.bpf.o. Do not edit: make it again when the object changes.
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
 * The BPF object execsnoop: open, edit, load, attach, close.
 *
 * License "Dual MIT/GPL".
 */
export class ExecsnoopBpf extends Skeleton<ExecsnoopBpfMaps, ExecsnoopBpfProgs, ExecsnoopBpfLinks> {
  /**
   * Opens the object, without privileges and on any platform, and checks that it is what this code was made from.
   *
   * @throws ObjectError naming what differs
   */
  static open(options?: SkeletonOptions): ExecsnoopBpf {
    return new ExecsnoopBpf(layout, options);
  }

  /** The object's bytes, a copy. */
  static elfBytes(): Uint8Array {
    return Skeleton.bytesOf(layout);
  }

  /** Variables that begin as zero; shared with the running programs after load. */
  get bss(): ExecsnoopBpfBss {
    return this.section(".bss");
  }
}

/** The maps of ExecsnoopBpf. */
export interface ExecsnoopBpfMaps {
  /** ringbuf, 1048576 bytes */
  readonly events: BpfMap<never, never>;
  /** The section .bss, 8 bytes */
  readonly bss: BpfMap<Uint8Array, Uint8Array>;
}

/** The programs of ExecsnoopBpf. */
export interface ExecsnoopBpfProgs {
  /** SEC("tp_btf/sched_process_exec") */
  readonly on_exec: BpfProgram;
}

/** What keeps the programs of ExecsnoopBpf attached; undefined for what is not. */
export interface ExecsnoopBpfLinks {
  on_exec: BpfLink | undefined;
}

/** Global variables in .bss. */
export interface ExecsnoopBpfBss {
  /** Offset 0, 8 bytes: `const struct event *unused` */
  get unused(): bigint;
  set unused(value: bigint | number);
}

/** `struct event`, 544 bytes. */
export type event = {
  /** Offset 0, 4 bytes: `__u32 pid` */
  readonly pid: number;
  /** Offset 4, 4 bytes: `__u32 ppid` */
  readonly ppid: number;
  /** Offset 8, 4 bytes: `__u32 uid` */
  readonly uid: number;
  /** Offset 12, 16 bytes: `char comm[16]` */
  readonly comm: string;
  /** Offset 28, 4 bytes: `__u32 args_size` */
  readonly args_size: number;
  /** Offset 32, 512 bytes: `unsigned char args[512]` */
  readonly args: Uint8Array;
};

// What the code above relies on; open() compares it with the object.
const layout: SkeletonLayout = {
  version: 1,
  name: "execsnoop",
  int64: "number",
  maps: [
    ["events", "events", "ringbuf", "bytes[0]", "bytes[0]"],
    ["bss", ".bss", "array", "bytes[4]", ""],
  ],
  programs: [
    ["on_exec", "on_exec"],
  ],
  sections: [
    [".bss", [["unused", "u64"]]],
  ],
  structOps: [],
  types: [
    ["event", "struct#b1bdec0c017de21e"],
  ],
  object: () => new URL("./execsnoop.bpf.o", import.meta.url),
};
