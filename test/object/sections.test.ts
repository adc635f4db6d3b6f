import { describe, expect, it } from "vitest";
import {
  AttachType,
  attachTypeByName,
  attachTypeName,
  matchSection,
  ProgramType,
  programTypeName,
  sectionDefinitions,
} from "../../src/object/index.js";

// libbpf.md section 2, written down a second time and in another form: pattern, program type, attach type, then flags
// (S sleepable, B attach target, O optional attach type, F xdp frags, U usdt) and the auto-attach rule after `>`.
const table = `
socket socket_filter -
sk_reuseport/migrate sk_reuseport sk_reuseport_select_or_migrate
sk_reuseport sk_reuseport sk_reuseport_select
kprobe+ kprobe - >kprobe
uprobe+ kprobe - >uprobe
uprobe.s+ kprobe - S >uprobe
kretprobe+ kprobe - >kprobe
uretprobe+ kprobe - >uprobe
uretprobe.s+ kprobe - S >uprobe
kprobe.multi+ kprobe trace_kprobe_multi >kprobe-multi
kretprobe.multi+ kprobe trace_kprobe_multi >kprobe-multi
kprobe.session+ kprobe trace_kprobe_session >kprobe-session
uprobe.multi+ kprobe trace_uprobe_multi >uprobe-multi
uretprobe.multi+ kprobe trace_uprobe_multi >uprobe-multi
uprobe.session+ kprobe trace_uprobe_session >uprobe-multi
uprobe.multi.s+ kprobe trace_uprobe_multi S >uprobe-multi
uretprobe.multi.s+ kprobe trace_uprobe_multi S >uprobe-multi
uprobe.session.s+ kprobe trace_uprobe_session S >uprobe-multi
ksyscall+ kprobe - >ksyscall
kretsyscall+ kprobe - >ksyscall
usdt+ kprobe - U >usdt
usdt.s+ kprobe - SU >usdt
tc/ingress sched_cls tcx_ingress
tc/egress sched_cls tcx_egress
tcx/ingress sched_cls tcx_ingress
tcx/egress sched_cls tcx_egress
tc sched_cls -
classifier sched_cls -
action sched_act -
netkit/primary sched_cls netkit_primary
netkit/peer sched_cls netkit_peer
tracepoint+ tracepoint - >tp
tp+ tracepoint - >tp
tracepoint.s+ tracepoint - S >tp
tp.s+ tracepoint - S >tp
raw_tracepoint+ raw_tracepoint - >raw-tp
raw_tp+ raw_tracepoint - >raw-tp
raw_tracepoint.s+ raw_tracepoint - S >raw-tp
raw_tp.s+ raw_tracepoint - S >raw-tp
raw_tracepoint.w+ raw_tracepoint_writable - >raw-tp
raw_tp.w+ raw_tracepoint_writable - >raw-tp
tp_btf+ tracing trace_raw_tp B >trace
tp_btf.s+ tracing trace_raw_tp SB >trace
fentry+ tracing trace_fentry B >trace
fmod_ret+ tracing modify_return B >trace
fexit+ tracing trace_fexit B >trace
fentry.s+ tracing trace_fentry SB >trace
fmod_ret.s+ tracing modify_return SB >trace
fexit.s+ tracing trace_fexit SB >trace
fsession+ tracing trace_fsession B >trace
fsession.s+ tracing trace_fsession SB >trace
fsession.multi+ tracing trace_fsession_multi >trace-multi
fsession.multi.s+ tracing trace_fsession_multi S >trace-multi
fentry.multi+ tracing trace_fentry_multi >trace-multi
fexit.multi+ tracing trace_fexit_multi >trace-multi
fentry.multi.s+ tracing trace_fentry_multi S >trace-multi
fexit.multi.s+ tracing trace_fexit_multi S >trace-multi
freplace+ ext - B >trace
lsm+ lsm lsm_mac B >lsm
lsm.s+ lsm lsm_mac SB >lsm
lsm_cgroup+ lsm lsm_cgroup B
iter+ tracing trace_iter B >iter
iter.s+ tracing trace_iter SB >iter
syscall syscall - S
xdp.frags/devmap xdp xdp_devmap F
xdp/devmap xdp xdp_devmap
xdp.frags/cpumap xdp xdp_cpumap F
xdp/cpumap xdp xdp_cpumap
xdp.frags xdp xdp F
xdp xdp xdp O
perf_event perf_event -
lwt_in lwt_in -
lwt_out lwt_out -
lwt_xmit lwt_xmit -
lwt_seg6local lwt_seg6local -
sockops sock_ops cgroup_sock_ops O
sk_skb/stream_parser sk_skb sk_skb_stream_parser O
sk_skb/stream_verdict sk_skb sk_skb_stream_verdict O
sk_skb/verdict sk_skb sk_skb_verdict O
sk_skb sk_skb -
sk_msg sk_msg sk_msg_verdict O
lirc_mode2 lirc_mode2 lirc_mode2 O
flow_dissector flow_dissector flow_dissector O
cgroup_skb/ingress cgroup_skb cgroup_inet_ingress O
cgroup_skb/egress cgroup_skb cgroup_inet_egress O
cgroup/skb cgroup_skb -
cgroup/sock_create cgroup_sock cgroup_inet_sock_create
cgroup/sock_release cgroup_sock cgroup_inet_sock_release
cgroup/sock cgroup_sock cgroup_inet_sock_create O
cgroup/post_bind4 cgroup_sock cgroup_inet4_post_bind
cgroup/post_bind6 cgroup_sock cgroup_inet6_post_bind
cgroup/bind4 cgroup_sock_addr cgroup_inet4_bind
cgroup/bind6 cgroup_sock_addr cgroup_inet6_bind
cgroup/connect4 cgroup_sock_addr cgroup_inet4_connect
cgroup/connect6 cgroup_sock_addr cgroup_inet6_connect
cgroup/connect_unix cgroup_sock_addr cgroup_unix_connect
cgroup/sendmsg4 cgroup_sock_addr cgroup_udp4_sendmsg
cgroup/sendmsg6 cgroup_sock_addr cgroup_udp6_sendmsg
cgroup/sendmsg_unix cgroup_sock_addr cgroup_unix_sendmsg
cgroup/recvmsg4 cgroup_sock_addr cgroup_udp4_recvmsg
cgroup/recvmsg6 cgroup_sock_addr cgroup_udp6_recvmsg
cgroup/recvmsg_unix cgroup_sock_addr cgroup_unix_recvmsg
cgroup/getpeername4 cgroup_sock_addr cgroup_inet4_getpeername
cgroup/getpeername6 cgroup_sock_addr cgroup_inet6_getpeername
cgroup/getpeername_unix cgroup_sock_addr cgroup_unix_getpeername
cgroup/getsockname4 cgroup_sock_addr cgroup_inet4_getsockname
cgroup/getsockname6 cgroup_sock_addr cgroup_inet6_getsockname
cgroup/getsockname_unix cgroup_sock_addr cgroup_unix_getsockname
cgroup/sysctl cgroup_sysctl cgroup_sysctl
cgroup/getsockopt cgroup_sockopt cgroup_getsockopt
cgroup/setsockopt cgroup_sockopt cgroup_setsockopt
cgroup/dev cgroup_device cgroup_device O
struct_ops+ struct_ops -
struct_ops.s+ struct_ops - S
sk_lookup sk_lookup sk_lookup
netfilter netfilter netfilter
`
  .trim()
  .split("\n")
  .map((line) => line.split(/ +/));

