// Which program types, map types and helpers the running kernel has, tried one by one (libbpf.md 1.11). What a type
// needs besides the common case stands in one row of a table.

import type { MapCreateOptions, ProgLoadOptions } from "../syscall/index.js";
import { Errno, errnoOf, mapCreate, pageSize } from "../syscall/index.js";
import { type Answer, answerOf, call, exit, insns, tryBtf, tryMap, tryProgramWithLog } from "./experiments.js";
import { raiseMemlock } from "./memlock.js";
import { kernelVersionCode } from "./release.js";
import { Attach, MapKind, MMAPABLE, NO_PREALLOC, Program, SLEEPABLE } from "./uapi.js";

/** How a program of some type is tried. */
interface ProgramRecipe {
  readonly options?: () => Partial<ProgLoadOptions>;
  /** Programs of this type cannot be loaded without a target: this refusal shows that the kernel knows the type. */
  readonly refusal?: { readonly errno: number; readonly log?: string };
  /** Helpers cannot be tried: the refusal above comes before the verifier sees an instruction. */
  readonly noHelpers?: true;
}

/** What the verifier says of the first type of the kernel's BTF as a target. */
const notA = (what: string) => ({ errno: Errno.EINVAL, log: `attach_btf_id 1 is not a ${what}` });

const programRecipes: Readonly<Record<number, ProgramRecipe>> = {
  [Program.kprobe]: { options: () => ({ kernelVersion: kernelVersionCode() }) },
  [Program.cgroupSockAddr]: { options: () => ({ expectedAttachType: Attach.cgroupInet4Connect }) },
  [Program.lircMode2]: { options: () => ({ expectedAttachType: Attach.lircMode2 }) },
  [Program.cgroupSockopt]: { options: () => ({ expectedAttachType: Attach.cgroupGetsockopt }) },
  [Program.tracing]: {
    options: () => ({ expectedAttachType: Attach.traceRawTp, attachBtfId: 1 }),
    refusal: notA("typedef"),
    noHelpers: true,
  },
  [Program.lsm]: {
    options: () => ({ expectedAttachType: Attach.lsmMac, attachBtfId: 1 }),
    refusal: notA("function"),
    noHelpers: true,
  },
  [Program.structOps]: { refusal: { errno: Errno.ENOTSUPP }, noHelpers: true },
  [Program.ext]: {
    options: () => ({ attachBtfId: 1 }),
    refusal: { errno: Errno.EINVAL, log: "Cannot replace kernel functions" },
    noHelpers: true,
  },
  [Program.skLookup]: { options: () => ({ expectedAttachType: Attach.skLookup }) },
  [Program.syscall]: { options: () => ({ flags: SLEEPABLE }) },
  [Program.netfilter]: { options: () => ({ expectedAttachType: Attach.netfilter }) },
};

const memory = new Map<string, boolean>();

/** Finds an answer once; inconclusive ones are not kept, and tried again when RLIMIT_MEMLOCK may be the reason. */
function remembered(key: string, probe: () => Answer): Answer {
  let answer: Answer = memory.get(key);
  if (answer !== undefined) return answer;
  answer = probe();
  if (answer === undefined && raiseMemlock()) answer = probe();
  if (answer !== undefined) memory.set(key, answer);
  return answer;
}

/**
 * Whether programs of a type (BPF_PROG_TYPE_*) can be loaded. libbpf: `libbpf_probe_bpf_prog_type`.
 *
 * @returns undefined when it cannot be told
 */
export function probeProgramType(type: number): Answer {
  return remembered(`program ${type}`, () => {
    const { options, refusal } = programRecipes[type] ?? {};
    const { errno, log } = tryProgramWithLog({ ...options?.(), type });
    if (refusal === undefined || errno === Errno.EPERM) return answerOf(errno);
    return errno === refusal.errno && log.includes(refusal.log ?? "");
  });
}

/** How the verifier spells that a helper does not exist, or not for this type of program. */
const noSuchHelper = ["invalid func ", "unknown func ", "program of this type cannot use helper "];

/**
 * Whether programs of a type may call a helper (BPF_FUNC_*). libbpf: `libbpf_probe_bpf_helper`.
 *
 * @returns undefined when it cannot be told, which is always so for types that need a target (tracing, LSM, struct_ops,
 *   ext)
 */
