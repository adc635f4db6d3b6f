// The SEC() table: which section name makes which kind of program (libbpf.md section 2). Rows are data, in libbpf's
// order, because the first row that matches wins.

import { AttachType, type AttachTypeName, ProgramType, type ProgramTypeName } from "./uapi.js";

/** How a program of the section attaches by itself; the rules are libbpf.md 2.3. */
export type AutoAttachRule =
  | "kprobe"
  | "kprobe-multi"
  | "kprobe-session"
  | "uprobe"
  | "uprobe-multi"
  | "ksyscall"
  | "usdt"
  | "tp"
  | "raw-tp"
  | "trace"
  | "trace-multi"
  | "lsm"
  | "iter";

/**
 * What a section asks of the loader:
 * - `sleepable`: BPF_F_SLEEPABLE at load;
 * - `attachBtf`: the target must be resolved to a BTF id at load;
 * - `optionalAttachType`: the expected attach type is dropped when the kernel does not know the field;
 * - `xdpFrags`: BPF_F_XDP_HAS_FRAGS at load;
 * - `usdt`: the expected attach type becomes trace_uprobe_multi when the kernel has multi-uprobe links.
 */
export type SectionFlag = "sleepable" | "attachBtf" | "optionalAttachType" | "xdpFrags" | "usdt";

/** One row of the SEC() table. */
export interface SectionDefinition {
  /**
   * `x`: exactly this name; `x+`: this name, alone or followed by `/…`. Handlers of the user may also have `x/`, only
   * followed by something, and "", every name that nothing else takes.
   */
  readonly pattern: string;
  /** BPF_PROG_TYPE_*. */
  readonly programType: number;
  /** BPF attach type; 0 when the row has none. */
  readonly expectedAttachType: number;
  readonly flags: readonly SectionFlag[];
  /** null: libbpf attaches such programs only when told to what (a cgroup, an interface, a map …). */
  readonly autoAttach: AutoAttachRule | null;
}

/** The outcome of {@link matchSection}. */
export interface SectionMatch {
  readonly definition: SectionDefinition;
  /** What follows the pattern's slash (`sys_enter` of `raw_tp/sys_enter`); undefined for a bare name. */
  readonly target: string | undefined;
  /** False when the name starts with `?`. */
  readonly autoload: boolean;
}

type Row = readonly [
  pattern: string,
  programType: ProgramTypeName,
  attachType: AttachTypeName | "-",
  autoAttach?: AutoAttachRule | null,
  flags?: readonly SectionFlag[],
];

