// Made by `bpfkit gen skeleton` from pyimports.bpf.o. Do not edit: make it again when the object changes.
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
 * The BPF object pyimports: open, edit, load, attach, close.
 *
 * License "Dual MIT/GPL".
 */
export class PyimportsBpf extends Skeleton<PyimportsBpfMaps, PyimportsBpfProgs, PyimportsBpfLinks> {
  /**
   * Opens the object, without privileges and on any platform, and checks that it is what this code was made from.
   *
   * @throws ObjectError naming what differs
   */
  static open(options?: SkeletonOptions): PyimportsBpf {
    return new PyimportsBpf(layout, options);
  }

  /** The object's bytes, a copy. */
  static elfBytes(): Uint8Array {
    return Skeleton.bytesOf(layout);
  }

  /** Variables that begin as zero; shared with the running programs after load. */
  get bss(): PyimportsBpfBss {
    return this.section(".bss");
  }

  /** What the kernel's configuration gave, after load. */
  get kconfig(): PyimportsBpfKconfig {
    return this.section(".kconfig");
  }
}

/** The maps of PyimportsBpf. */
export interface PyimportsBpfMaps {
  /** array: keys of 4 bytes, values of 208 bytes, 256 entries */
  readonly __bpf_usdt_specs: BpfMap<number, __bpf_usdt_spec>;
  /** hash: keys of 4 bytes, values of 520 bytes, 1024 entries */
  readonly threads: BpfMap<number, thread>;
  /** ringbuf, 262144 bytes */
  readonly events: BpfMap<never, never>;
  /** hash: keys of 8 bytes, values of 4 bytes, 1024 entries */
  readonly __bpf_usdt_ip_to_spec_id: BpfMap<number, number>;
  /** The section .rodata, 520 bytes */
  readonly rodata: BpfMap<Uint8Array, Uint8Array>;
  /** The section .bss, 8 bytes */
  readonly bss: BpfMap<Uint8Array, Uint8Array>;
  /** The section .kconfig, 1 byte */
  readonly kconfig: BpfMap<Uint8Array, Uint8Array>;
}

/** The programs of PyimportsBpf. */
export interface PyimportsBpfProgs {
  /** SEC("usdt") */
  readonly on_start: BpfProgram;
  /** SEC("usdt") */
  readonly on_done: BpfProgram;
}

/** What keeps the programs of PyimportsBpf attached; undefined for what is not. */
export interface PyimportsBpfLinks {
  on_start: BpfLink | undefined;
  on_done: BpfLink | undefined;
}

/** Global variables in .bss. */
export interface PyimportsBpfBss {
  /** Offset 0, 8 bytes: `const struct event *unused` */
  get unused(): bigint;
  set unused(value: bigint | number);
}

/** Global variables in .kconfig. */
export interface PyimportsBpfKconfig {
  /** Offset 0, 1 byte: `const _Bool LINUX_HAS_BPF_COOKIE` */
  readonly LINUX_HAS_BPF_COOKIE: boolean;
}

/** `struct __bpf_usdt_spec`, 208 bytes. */
export type __bpf_usdt_spec = {
  /** Offset 0, 192 bytes: `struct __bpf_usdt_arg_spec args[12]` */
  readonly args: readonly __bpf_usdt_arg_spec[];
  /** Offset 192, 8 bytes: `__u64 usdt_cookie` */
  readonly usdt_cookie: number;
  /** Offset 200, 2 bytes: `short arg_cnt` */
  readonly arg_cnt: number;
};

/** `struct __bpf_usdt_arg_spec`, 16 bytes. */
export type __bpf_usdt_arg_spec = {
  /** Offset 0, 8 bytes: `__u64 val_off` */
  readonly val_off: number;
  /** Offset 8, 4 bytes: `enum __bpf_usdt_arg_type arg_type` */
  readonly arg_type: __bpf_usdt_arg_type;
  /** Offset 12, 2 bytes: `short reg_off` */
  readonly reg_off: number;
  /** Offset 14, 1 byte: `_Bool arg_signed` */
  readonly arg_signed: boolean;
  /** Offset 15, 1 byte: `char arg_bitshift` */
  readonly arg_bitshift: number;
};

/** `enum __bpf_usdt_arg_type`, 4 bytes. A value may be any number: C does not check. */
export const __bpf_usdt_arg_type = {
  BPF_USDT_ARG_CONST: 0,
  BPF_USDT_ARG_REG: 1,
  BPF_USDT_ARG_REG_DEREF: 2,
} as const;
export type __bpf_usdt_arg_type = (typeof __bpf_usdt_arg_type)[keyof typeof __bpf_usdt_arg_type] | (number & {});

/** `struct thread`, 520 bytes. */
export type thread = {
  /** Offset 0, 4 bytes: `__u32 depth` */
  readonly depth: number;
  /** Offset 8, 512 bytes: `__u64 since[64]` */
  readonly since: readonly number[];
};

/** `struct event`, 152 bytes. */
export type event = {
  /** Offset 0, 8 bytes: `__u64 nanoseconds` */
  readonly nanoseconds: number;
  /** Offset 8, 4 bytes: `__u32 pid` */
  readonly pid: number;
  /** Offset 12, 4 bytes: `__s32 depth` */
  readonly depth: number;
  /** Offset 16, 1 byte: `_Bool found` */
  readonly found: boolean;
  /** Offset 17, 128 bytes: `char module[128]` */
  readonly module: string;
};

// What the code above relies on; open() compares it with the object.
const layout: SkeletonLayout = {
  version: 1,
  name: "pyimports",
  int64: "number",
  maps: [
    ["__bpf_usdt_specs", "__bpf_usdt_specs", "array", "s32", "struct#5ccac2fd4d273215"],
    ["threads", "threads", "hash", "u32", "struct#ebc8879f4c0adde4"],
    ["events", "events", "ringbuf", "bytes[0]", "bytes[0]"],
    ["__bpf_usdt_ip_to_spec_id", "__bpf_usdt_ip_to_spec_id", "hash", "s64", "u32"],
    ["rodata", ".rodata", "array", "bytes[4]", ""],
    ["bss", ".bss", "array", "bytes[4]", ""],
    ["kconfig", ".kconfig", "array", "bytes[4]", ""],
  ],
  programs: [
    ["on_start", "on_start"],
    ["on_done", "on_done"],
  ],
  sections: [
    [".bss", [["unused", "u64"]]],
    [".kconfig", [["LINUX_HAS_BPF_COOKIE", "bool8"]]],
  ],
  structOps: [],
  types: [
    ["enum __bpf_usdt_arg_type", "enum#b4380ffc4180eb05"],
    ["event", "struct#c9c5c167b259f138"],
  ],
  object: () => new URL("./pyimports.bpf.o", import.meta.url),
};