export function probeHelper(type: number, helper: number): Answer {
  const recipe = programRecipes[type];
  if (recipe?.noHelpers === true) return undefined;
  // Without the type nothing would be said about the helper.
  const loads = probeProgramType(type);
  if (loads !== true) return loads;
  return remembered(`helper ${type} ${helper}`, () => {
    const program = insns(call(helper), exit);
    const { errno, log } = tryProgramWithLog({ ...recipe?.options?.(), type, insns: program });
    if (errno === 0) return true;
    // Another complaint (missing arguments) means that the helper itself was found.
    return log === "" ? answerOf(errno) : !noSuchHelper.some((phrase) => log.includes(phrase));
  });
}

/** What creating a map of some type takes; the rest is an array of one u32 under a u32. */
interface MapRecipe {
  readonly options?: () => Partial<MapCreateOptions>;
  /** Local storages: a value of a type with a spin lock, which they want to be described. */
  readonly lockedValue?: true;
  /** Maps of maps. */
  readonly inner?: true;
  /** As for programs. */
  readonly refusal?: number;
}

const keyless = { keySize: 0 } as const;
const perTask: MapRecipe = { lockedValue: true, options: () => ({ valueSize: 8, maxEntries: 0, flags: NO_PREALLOC }) };
const perCgroup: MapRecipe = { options: () => ({ keySize: 16, valueSize: 8, maxEntries: 0 }) };
const ring: MapRecipe = { options: () => ({ ...keyless, valueSize: 0, maxEntries: pageSize() }) };

/** By BPF_MAP_TYPE_*. */
const mapRecipes: Readonly<Record<number, MapRecipe>> = {
  7: { options: () => ({ valueSize: 8 }) }, // stack_trace
  11: { options: () => ({ keySize: 8, valueSize: 8, flags: NO_PREALLOC }) }, // lpm_trie
  12: { inner: true }, // array_of_maps
  13: { inner: true }, // hash_of_maps
  19: perCgroup, // cgroup_storage
  21: perCgroup, // percpu_cgroup_storage
  22: { options: () => keyless }, // queue
  23: { options: () => keyless }, // stack
  24: perTask, // sk_storage
  26: { options: () => ({ btfVmlinuxValueTypeId: 1 }), refusal: Errno.ENOTSUPP }, // struct_ops
  27: ring, // ringbuf
  28: perTask, // inode_storage
  29: perTask, // task_storage
  30: { options: () => keyless }, // bloom_filter
  31: ring, // user_ringbuf
  32: perTask, // cgrp_storage
  33: { options: () => ({ ...keyless, valueSize: 0, flags: MMAPABLE }) }, // arena
  34: { options: () => ({ valueSize: 16 }) }, // insn_array: struct bpf_insn_array_value
  35: { options: () => ({ flags: NO_PREALLOC }) }, // rhash
};

/**
 * Whether maps of a type (BPF_MAP_TYPE_*) can be created. libbpf: `libbpf_probe_bpf_map_type`.
 *
 * @returns undefined when it cannot be told
 */
export function probeMapType(type: number): Answer {
  return remembered(`map ${type}`, () => {
    const recipe = mapRecipes[type] ?? {};
    const options: MapCreateOptions = { type, keySize: 4, valueSize: 4, maxEntries: 1, ...recipe.options?.() };
    if (recipe.refusal !== undefined) return tryRefusedMap(options, recipe.refusal);
    if (recipe.inner === true) {
      const inner = { type: MapKind.hash, keySize: 4, valueSize: 4, maxEntries: 1 };
      return tryMap(inner, (innerMap) => tryMap({ ...options, innerMap }));
    }
    if (recipe.lockedValue === true) return tryLockedMap(options);
    return tryMap(options);
  });
}

/** A type whose creation needs more than a probe can give, and which is known by how it is refused. */
function tryRefusedMap(options: MapCreateOptions, refusal: number): Answer {
  const errno = errnoOf(() => mapCreate(options).close());
  return errno === refusal ? true : answerOf(errno);
}

/** `struct value { int count; struct bpf_spin_lock lock; }`. */
function tryLockedMap(options: MapCreateOptions): Answer {
  let int = 0;
  let value = 0;
  return tryBtf(
    (btf) => {
      int = btf.addInt("int", 4, { signed: true });
      const lock = btf.addStruct("bpf_spin_lock", 4, [{ name: "val", type: int, bitOffset: 0 }]);
      value = btf.addStruct("value", 8, [
        { name: "count", type: int, bitOffset: 0 },
        { name: "lock", type: lock, bitOffset: 32 },
      ]);
    },
    (btf) => tryMap({ ...options, btf, btfKeyTypeId: int, btfValueTypeId: value }),
  );
}
