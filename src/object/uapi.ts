// Numbers of the kernel's BPF interface that objects speak of: program, map and attach types and creation flags,
// under libbpf's spellings (libbpf.md 1.11). Facts of UAPI linux/bpf.h; values never change once released.

/** BPF_PROG_TYPE_*, keyed by libbpf's spelling. */
export const ProgramType = {
  unspec: 0,
  socket_filter: 1,
  kprobe: 2,
  sched_cls: 3,
  sched_act: 4,
  tracepoint: 5,
  xdp: 6,
  perf_event: 7,
  cgroup_skb: 8,
  cgroup_sock: 9,
  lwt_in: 10,
  lwt_out: 11,
  lwt_xmit: 12,
  sock_ops: 13,
  sk_skb: 14,
  cgroup_device: 15,
  sk_msg: 16,
  raw_tracepoint: 17,
  cgroup_sock_addr: 18,
  lwt_seg6local: 19,
  lirc_mode2: 20,
  sk_reuseport: 21,
  flow_dissector: 22,
  cgroup_sysctl: 23,
  raw_tracepoint_writable: 24,
  cgroup_sockopt: 25,
  tracing: 26,
  struct_ops: 27,
  ext: 28,
  lsm: 29,
  sk_lookup: 30,
  syscall: 31,
  netfilter: 32,
} as const;
/** A name of {@link ProgramType}. */
export type ProgramTypeName = keyof typeof ProgramType;

/** BPF_MAP_TYPE_*, keyed by libbpf's spelling. */
export const MapType = {
  unspec: 0,
  hash: 1,
  array: 2,
  prog_array: 3,
  perf_event_array: 4,
  percpu_hash: 5,
  percpu_array: 6,
  stack_trace: 7,
  cgroup_array: 8,
  lru_hash: 9,
  lru_percpu_hash: 10,
  lpm_trie: 11,
  array_of_maps: 12,
  hash_of_maps: 13,
  devmap: 14,
  sockmap: 15,
  cpumap: 16,
  xskmap: 17,
  sockhash: 18,
  cgroup_storage: 19,
  reuseport_sockarray: 20,
  percpu_cgroup_storage: 21,
  queue: 22,
  stack: 23,
  sk_storage: 24,
  devmap_hash: 25,
  struct_ops: 26,
  ringbuf: 27,
  inode_storage: 28,
  task_storage: 29,
  bloom_filter: 30,
  user_ringbuf: 31,
  cgrp_storage: 32,
  arena: 33,
  insn_array: 34,
  rhash: 35,
} as const;
/** A name of {@link MapType}. */
export type MapTypeName = keyof typeof MapType;

/** `enum bpf_attach_type` (BPF_*), keyed by libbpf's spelling. 0 is a real attach type (cgroup_inet_ingress). */
export const AttachType = {
  cgroup_inet_ingress: 0,
  cgroup_inet_egress: 1,
  cgroup_inet_sock_create: 2,
  cgroup_sock_ops: 3,
  sk_skb_stream_parser: 4,
  sk_skb_stream_verdict: 5,
  cgroup_device: 6,
  sk_msg_verdict: 7,
  cgroup_inet4_bind: 8,
  cgroup_inet6_bind: 9,
  cgroup_inet4_connect: 10,
  cgroup_inet6_connect: 11,
  cgroup_inet4_post_bind: 12,
  cgroup_inet6_post_bind: 13,
  cgroup_udp4_sendmsg: 14,
  cgroup_udp6_sendmsg: 15,
  lirc_mode2: 16,
  flow_dissector: 17,
  cgroup_sysctl: 18,
  cgroup_udp4_recvmsg: 19,
  cgroup_udp6_recvmsg: 20,
  cgroup_getsockopt: 21,
  cgroup_setsockopt: 22,
  trace_raw_tp: 23,
  trace_fentry: 24,
  trace_fexit: 25,
  modify_return: 26,
  lsm_mac: 27,
  trace_iter: 28,
  cgroup_inet4_getpeername: 29,
  cgroup_inet6_getpeername: 30,
  cgroup_inet4_getsockname: 31,
  cgroup_inet6_getsockname: 32,
  xdp_devmap: 33,
  cgroup_inet_sock_release: 34,
  xdp_cpumap: 35,
  sk_lookup: 36,
  xdp: 37,
  sk_skb_verdict: 38,
  sk_reuseport_select: 39,
  sk_reuseport_select_or_migrate: 40,
  perf_event: 41,
  trace_kprobe_multi: 42,
  lsm_cgroup: 43,
  struct_ops: 44,
  netfilter: 45,
  tcx_ingress: 46,
  tcx_egress: 47,
  trace_uprobe_multi: 48,
  cgroup_unix_connect: 49,
  cgroup_unix_sendmsg: 50,
  cgroup_unix_recvmsg: 51,
  cgroup_unix_getpeername: 52,
  cgroup_unix_getsockname: 53,
  netkit_primary: 54,
  netkit_peer: 55,
  trace_kprobe_session: 56,
  trace_uprobe_session: 57,
  trace_fsession: 58,
  trace_fentry_multi: 59,
  trace_fexit_multi: 60,
  trace_fsession_multi: 61,
} as const;
/** A name of {@link AttachType}. */
export type AttachTypeName = keyof typeof AttachType;