// biome-ignore format: one row of the table per line.
const rows: readonly Row[] = [
  ["socket", "socket_filter", "-"],
  ["sk_reuseport/migrate", "sk_reuseport", "sk_reuseport_select_or_migrate"],
  ["sk_reuseport", "sk_reuseport", "sk_reuseport_select"],
  ["kprobe+", "kprobe", "-", "kprobe"],
  ["uprobe+", "kprobe", "-", "uprobe"],
  ["uprobe.s+", "kprobe", "-", "uprobe", ["sleepable"]],
  ["kretprobe+", "kprobe", "-", "kprobe"],
  ["uretprobe+", "kprobe", "-", "uprobe"],
  ["uretprobe.s+", "kprobe", "-", "uprobe", ["sleepable"]],
  ["kprobe.multi+", "kprobe", "trace_kprobe_multi", "kprobe-multi"],
  ["kretprobe.multi+", "kprobe", "trace_kprobe_multi", "kprobe-multi"],
  ["kprobe.session+", "kprobe", "trace_kprobe_session", "kprobe-session"],
  ["uprobe.multi+", "kprobe", "trace_uprobe_multi", "uprobe-multi"],
  ["uretprobe.multi+", "kprobe", "trace_uprobe_multi", "uprobe-multi"],
  ["uprobe.session+", "kprobe", "trace_uprobe_session", "uprobe-multi"],
  ["uprobe.multi.s+", "kprobe", "trace_uprobe_multi", "uprobe-multi", ["sleepable"]],
  ["uretprobe.multi.s+", "kprobe", "trace_uprobe_multi", "uprobe-multi", ["sleepable"]],
  ["uprobe.session.s+", "kprobe", "trace_uprobe_session", "uprobe-multi", ["sleepable"]],
  ["ksyscall+", "kprobe", "-", "ksyscall"],
  ["kretsyscall+", "kprobe", "-", "ksyscall"],
  ["usdt+", "kprobe", "-", "usdt", ["usdt"]],
  ["usdt.s+", "kprobe", "-", "usdt", ["sleepable", "usdt"]],
  ["tc/ingress", "sched_cls", "tcx_ingress"],
  ["tc/egress", "sched_cls", "tcx_egress"],
  ["tcx/ingress", "sched_cls", "tcx_ingress"],
  ["tcx/egress", "sched_cls", "tcx_egress"],
  ["tc", "sched_cls", "-"],
  ["classifier", "sched_cls", "-"],
  ["action", "sched_act", "-"],
  ["netkit/primary", "sched_cls", "netkit_primary"],
  ["netkit/peer", "sched_cls", "netkit_peer"],
  ["tracepoint+", "tracepoint", "-", "tp"],
  ["tp+", "tracepoint", "-", "tp"],
  ["tracepoint.s+", "tracepoint", "-", "tp", ["sleepable"]],
  ["tp.s+", "tracepoint", "-", "tp", ["sleepable"]],
  ["raw_tracepoint+", "raw_tracepoint", "-", "raw-tp"],
  ["raw_tp+", "raw_tracepoint", "-", "raw-tp"],
  ["raw_tracepoint.s+", "raw_tracepoint", "-", "raw-tp", ["sleepable"]],
  ["raw_tp.s+", "raw_tracepoint", "-", "raw-tp", ["sleepable"]],
  ["raw_tracepoint.w+", "raw_tracepoint_writable", "-", "raw-tp"],
  ["raw_tp.w+", "raw_tracepoint_writable", "-", "raw-tp"],
  ["tp_btf+", "tracing", "trace_raw_tp", "trace", ["attachBtf"]],
  ["tp_btf.s+", "tracing", "trace_raw_tp", "trace", ["sleepable", "attachBtf"]],
  ["fentry+", "tracing", "trace_fentry", "trace", ["attachBtf"]],
  ["fmod_ret+", "tracing", "modify_return", "trace", ["attachBtf"]],
  ["fexit+", "tracing", "trace_fexit", "trace", ["attachBtf"]],
  ["fentry.s+", "tracing", "trace_fentry", "trace", ["sleepable", "attachBtf"]],
  ["fmod_ret.s+", "tracing", "modify_return", "trace", ["sleepable", "attachBtf"]],
  ["fexit.s+", "tracing", "trace_fexit", "trace", ["sleepable", "attachBtf"]],
  ["fsession+", "tracing", "trace_fsession", "trace", ["attachBtf"]],
  ["fsession.s+", "tracing", "trace_fsession", "trace", ["sleepable", "attachBtf"]],
  ["fsession.multi+", "tracing", "trace_fsession_multi", "trace-multi"],
  ["fsession.multi.s+", "tracing", "trace_fsession_multi", "trace-multi", ["sleepable"]],
  ["fentry.multi+", "tracing", "trace_fentry_multi", "trace-multi"],
  ["fexit.multi+", "tracing", "trace_fexit_multi", "trace-multi"],
  ["fentry.multi.s+", "tracing", "trace_fentry_multi", "trace-multi", ["sleepable"]],
  ["fexit.multi.s+", "tracing", "trace_fexit_multi", "trace-multi", ["sleepable"]],
  ["freplace+", "ext", "-", "trace", ["attachBtf"]],
  ["lsm+", "lsm", "lsm_mac", "lsm", ["attachBtf"]],
  ["lsm.s+", "lsm", "lsm_mac", "lsm", ["sleepable", "attachBtf"]],
  ["lsm_cgroup+", "lsm", "lsm_cgroup", null, ["attachBtf"]],
  ["iter+", "tracing", "trace_iter", "iter", ["attachBtf"]],
  ["iter.s+", "tracing", "trace_iter", "iter", ["sleepable", "attachBtf"]],
  ["syscall", "syscall", "-", null, ["sleepable"]],
  ["xdp.frags/devmap", "xdp", "xdp_devmap", null, ["xdpFrags"]],
  ["xdp/devmap", "xdp", "xdp_devmap"],
  ["xdp.frags/cpumap", "xdp", "xdp_cpumap", null, ["xdpFrags"]],
  ["xdp/cpumap", "xdp", "xdp_cpumap"],
  ["xdp.frags", "xdp", "xdp", null, ["xdpFrags"]],
  ["xdp", "xdp", "xdp", null, ["optionalAttachType"]],
  ["perf_event", "perf_event", "-"],
  ["lwt_in", "lwt_in", "-"],
  ["lwt_out", "lwt_out", "-"],
  ["lwt_xmit", "lwt_xmit", "-"],
  ["lwt_seg6local", "lwt_seg6local", "-"],
  ["sockops", "sock_ops", "cgroup_sock_ops", null, ["optionalAttachType"]],
  ["sk_skb/stream_parser", "sk_skb", "sk_skb_stream_parser", null, ["optionalAttachType"]],
  ["sk_skb/stream_verdict", "sk_skb", "sk_skb_stream_verdict", null, ["optionalAttachType"]],
  ["sk_skb/verdict", "sk_skb", "sk_skb_verdict", null, ["optionalAttachType"]],
  ["sk_skb", "sk_skb", "-"],
  ["sk_msg", "sk_msg", "sk_msg_verdict", null, ["optionalAttachType"]],
  ["lirc_mode2", "lirc_mode2", "lirc_mode2", null, ["optionalAttachType"]],
  ["flow_dissector", "flow_dissector", "flow_dissector", null, ["optionalAttachType"]],
  ["cgroup_skb/ingress", "cgroup_skb", "cgroup_inet_ingress", null, ["optionalAttachType"]],
  ["cgroup_skb/egress", "cgroup_skb", "cgroup_inet_egress", null, ["optionalAttachType"]],
  ["cgroup/skb", "cgroup_skb", "-"],
  ["cgroup/sock_create", "cgroup_sock", "cgroup_inet_sock_create"],
  ["cgroup/sock_release", "cgroup_sock", "cgroup_inet_sock_release"],
  ["cgroup/sock", "cgroup_sock", "cgroup_inet_sock_create", null, ["optionalAttachType"]],
  ["cgroup/post_bind4", "cgroup_sock", "cgroup_inet4_post_bind"],
  ["cgroup/post_bind6", "cgroup_sock", "cgroup_inet6_post_bind"],
  ["cgroup/bind4", "cgroup_sock_addr", "cgroup_inet4_bind"],
  ["cgroup/bind6", "cgroup_sock_addr", "cgroup_inet6_bind"],
  ["cgroup/connect4", "cgroup_sock_addr", "cgroup_inet4_connect"],
  ["cgroup/connect6", "cgroup_sock_addr", "cgroup_inet6_connect"],
  ["cgroup/connect_unix", "cgroup_sock_addr", "cgroup_unix_connect"],
  ["cgroup/sendmsg4", "cgroup_sock_addr", "cgroup_udp4_sendmsg"],
  ["cgroup/sendmsg6", "cgroup_sock_addr", "cgroup_udp6_sendmsg"],
  ["cgroup/sendmsg_unix", "cgroup_sock_addr", "cgroup_unix_sendmsg"],
  ["cgroup/recvmsg4", "cgroup_sock_addr", "cgroup_udp4_recvmsg"],
  ["cgroup/recvmsg6", "cgroup_sock_addr", "cgroup_udp6_recvmsg"],
  ["cgroup/recvmsg_unix", "cgroup_sock_addr", "cgroup_unix_recvmsg"],
  ["cgroup/getpeername4", "cgroup_sock_addr", "cgroup_inet4_getpeername"],
  ["cgroup/getpeername6", "cgroup_sock_addr", "cgroup_inet6_getpeername"],
  ["cgroup/getpeername_unix", "cgroup_sock_addr", "cgroup_unix_getpeername"],
  ["cgroup/getsockname4", "cgroup_sock_addr", "cgroup_inet4_getsockname"],
  ["cgroup/getsockname6", "cgroup_sock_addr", "cgroup_inet6_getsockname"],
  ["cgroup/getsockname_unix", "cgroup_sock_addr", "cgroup_unix_getsockname"],
  ["cgroup/sysctl", "cgroup_sysctl", "cgroup_sysctl"],
  ["cgroup/getsockopt", "cgroup_sockopt", "cgroup_getsockopt"],
  ["cgroup/setsockopt", "cgroup_sockopt", "cgroup_setsockopt"],
  ["cgroup/dev", "cgroup_device", "cgroup_device", null, ["optionalAttachType"]],
  ["struct_ops+", "struct_ops", "-"],
  ["struct_ops.s+", "struct_ops", "-", null, ["sleepable"]],
  ["sk_lookup", "sk_lookup", "sk_lookup"],
  ["netfilter", "netfilter", "netfilter"],
];

/** The 116 rows of the SEC() table, in the order in which they are tried. */
export const sectionDefinitions: readonly SectionDefinition[] = rows.map(
  ([pattern, programType, attachType, autoAttach = null, flags = []]) => ({
    pattern,
    programType: ProgramType[programType],
    expectedAttachType: attachType === "-" ? 0 : AttachType[attachType],
    flags,
    autoAttach,
  }),
);

/**
 * Finds the row for a section name, which may start with `?` (libbpf.md 2.1).
 *
 * libbpf: `libbpf_prog_type_by_name`, `libbpf_attach_type_by_name`.
 * @returns undefined when no row matches; the program's type is then for the user to say.
 */
export function matchSection(name: string): SectionMatch | undefined {
  const autoload = !name.startsWith("?");
  const bare = autoload ? name : name.slice(1);
  for (const definition of sectionDefinitions) {
    const { pattern } = definition;
    const takesTarget = pattern.endsWith("+");
    const prefix = takesTarget ? pattern.slice(0, -1) : pattern;
    if (bare === prefix) return { definition, target: undefined, autoload };
    if (takesTarget && bare.startsWith(`${prefix}/`))
      return { definition, target: bare.slice(prefix.length + 1), autoload };
  }
  return undefined;
}
