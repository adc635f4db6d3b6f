// Made by `bpfkit gen skeleton` from xdpcount.bpf.o. Do not edit: make it again when the object changes.
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
 * The BPF object xdpcount: open, edit, load, attach, close.
 *
 * License "Dual MIT/GPL".
 */
export class XdpcountBpf extends Skeleton<XdpcountBpfMaps, XdpcountBpfProgs, XdpcountBpfLinks> {
  /**
   * Opens the object, without privileges and on any platform, and checks that it is what this code was made from.
   *
   * @throws ObjectError naming what differs
   */
  static open(options?: SkeletonOptions): XdpcountBpf {
    return new XdpcountBpf(layout, options);
  }

  /** The object's bytes, a copy. */
  static elfBytes(): Uint8Array {
    return Skeleton.bytesOf(layout);
  }
}

/** The maps of XdpcountBpf. */
export interface XdpcountBpfMaps {
  /** percpu_hash: keys of 4 bytes, values of 16 bytes, 1024 entries */
  readonly traffic: BpfMap<kind, readonly traffic[]>;
}

/** The programs of XdpcountBpf. */
export interface XdpcountBpfProgs {
  /** SEC("xdp") */
  readonly on_packet: BpfProgram;
}

/** What keeps the programs of XdpcountBpf attached; undefined for what is not. */
export interface XdpcountBpfLinks {
  on_packet: BpfLink | undefined;
}

/** `struct kind`, 4 bytes. */
export type kind = {
  /** Offset 0, 2 bytes: `__u16 ethertype` */
  readonly ethertype: number;
  /** Offset 2, 2 bytes: `__u16 protocol` */
  readonly protocol: number;
};

/** `struct traffic`, 16 bytes. */
export type traffic = {
  /** Offset 0, 8 bytes: `__u64 packets` */
  readonly packets: number;
  /** Offset 8, 8 bytes: `__u64 bytes` */
  readonly bytes: number;
};

// What the code above relies on; open() compares it with the object.
const layout: SkeletonLayout = {
  version: 1,
  name: "xdpcount",
  int64: "number",
  maps: [
    ["traffic", "traffic", "percpu_hash", "struct#f1c5372ea612c8b4", "struct#15505ef900d28596"],
  ],
  programs: [
    ["on_packet", "on_packet"],
  ],
  sections: [],
  structOps: [],
  types: [],
  object: () => new URL("./xdpcount.bpf.o", import.meta.url),
};
