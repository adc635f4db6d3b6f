// What kernels differ in, as one table: the name that tests write in `needs`, what it is, the first kernel that has it
// (libbpf.md 3.10, kernel-matrix.md), and a probe that really tries it. To add one, add a row, and a word in
// expected-features.ts where a kernel should have it by its version and does not.

import * as maps from "./features/probes-maps.js";
import * as net from "./features/probes-net.js";
import * as tracing from "./features/probes-tracing.js";
import { Type } from "./features/programs.js";

/** One thing a kernel can or cannot do. */
export interface Feature {
  /** For people. */
  readonly what: string;
  /** First kernel that has it, where its configuration allows. */
  readonly since: string;
  /** Tries it on the running kernel; throws when it does not work. */
  readonly probe: () => void;
}

/** By name, grouped as the probes are. */
export const features = {
  virtual_machine: {
    what: "a guest of the matrix, where programs that are made to be refused may be loaded",
    since: "0.0",
    probe: () => {
      if (process.env.MATRIX_KERNEL === undefined) throw new Error("this kernel is in use");
    },
  },
  token: { what: "BPF tokens", since: "6.9", probe: maps.tokenProbe },
  common_attrs: { what: "a log of every bpf() command", since: "7.0", probe: maps.commonAttrsProbe },
  bpf: { what: "bpf() with the rights of root", since: "4.4", probe: maps.mapProbe(2, 4, 8, 1) },
  map_batch: { what: "batch operations of maps", since: "5.6", probe: maps.batchProbe },
  hash_lookup_delete: {
    what: "lookup-and-delete of hash maps",
    since: "5.14",
    probe: maps.lookupDeleteProbe,
  },
  btf_mmap: { what: "the kernel's types mapped into memory", since: "6.16", probe: maps.mappedTypesProbe },
  array_mmap: { what: "arrays mapped into memory", since: "5.5", probe: maps.mmapableProbe },
  ringbuf: { what: "ring buffer", since: "5.8", probe: maps.ringProbe },
  user_ringbuf: { what: "user ring buffer", since: "6.1", probe: maps.userRingProbe },
  bloom_filter: { what: "bloom filter map", since: "5.16", probe: maps.bloomProbe },
  sockmap: { what: "maps of sockets", since: "4.14", probe: maps.sockmapProbe },
  sk_storage: { what: "storage in sockets", since: "5.2", probe: maps.storageProbe(24) },
  inode_storage: { what: "storage in inodes", since: "5.10", probe: maps.storageProbe(28) },
  percpu_flags: { what: "values of one CPU in per-CPU maps (BPF_F_CPU)", since: "7.0", probe: maps.cpuValueProbe },
  arena: { what: "arena map", since: "6.9", probe: maps.arenaProbe },
  insn_array: { what: "map of places in programs", since: "7.0", probe: maps.insnArrayProbe },
  rhash: { what: "hash map that grows", since: "7.1", probe: maps.growingHashProbe },
  cgrp_storage: {
    what: "storage of control groups",
    since: "6.2",
    probe: tracing.functionProbe("bpf_cgrp_storage_get"),
  },
  task_storage: {
    what: "storage of tasks, for tracing programs",
    since: "5.12",
    probe: tracing.functionProbe("bpf_task_storage_get_recur", "bpf_task_storage_get"),
  },
  program_streams: {
    what: "streams of programs, written with bpf_stream_vprintk()",
    since: "6.18",
    probe: tracing.functionProbe("bpf_stream_vprintk_impl", "bpf_stream_vprintk"),
  },
  timer: { what: "timers in maps", since: "5.15", probe: tracing.functionProbe("bpf_timer_init") },
  loop: { what: "bpf_loop()", since: "5.17", probe: tracing.functionProbe("bpf_loop") },
  exceptions: { what: "bpf_throw() and exception callbacks", since: "6.7", probe: tracing.functionProbe("bpf_throw") },
  cpu_v4: { what: "instructions of -mcpu=v4", since: "6.6", probe: maps.signedMoveProbe },
  xdp_frags: { what: "XDP on packets of several buffers", since: "5.18", probe: maps.helperProbe(Type.xdp, 188) },
  generic_redirect: {
    what: "programs in maps of devices and CPUs, for packets that generic XDP redirects (5.15; seen by a function of 5.18)",
    since: "5.18",
    probe: maps.helperProbe(Type.xdp, 188),
  },
  sk_skb_verdict: {
    what: "verdicts on what sockets of a map receive, without a parser",
    since: "5.13",
    probe: net.skSkbVerdictProbe,
  },
  lwt_bpf: { what: "routes with programs, made by iproute2", since: "4.10", probe: net.routeProgramProbe },
  packet_fanout: { what: "groups of packet sockets", since: "3.1", probe: net.packetFanoutProbe },
  reuseport_migrate: {
    what: "programs that choose a socket for a migrated connection",
    since: "5.14",
    probe: maps.contextProbe(Type.skReuseport, 48, { expectedAttachType: 40 }),
  },
  sleepable_uprobe: {
    what: "sleepable programs on uprobes",
    since: "6.0",
    probe: maps.contextProbe(Type.kprobe, 0, { flags: maps.SLEEPABLE }),
  },
  copy_from_user_task: {
    what: "memory of other processes for sleepable programs",
    since: "5.18",
    probe: tracing.functionProbe("bpf_copy_from_user_task"),
  },
  prog_bind_map: { what: "binding maps to programs", since: "5.10", probe: maps.bindMapProbe },
  exclusive_map: { what: "maps for one program alone", since: "6.18", probe: maps.exclusiveMapProbe },
  pin_path_fd: { what: "pinning below a directory given by descriptor", since: "6.5", probe: maps.pinPathFdProbe },
  memcg_account: {
    what: "memory charged to the control group, not to RLIMIT_MEMLOCK (seen by bpf_ktime_get_coarse_ns)",
    since: "5.11",
    probe: maps.helperProbe(Type.socketFilter, 160),
  },
  syscall_program: { what: "programs of type syscall", since: "5.14", probe: maps.syscallProgramProbe },
  btf_float: { what: "BTF kind FLOAT", since: "5.13", probe: maps.btfProbe("float") },
  btf_decl_tag: { what: "BTF kind DECL_TAG", since: "5.16", probe: maps.btfProbe("declTag") },
  btf_type_tag: { what: "BTF kind TYPE_TAG", since: "5.17", probe: maps.btfProbe("typeTag") },
  btf_enum64: { what: "BTF kind ENUM64", since: "6.0", probe: maps.btfProbe("enum64") },
  module_btf: { what: "BTF of kernel modules", since: "5.11", probe: maps.moduleBtfProbe },

  perf_event: { what: "programs on perf events", since: "4.9", probe: tracing.perfEventProbe },
  perf_link: { what: "BPF links of perf events", since: "5.15", probe: tracing.perfLinkProbe },
  bpf_cookie: {
    what: "bpf_get_attach_cookie() of perf events",
    since: "5.15",
    probe: maps.helperProbe(Type.kprobe, 174),
  },
  kprobe: { what: "kprobes by the perf unit", since: "4.17", probe: tracing.kprobeProbe(0) },
  kretprobe: { what: "kretprobes by the perf unit", since: "4.17", probe: tracing.kprobeProbe(1) },
  kprobe_multi: { what: "kprobe links with many functions", since: "5.18", probe: tracing.kprobeMultiProbe },
  kprobe_session: { what: "kprobe links for entry and return", since: "6.10", probe: tracing.kprobeSessionProbe },
  uprobe: { what: "uprobes by the perf unit", since: "4.17", probe: tracing.uprobeProbe },
  uprobe_multi: { what: "uprobe links with many places", since: "6.6", probe: tracing.uprobeMultiProbe },
  uprobe_session: { what: "uprobe links for entry and return", since: "6.13", probe: tracing.uprobeSessionProbe },
  tracefs: { what: "tracefs with its events, mounted or mountable", since: "4.1", probe: tracing.tracefsProbe },
  tracepoint: { what: "tracepoints of system calls", since: "4.7", probe: tracing.tracepointProbe },
  raw_tracepoint: { what: "raw tracepoints", since: "4.17", probe: tracing.rawTracepointProbe },
  raw_tracepoint_cookie: {
    what: "bpf_get_attach_cookie() of raw tracepoints",
    since: "6.10",
    probe: maps.helperProbe(Type.rawTracepoint, 174),
  },
  sleepable_tracepoint: {
    what: "sleepable programs on tracepoints of system calls",
    since: "7.2",
    probe: tracing.sleepableTracepointProbe,
  },
  tp_btf: { what: "raw tracepoints typed by BTF", since: "5.5", probe: tracing.tracingProbe("tp_btf") },
  fentry: { what: "fentry programs", since: "5.5", probe: tracing.tracingProbe("fentry") },
  fexit: { what: "fexit programs", since: "5.5", probe: tracing.tracingProbe("fexit") },
  fmod_ret: { what: "fmod_ret programs on security hooks", since: "5.7", probe: tracing.tracingProbe("fmod_ret") },
  lsm: { what: "programs on security hooks", since: "5.7", probe: tracing.tracingProbe("lsm") },
  tracing_cookie: { what: "cookies of fentry programs", since: "5.19", probe: tracing.tracingProbe("fentry", 7n) },
  sleepable_fentry: {
    what: "sleepable fentry programs on the function of test runs",
    since: "6.3",
    probe: tracing.tracingProbe("sleepable_fentry"),
  },
  sleepable_lsm: {
    what: "sleepable programs on the hook of opened files",
    since: "5.11",
    probe: tracing.tracingProbe("sleepable_lsm"),
  },
  fsession: { what: "fentry and fexit in one program", since: "7.0", probe: tracing.tracingProbe("fsession") },
  tracing_multi: { what: "fentry links with many functions", since: "7.2", probe: tracing.tracingMultiProbe },
  raw_tracepoint_writable: {
    what: "raw tracepoints whose argument can be written",
    since: "5.2",
    probe: tracing.writableTracepointProbe,
  },
  iter_options: {
    what: "iterators over the tasks of one process, over control groups",
    since: "6.1",
    probe: tracing.iteratorOptionsProbe,
  },
  freplace: { what: "functions of programs replaced by other programs", since: "5.6", probe: tracing.freplaceProbe },
  iter_task_vma: {
    what: "iterators over memory areas of tasks",
    since: "5.12",
    probe: tracing.functionProbe("bpf_iter_task_vma"),
  },
  iter_unix: {
    what: "iterators over sockets of family UNIX",
    since: "5.15",
    probe: tracing.functionProbe("bpf_iter_unix"),
  },
  iter_link: { what: "iterators over links", since: "5.19", probe: tracing.functionProbe("bpf_iter_bpf_link") },
  iter_kmem_cache: {
    what: "iterators over caches of the kernel's memory",
    since: "6.13",
    probe: tracing.functionProbe("bpf_iter_kmem_cache"),
  },
  iter: { what: "iterators (over tasks)", since: "5.8", probe: tracing.iteratorProbe },

  btf_variable: { what: "per-CPU variables in the kernel's BTF", since: "5.10", probe: tracing.btfVariableProbe },
  ksym_variable: {
    what: "addresses of the kernel's per-CPU variables, for programs that read them",
    since: "5.10",
    probe: tracing.symbolProbe("runqueues"),
  },
  function_address: {
    what: "addresses of the kernel's functions by BTF id (bpf_ksym_exists of a kfunc)",
    since: "6.4",
    probe: tracing.functionAddressProbe,
  },
  conntrack_functions: {
    what: "functions of the module nf_conntrack for programs",
    since: "6.0",
    probe: tracing.moduleFunctionProbe("nf_conntrack", "bpf_skb_ct_lookup"),
  },

  netns: { what: "a network namespace of one's own", since: "3.0", probe: () => net.inNewNetwork(() => undefined) },
  veth: { what: "pairs of virtual network devices", since: "2.6.24", probe: net.deviceKindProbe("veth") },
  netkit: { what: "netkit devices", since: "6.7", probe: net.deviceKindProbe("netkit") },
  xdp_link: { what: "XDP links", since: "5.9", probe: net.xdpLinkProbe },
  tc: { what: "clsact and cls_bpf by netlink", since: "4.5", probe: net.tcProbe },
  tcx: { what: "tcx links", since: "6.6", probe: net.tcxProbe },
  netfilter_link: { what: "netfilter links", since: "6.4", probe: net.netfilterProbe },
  sk_lookup: { what: "sk_lookup links", since: "5.9", probe: net.skLookupProbe },
  socket_filter: { what: "programs on sockets", since: "3.19", probe: net.socketFilterProbe },
  af_xdp: { what: "sockets of family XDP", since: "4.18", probe: net.afXdpProbe },
  cgroup: { what: "programs on control groups of version 2", since: "4.10", probe: net.cgroupProbe("attach") },
  cgroup_link: { what: "links on control groups", since: "5.7", probe: net.cgroupProbe("link") },
  cgroup_unix: {
    what: "programs of control groups on sockets of family UNIX",
    since: "6.7",
    probe: net.unixAddressProbe,
  },
  lsm_cgroup: { what: "programs on security hooks of a control group", since: "6.0", probe: net.cgroupProbe("lsm") },
  cgroup_anchors: { what: "order of programs on control groups", since: "6.16", probe: net.cgroupProbe("before") },
  struct_ops: { what: "struct_ops (TCP congestion control)", since: "5.6", probe: net.structOpsProbe(0) },
  struct_ops_link: { what: "links of struct_ops", since: "6.4", probe: net.structOpsProbe(1 << 13) },
  assoc_struct_ops: { what: "programs tied to struct_ops maps", since: "7.0", probe: maps.assocStructOpsProbe },
  sched_ext: { what: "schedulers as struct_ops", since: "6.12", probe: net.schedExtProbe },
} as const satisfies Readonly<Record<string, Feature>>;

/** A name in the table. */
export type FeatureName = keyof typeof features;

/** All names, in the table's order. */
export const featureNames: readonly FeatureName[] = Object.keys(features) as FeatureName[];

const probed = new Map<FeatureName, string | undefined>();

/** Why the running kernel lacks a feature; undefined when it works. Tried once per process. */
export function whyMissing(name: FeatureName): string | undefined {
  if (!probed.has(name)) probed.set(name, probe(name));
  return probed.get(name);
}

/** The same, tried anew. */
export function probe(name: FeatureName): string | undefined {
  try {
    features[name].probe();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
