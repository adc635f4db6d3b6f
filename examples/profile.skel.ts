// Made by `bpfkit gen skeleton` from profile.bpf.o. Do not edit: make it again when the object changes.
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
 * The BPF object profile: open, edit, load, attach, close.
 *
 * License "Dual MIT/GPL".
 */
export class ProfileBpf extends Skeleton<ProfileBpfMaps, ProfileBpfProgs, ProfileBpfLinks> {
  /**
   * Opens the object, without privileges and on any platform, and checks that it is what this code was made from.
   *
   * @throws ObjectError naming what differs
   */
  static open(options?: SkeletonOptions): ProfileBpf {
    return new ProfileBpf(layout, options);
  }

  /** The object's bytes, a copy. */
  static elfBytes(): Uint8Array {
    return Skeleton.bytesOf(layout);
  }
}

/** The maps of ProfileBpf. */
export interface ProfileBpfMaps {
  /** stack_trace: keys of 4 bytes, values of 1016 bytes, 16384 entries */
  readonly stacks: BpfMap<number, readonly bigint[]>;
  /** hash: keys of 28 bytes, values of 8 bytes, 16384 entries */
  readonly counts: BpfMap<sample, bigint>;
}

/** The programs of ProfileBpf. */
export interface ProfileBpfProgs {
  /** SEC("perf_event") */
  readonly on_sample: BpfProgram;
}

/** What keeps the programs of ProfileBpf attached; undefined for what is not. */
export interface ProfileBpfLinks {
  on_sample: BpfLink | undefined;
}

/** `struct sample`, 28 bytes. */
export type sample = {
  /** Offset 0, 4 bytes: `__u32 pid` */
  readonly pid: number;
  /** Offset 4, 4 bytes: `__s32 kernel_stack` */
  readonly kernel_stack: number;
  /** Offset 8, 4 bytes: `__s32 user_stack` */
  readonly user_stack: number;
  /** Offset 12, 16 bytes: `char comm[16]` */
  readonly comm: string;
};

// What the code above relies on; open() compares it with the object.
const layout: SkeletonLayout = {
  version: 1,
  name: "profile",
  maps: [
    ["stacks", "stacks", "stack_trace", "u32", "u64[127]"],
    ["counts", "counts", "hash", "struct#282e7e629fcf90b4", "u64"],
  ],
  programs: [
    ["on_sample", "on_sample"],
  ],
  sections: [],
  structOps: [],
  types: [],
  object: () => new URL("./profile.bpf.o", import.meta.url),
};