/** BPF_F_* flags of BPF_MAP_CREATE, without the prefix. */
export const MapFlag = {
  NO_PREALLOC: 1 << 0,
  NO_COMMON_LRU: 1 << 1,
  NUMA_NODE: 1 << 2,
  RDONLY: 1 << 3,
  WRONLY: 1 << 4,
  STACK_BUILD_ID: 1 << 5,
  ZERO_SEED: 1 << 6,
  RDONLY_PROG: 1 << 7,
  WRONLY_PROG: 1 << 8,
  CLONE: 1 << 9,
  MMAPABLE: 1 << 10,
  PRESERVE_ELEMS: 1 << 11,
  INNER_MAP: 1 << 12,
  LINK: 1 << 13,
  PATH_FD: 1 << 14,
  VTYPE_BTF_OBJ_FD: 1 << 15,
  TOKEN_FD: 1 << 16,
  SEGV_ON_FAULT: 1 << 17,
  NO_USER_CONV: 1 << 18,
  RB_OVERWRITE: 1 << 19,
} as const;

/** BPF_F_* flags of BPF_PROG_LOAD, without the prefix. */
export const ProgramFlag = {
  STRICT_ALIGNMENT: 1 << 0,
  ANY_ALIGNMENT: 1 << 1,
  TEST_RND_HI32: 1 << 2,
  TEST_STATE_FREQ: 1 << 3,
  SLEEPABLE: 1 << 4,
  XDP_HAS_FRAGS: 1 << 5,
  XDP_DEV_BOUND_ONLY: 1 << 6,
  TEST_REG_INVARIANTS: 1 << 7,
} as const;

/** Values of a map definition's `pinning` (enum libbpf_pin_type). */
export const MapPinning = { none: 0, byName: 1 } as const;

/** The libbpf spelling of a program type number; undefined for numbers newer than this table. */
export function programTypeName(type: number): ProgramTypeName | undefined {
  return programTypeNames.get(type);
}

/** The libbpf spelling of a map type number; undefined for numbers newer than this table. */
export function mapTypeName(type: number): MapTypeName | undefined {
  return mapTypeNames.get(type);
}

/** The libbpf spelling of an attach type number; undefined for numbers newer than this table. */
export function attachTypeName(type: number): AttachTypeName | undefined {
  return attachTypeNames.get(type);
}

/** The number of a program type spelt as libbpf does (`"sched_cls"`); undefined for unknown spellings. */
export function programTypeByName(name: string): number | undefined {
  return valueByName(ProgramType, name);
}

/** The number of a map type spelt as libbpf does (`"percpu_hash"`); undefined for unknown spellings. */
export function mapTypeByName(name: string): number | undefined {
  return valueByName(MapType, name);
}

/** The number of an attach type spelt as libbpf does (`"trace_fentry"`); undefined for unknown spellings. */
export function attachTypeByName(name: string): number | undefined {
  return valueByName(AttachType, name);
}

const programTypeNames = inverse(ProgramType);
const mapTypeNames = inverse(MapType);
const attachTypeNames = inverse(AttachType);

function inverse<N extends string>(table: Readonly<Record<N, number>>): ReadonlyMap<number, N> {
  return new Map((Object.entries(table) as [N, number][]).map(([name, value]) => [value, name]));
}

function valueByName(table: Readonly<Record<string, number>>, name: string): number | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