const flagNames = { S: "sleepable", B: "attachBtf", O: "optionalAttachType", F: "xdpFrags", U: "usdt" } as const;

describe("SEC() table", () => {
  it("has libbpf's 116 rows", () => {
    expect(table).toHaveLength(116);
    expect(sectionDefinitions).toHaveLength(116);
  });

  it.each(table.map((row, i) => [i, ...row] as const))("row %i: %s", (i, pattern, type, attach, ...rest) => {
    const row = sectionDefinitions[i]!;
    expect(row.pattern).toBe(pattern);
    expect(programTypeName(row.programType)).toBe(type);
    expect(row.expectedAttachType).toBe(attach === "-" ? 0 : attachTypeByName(attach!));
    const rule = rest.find((word) => word.startsWith(">"))?.slice(1) ?? null;
    expect(row.autoAttach).toBe(rule);
    const flags = rest.filter((word) => !word.startsWith(">")).join("");
    expect(row.flags).toEqual([...flags].map((letter) => flagNames[letter as keyof typeof flagNames]));
  });

  it.each(table.map(([pattern]) => pattern!))("%s matches its own spellings and no others", (pattern) => {
    const bare = pattern.replace(/\+$/, "");
    const match = matchSection(bare);
    expect(match?.definition.pattern).toBe(pattern);
    expect(match?.target).toBeUndefined();
    if (pattern.endsWith("+")) {
      expect(matchSection(`${bare}/some/thing`)).toMatchObject({ definition: { pattern }, target: "some/thing" });
      expect(matchSection(`${bare}/`)).toMatchObject({ definition: { pattern }, target: "" });
      expect(matchSection(pattern)).toBeUndefined();
    } else {
      expect(matchSection(`${bare}/thing`)?.definition).not.toBe(match?.definition);
    }
    expect(matchSection(`${bare}x`)?.definition).not.toBe(match?.definition);
    expect(matchSection(`?${bare}`)).toMatchObject({ definition: { pattern }, autoload: false });
  });
});

describe("matchSection", () => {
  it.each([
    ["raw_tp/sys_enter", "raw_tracepoint", 0, "sys_enter"],
    ["tp/syscalls/sys_enter_openat", "tracepoint", 0, "syscalls/sys_enter_openat"],
    ["kprobe.multi/tcp_*", "kprobe", AttachType.trace_kprobe_multi, "tcp_*"],
    ["uprobe//usr/lib/libc.so.6:malloc", "kprobe", 0, "/usr/lib/libc.so.6:malloc"],
    ["fentry/vmlinux:do_exit", "tracing", AttachType.trace_fentry, "vmlinux:do_exit"],
    ["cgroup_skb/egress", "cgroup_skb", AttachType.cgroup_inet_egress, undefined],
    ["xdp", "xdp", AttachType.xdp, undefined],
  ])("%s", (name, type, attach, target) => {
    const match = matchSection(name);
    expect(programTypeName(match!.definition.programType)).toBe(type);
    expect(match?.definition.expectedAttachType).toBe(attach);
    expect(match?.target).toBe(target);
    expect(match?.autoload).toBe(true);
  });

  it.each(["", "?", "kprob", "mystery/thing", "xdp/foo", "socket1", "cgroup", ".text", "??xdp"])(
    "knows nothing of %j",
    (name) => {
      expect(matchSection(name)).toBeUndefined();
    },
  );

  it("names numbers both ways", () => {
    expect(programTypeName(ProgramType.netfilter)).toBe("netfilter");
    expect(programTypeName(1000)).toBeUndefined();
    expect(attachTypeName(AttachType.trace_fsession_multi)).toBe("trace_fsession_multi");
    expect(attachTypeByName("constructor")).toBeUndefined();
  });
});
