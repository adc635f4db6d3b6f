// Made by `bpfkit gen skeleton` from tcpconnect.bpf.o. Do not edit: make it again when the object changes.
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
 * The BPF object tcpconnect: open, edit, load, attach, close.
 *
 * License "Dual MIT/GPL".
 */
export class TcpconnectBpf extends Skeleton<TcpconnectBpfMaps, TcpconnectBpfProgs, TcpconnectBpfLinks> {
  /**
   * Opens the object, without privileges and on any platform, and checks that it is what this code was made from.
   *
   * @throws ObjectError naming what differs
   */
  static open(options?: SkeletonOptions): TcpconnectBpf {
    return new TcpconnectBpf(layout, options);
  }

  /** The object's bytes, a copy. */
  static elfBytes(): Uint8Array {
    return Skeleton.bytesOf(layout);
  }

  /** Variables that begin as zero; shared with the running programs after load. */
  get bss(): TcpconnectBpfBss {
    return this.section(".bss");
  }
}

/** The maps of TcpconnectBpf. */
export interface TcpconnectBpfMaps {
  /** hash: keys of 8 bytes, values of 32 bytes, 16384 entries */
  readonly attempts: BpfMap<number, attempt>;
  /** ringbuf, 1048576 bytes */
  readonly events: BpfMap<never, never>;
  /** The section .bss, 8 bytes */
  readonly bss: BpfMap<Uint8Array, Uint8Array>;
}

/** The programs of TcpconnectBpf. */
export interface TcpconnectBpfProgs {
  /** SEC("tp_btf/inet_sock_set_state") */
  readonly on_state: BpfProgram;
}

/** What keeps the programs of TcpconnectBpf attached; undefined for what is not. */
export interface TcpconnectBpfLinks {
  on_state: BpfLink | undefined;
}

/** Global variables in .bss. */
export interface TcpconnectBpfBss {
  /** Offset 0, 8 bytes: `const struct event *unused` */
  get unused(): bigint;
  set unused(value: bigint | number);
}

/** `struct attempt`, 32 bytes. */
export type attempt = {
  /** Offset 0, 8 bytes: `__u64 since` */
  readonly since: number;
  /** Offset 8, 4 bytes: `__u32 pid` */
  readonly pid: number;
  /** Offset 12, 16 bytes: `char comm[16]` */
  readonly comm: string;
};

/** `struct event`, 48 bytes. */
export type event = {
  /** Offset 0, 8 bytes: `__u64 nanoseconds` */
  readonly nanoseconds: number;
  /** Offset 8, 4 bytes: `__u32 pid` */
  readonly pid: number;
  /** Offset 12, 1 byte: `_Bool connected` */
  readonly connected: boolean;
  /** Offset 13, 1 byte: `_Bool ipv6` */
  readonly ipv6: boolean;
  /** Offset 14, 2 bytes: `__u16 port` */
  readonly port: number;
  /** Offset 16, 16 bytes: `char comm[16]` */
  readonly comm: string;
  /** Offset 32, 16 bytes: `unsigned char address[16]` */
  readonly address: Uint8Array;
};

// What the code above relies on; open() compares it with the object.
const layout: SkeletonLayout = {
  version: 1,
  name: "tcpconnect",
  int64: "number",
  maps: [
    ["attempts", "attempts", "hash", "u64", "struct#19b5eb5eb78cb502"],
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
    ["event", "struct#03570bc4412a0daa"],
  ],
  object: () => new URL("./tcpconnect.bpf.o", import.meta.url),
};
