// Made by `bpfkit gen skeleton` from ps.bpf.o. Do not edit: make it again when the object changes.
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
 * The BPF object ps: open, edit, load, attach, close.
 *
 * License "Dual MIT/GPL".
 */
export class PsBpf extends Skeleton<PsBpfMaps, PsBpfProgs, PsBpfLinks> {
  /**
   * Opens the object, without privileges and on any platform, and checks that it is what this code was made from.
   *
   * @throws ObjectError naming what differs
   */
  static open(options?: SkeletonOptions): PsBpf {
    return new PsBpf(layout, options);
  }

  /** The object's bytes, a copy. */
  static elfBytes(): Uint8Array {
    return Skeleton.bytesOf(layout);
  }

  /** Variables that begin as zero; shared with the running programs after load. */
  get bss(): PsBpfBss {
    return this.section(".bss");
  }
}

/** The maps of PsBpf. */
export interface PsBpfMaps {
  /** The section .bss, 8 bytes */
  readonly bss: BpfMap<Uint8Array, Uint8Array>;
}

/** The programs of PsBpf. */
export interface PsBpfProgs {
  /** SEC("iter/task") */
  readonly processes: BpfProgram;
}

/** What keeps the programs of PsBpf attached; undefined for what is not. */
export interface PsBpfLinks {
  processes: BpfLink | undefined;
}

/** Global variables in .bss. */
export interface PsBpfBss {
  /** Offset 0, 8 bytes: `const struct process *unused` */
  get unused(): bigint;
  set unused(value: bigint | number);
}

/** `struct process`, 48 bytes. */
export type process = {
  /** Offset 0, 8 bytes: `__u64 started` */
  readonly started: number;
  /** Offset 8, 4 bytes: `__u32 pid` */
  readonly pid: number;
  /** Offset 12, 4 bytes: `__u32 ppid` */
  readonly ppid: number;
  /** Offset 16, 4 bytes: `__u32 uid` */
  readonly uid: number;
  /** Offset 20, 4 bytes: `__u32 threads` */
  readonly threads: number;
  /** Offset 24, 1 byte: `_Bool kernel` */
  readonly kernel: boolean;
  /** Offset 25, 16 bytes: `char comm[16]` */
  readonly comm: string;
};

// What the code above relies on; open() compares it with the object.
const layout: SkeletonLayout = {
  version: 1,
  name: "ps",
  int64: "number",
  maps: [
    ["bss", ".bss", "array", "bytes[4]", ""],
  ],
  programs: [
    ["processes", "processes"],
  ],
  sections: [
    [".bss", [["unused", "u64"]]],
  ],
  structOps: [],
  types: [
    ["process", "struct#7bb6c31ab4b87162"],
  ],
  object: () => new URL("./ps.bpf.o", import.meta.url),
};
