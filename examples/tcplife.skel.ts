// Made by `bpfkit gen skeleton` from tcplife.bpf.o. Do not edit: make it again when the object changes.
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
 * The BPF object tcplife: open, edit, load, attach, close.
 *
 * License "Dual MIT/GPL".
 */
export class TcplifeBpf extends Skeleton<TcplifeBpfMaps, TcplifeBpfProgs, TcplifeBpfLinks> {
  /**
   * Opens the object, without privileges and on any platform, and checks that it is what this code was made from.
   *
   * @throws ObjectError naming what differs
   */
  static open(options?: SkeletonOptions): TcplifeBpf {
    return new TcplifeBpf(layout, options);
  }

  /** The object's bytes, a copy. */
  static elfBytes(): Uint8Array {
    return Skeleton.bytesOf(layout);
  }

  /** Variables that begin as zero; shared with the running programs after load. */
  get bss(): TcplifeBpfBss {
    return this.section(".bss");
  }
}

/** The maps of TcplifeBpf. */
export interface TcplifeBpfMaps {
  /** hash: keys of 8 bytes, values of 32 bytes, 65536 entries */
  readonly connections: BpfMap<number, connection>;
  /** ringbuf, 1048576 bytes */
  readonly events: BpfMap<never, never>;
  /** The section .bss, 8 bytes */
  readonly bss: BpfMap<Uint8Array, Uint8Array>;
}

/** The programs of TcplifeBpf. */
export interface TcplifeBpfProgs {
  /** SEC("tp_btf/inet_sock_set_state") */
  readonly on_state: BpfProgram;
}

/** What keeps the programs of TcplifeBpf attached; undefined for what is not. */
export interface TcplifeBpfLinks {
  on_state: BpfLink | undefined;
}

/** Global variables in .bss. */
export interface TcplifeBpfBss {
  /** Offset 0, 8 bytes: `const struct event *unused` */
  get unused(): bigint;
  set unused(value: bigint | number);
}

/** `struct connection`, 32 bytes. */
export type connection = {
  /** Offset 0, 8 bytes: `__u64 since` */
  readonly since: number;
  /** Offset 8, 4 bytes: `__u32 pid` */
  readonly pid: number;
  /** Offset 12, 2 bytes: `__u16 port` */
  readonly port: number;
  /** Offset 14, 16 bytes: `char comm[16]` */
  readonly comm: string;
};

/** `struct event`, 88 bytes. */
export type event = {
  /** Offset 0, 8 bytes: `__u64 nanoseconds` */
  readonly nanoseconds: number;
  /** Offset 8, 8 bytes: `__u64 sent` */
  readonly sent: number;
  /** Offset 16, 8 bytes: `__u64 received` */
  readonly received: number;
  /** Offset 24, 4 bytes: `__u32 pid` */
  readonly pid: number;
  /** Offset 28, 2 bytes: `__u16 local_port` */
  readonly local_port: number;
  /** Offset 30, 2 bytes: `__u16 remote_port` */
  readonly remote_port: number;
  /** Offset 32, 1 byte: `_Bool ipv6` */
  readonly ipv6: boolean;
  /** Offset 33, 16 bytes: `char comm[16]` */
  readonly comm: string;
  /** Offset 49, 16 bytes: `unsigned char local[16]` */
  readonly local: Uint8Array;
  /** Offset 65, 16 bytes: `unsigned char remote[16]` */
  readonly remote: Uint8Array;
};

// What the code above relies on; open() compares it with the object.
const layout: SkeletonLayout = {
  version: 1,
  name: "tcplife",
  int64: "number",
  maps: [
    ["connections", "connections", "hash", "u64", "struct#ce2da1fb0e05a3a4"],
    ["events", "events", "ringbuf", "bytes[0]", "bytes[0]"],
    ["bss", ".bss", "array", "bytes[4]", ""],
  ],
  programs: [
    ["on_state", "on_state"],
  ],
  sections: [
    [".bss", [["unused", "u64"]]],
  ],
  structOps: [],
  types: [
    ["event", "struct#511ce57e862b64f6"],
  ],
  object: () => new URL("./tcplife.bpf.o", import.meta.url),
};
