// What kernels differ in, as far as loading and attaching depend on it: the 26 features of libbpf.md 3.10, one row each.
// A fall-back asks here after a call has failed; an answer is found once and kept for the life of the process, or of the
// BPF token with which it was found.

import { log } from "../log.js";
import type { FileDescriptor } from "../syscall/index.js";
import { type Answer, withToken } from "./experiments.js";
import * as probes from "./feature-probes.js";
import { raiseMemlock } from "./memlock.js";

/** One thing that a kernel can or cannot do. */
export interface Feature {
  /** For people. */
  readonly what: string;
  /** First kernel that has it, where its configuration allows. Distributions may have it earlier. */
  readonly since: string;
  /** Tries it. */
  readonly probe: () => Answer;
}

/** By name, in libbpf's order (`enum kern_feature_id`, in small letters). */
export const featureTable = {
  prog_name: { what: "names of programs and maps", since: "4.15", probe: probes.probeProgramName },
  global_data: { what: "global variables (values of arrays by address)", since: "5.2", probe: probes.probeGlobalData },
  btf: { what: "type information (BTF)", since: "4.18", probe: probes.probeBtf },
  btf_func: { what: "BTF of functions; function and line information", since: "5.0", probe: probes.probeBtfFunction },
  btf_global_func: { what: "BTF of global functions", since: "5.6", probe: probes.probeBtfGlobalFunction },
  btf_datasec: { what: "BTF of variables and data sections", since: "5.2", probe: probes.probeBtfDataSection },
  array_mmap: { what: "arrays mapped into memory", since: "5.5", probe: probes.probeArrayMmap },
  exp_attach_type: {
    what: "expected attach types of programs on sockets",
    since: "4.17",
    probe: probes.probeExpectedAttachType,
  },
  probe_read_kern: {
    what: "bpf_probe_read_kernel, …_user and their string variants",
    since: "5.5",
    probe: probes.probeProbeReadKernel,
  },
  prog_bind_map: {
    what: "maps bound to programs that do not refer to them",
    since: "5.10",
    probe: probes.probeBindMap,
  },
  module_btf: { what: "BTF of kernel modules", since: "5.11", probe: probes.probeModuleBtf },
  btf_float: { what: "BTF kind FLOAT", since: "5.13", probe: probes.probeBtfFloat },
  perf_link: { what: "links of perf events", since: "5.15", probe: probes.probePerfLink },
  btf_decl_tag: { what: "BTF kind DECL_TAG", since: "5.16", probe: probes.probeBtfDeclTag },
  btf_type_tag: { what: "BTF kind TYPE_TAG", since: "5.17", probe: probes.probeBtfTypeTag },
  memcg_account: {
    what: "memory charged to the control group, not to RLIMIT_MEMLOCK",
    since: "5.11",
    probe: probes.probeMemcgAccount,
  },
  bpf_cookie: { what: "bpf_get_attach_cookie", since: "5.15", probe: probes.probeCookie },
  btf_enum64: { what: "BTF kind ENUM64, signed enums", since: "6.0", probe: probes.probeBtfEnum64 },
  syscall_wrapper: {
    what: "system call functions with a prefix, whose argument is a pt_regs",
    since: "4.17",
    probe: probes.probeSyscallWrapper,
  },
  uprobe_multi_link: {
    what: "links of many uprobes, with the choice of a process",
    since: "6.6",
    probe: probes.probeUprobeMulti,
  },
  arg_ctx_tag: {
    what: "arguments of sub-programs tagged as context (__arg_ctx)",
    since: "6.8",
    probe: probes.probeArgCtxTag,
  },
  btf_qmark_datasec: { what: "`?` in names of data sections", since: "6.9", probe: probes.probeBtfQuestionMark },
  ldimm64_full_range_off: {
    what: "offsets of 512 MiB and more into values of maps",
    since: "7.0",
    probe: probes.probeWideOffsets,
  },
  uprobe_syscall: { what: "fast uprobes on five-byte nops (x86-64)", since: "6.18", probe: probes.probeUprobeSyscall },
  btf_layout: { what: "BTF that describes unknown kinds", since: "7.0", probe: probes.probeBtfLayout },
  bpf_syscall_common_attrs: { what: "a log of every command", since: "7.0", probe: probes.probeCommonAttrs },
} as const satisfies Readonly<Record<string, Feature>>;

/** A name in {@link featureTable}. */
export type FeatureName = keyof typeof featureTable;

/** Conclusive answers. */
type Answers = Map<FeatureName, boolean>;

const known: Answers = new Map();
/** What a token does not delegate, looks as if it did not exist: each has answers of its own. */
const knownByToken = new WeakMap<FileDescriptor, Answers>();

function answersWith(token: FileDescriptor | undefined): Answers {
  if (token === undefined) return known;
  const answers = knownByToken.get(token) ?? new Map();
  knownByToken.set(token, answers);
  return answers;
}

/**
 * Whether the running kernel has a feature: tried at the first question, remembered when the answer is conclusive.
 * Undefined where it cannot be told (no rights to load anything); fall-backs are for `false` only.
 *
 * libbpf: `kernel_supports` (internal).
 *
 * @param token BPF token to try it with
 */
export function kernelHas(feature: FeatureName, token?: FileDescriptor | undefined): Answer {
  const answers = answersWith(token);
  let answer: Answer = answers.get(feature);
  if (answer !== undefined) return answer;
  const { probe } = featureTable[feature];
  answer = withToken(token, probe);
  // A probe may fail for the same reason as what it is to explain.
  if (answer === undefined && raiseMemlock()) answer = withToken(token, probe);
  log.debug(() => `kernel feature ${feature}: ${answer ?? "cannot be told"}`);
  if (answer !== undefined) answers.set(feature, answer);
  return answer;
}

/** True when it has been found out already that the kernel lacks a feature: the failing way need not be tried again. */
export function knownMissing(feature: FeatureName, token?: FileDescriptor | undefined): boolean {
  return answersWith(token).get(feature) === false;
}

/** For tests: pretends an answer, or forgets it. Returns what was known. */
export function pretend(feature: FeatureName, answer: Answer): Answer {
  const before = known.get(feature);
  if (answer === undefined) known.delete(feature);
  else known.set(feature, answer);
  return before;
}
