// Made by `bpfkit gen skeleton` from cgroupnet.bpf.o. Do not edit: make it again when the object changes.
/* eslint-disable */
// biome-ignore-all lint: generated

import {
  type BpfLink,
  type BpfMap,
  type BpfProgram,
  Skeleton,
  type SkeletonLayout,
  type SkeletonOptions,
  type ValueInput,
} from "bpfkit/skeleton";

/**
 * The BPF object cgroupnet: open, edit, load, attach, close.
 *
 * License "Dual MIT/GPL".
 */
export class CgroupnetBpf extends Skeleton<CgroupnetBpfMaps, CgroupnetBpfProgs, CgroupnetBpfLinks> {
  /**
   * Opens the object, without privileges and on any platform, and checks that it is what this code was made from.
   *
   * @throws ObjectError naming what differs
   */
  static open(options?: SkeletonOptions): CgroupnetBpf {
    return new CgroupnetBpf(layout, options);
  }

  /** The object's bytes, a copy. */
  static elfBytes(): Uint8Array {
    return Skeleton.bytesOf(layout);
  }

  /** Variables that begin as zero; shared with the running programs after load. */
  get bss(): CgroupnetBpfBss {
    return this.section(".bss");
  }
}

/** The maps of CgroupnetBpf. */
export interface CgroupnetBpfMaps {
  /** The section .bss, 32 bytes */
  readonly bss: BpfMap<Uint8Array, Uint8Array>;
}

/** The programs of CgroupnetBpf. */
export interface CgroupnetBpfProgs {
  /** SEC("cgroup_skb/egress") */
  readonly on_send: BpfProgram;
  /** SEC("cgroup_skb/ingress") */
  readonly on_receive: BpfProgram;
}

/** What keeps the programs of CgroupnetBpf attached; undefined for what is not. */
export interface CgroupnetBpfLinks {
  on_send: BpfLink | undefined;
  on_receive: BpfLink | undefined;
}

/** Global variables in .bss. */
export interface CgroupnetBpfBss {
  /** Offset 0, 16 bytes: `struct traffic sent` */
  get sent(): LiveTraffic;
  set sent(value: ValueInput<traffic>);
  /** Offset 16, 16 bytes: `struct traffic received` */
  get received(): LiveTraffic;
  set received(value: ValueInput<traffic>);
}

/** `struct traffic`, 16 bytes. */
export type traffic = {
  /** Offset 0, 8 bytes: `__u64 packets` */
  readonly packets: number;
  /** Offset 8, 8 bytes: `__u64 bytes` */
  readonly bytes: number;
};

/** `struct traffic` as a live view. A member that is set is set as a whole: what is left out becomes zero. */
export interface LiveTraffic {
  /** Offset 0, 8 bytes: `__u64 packets` */
  get packets(): number;
  set packets(value: bigint | number);
  /** Offset 8, 8 bytes: `__u64 bytes` */
  get bytes(): number;
  set bytes(value: bigint | number);
}

// What the code above relies on; open() compares it with the object.
const layout: SkeletonLayout = {
  version: 1,
  name: "cgroupnet",
  int64: "number",
  maps: [
    ["bss", ".bss", "array", "bytes[4]", ""],
  ],
  programs: [
    ["on_send", "on_send"],
    ["on_receive", "on_receive"],
  ],
  sections: [
    [".bss", [["sent", "struct#15505ef900d28596"], ["received", "struct#15505ef900d28596"]]],
  ],
  structOps: [],
  types: [],
  object: () => new URL("./cgroupnet.bpf.o", import.meta.url),
};
