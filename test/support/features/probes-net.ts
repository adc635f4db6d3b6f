// Probes of network and cgroup hooks, in a network namespace of their own: the thread enters a new one, tries, and goes
// back before anything else runs.

import { execFileSync } from "node:child_process";
import { mkdirSync, openSync, readFileSync, rmdirSync } from "node:fs";
import { bpf, call, type Field, ProbeError, struct, text, withDescriptors } from "./calls.js";
import { Kind, kernelType } from "./kernel-types.js";
import { link } from "./probes-tracing.js";
import { createCounter, createMap, load, loadBtf, type ProgramOptions, Type } from "./programs.js";

const CLONE_NEWNET = 0x40000000;
/** The loopback device of a new namespace. */
const LO = 1;
const RTM_NEWLINK = 16;
const RTM_NEWQDISC = 36;
const RTM_NEWTFILTER = 44;
const REQUEST_ACK_CREATE_EXCLUSIVE = 0x605;

/** Enters a new network namespace for the time of `body`. */
export function inNewNetwork<T>(body: (own: (fd: number) => number) => T): T {
  return withDescriptors((own) => {
    const before = own(openSync("/proc/thread-self/ns/net", "r"));
    call("unshare", CLONE_NEWNET);
    try {
      return withDescriptors(body);
    } finally {
      call("setns", before, CLONE_NEWNET);
    }
  });
}

/** A program attached to the loopback device by a link. */
function deviceProbe(
  type: number,
  attachType: number,
  options: ProgramOptions,
  fields: readonly Field[] = [],
  flags = 0,
): () => void {
  return () =>
    inNewNetwork((own) => {
      const program = own(load(type, own(createCounter()), options));
      own(link(program, attachType === NETFILTER ? 0 : LO, attachType, fields, flags));
    });
}

const XDP = 37;
const NETFILTER = 45;
const TCX_INGRESS = 46;
const GENERIC_MODE = 1 << 1;

export const xdpLinkProbe: () => void = deviceProbe(Type.xdp, XDP, { result: 2 }, [], GENERIC_MODE);
export const tcxProbe: () => void = deviceProbe(Type.schedCls, TCX_INGRESS, { expectedAttachType: TCX_INGRESS });
/** Hook 3 is local output of IPv4 (2), priority -128. */
export const netfilterProbe: () => void = deviceProbe(
  Type.netfilter,
  NETFILTER,
  { expectedAttachType: NETFILTER, result: 1 },
  [
    [16, "u32", 2],
    [20, "u32", 3],
    [24, "u32", -128],
  ],
);

/** A link on the network namespace. */
export function skLookupProbe(): void {
  inNewNetwork((own) => {
    const SK_LOOKUP = 36;
    const program = own(load(Type.skLookup, own(createCounter()), { expectedAttachType: SK_LOOKUP, result: 1 }));
    own(link(program, own(openSync("/proc/thread-self/ns/net", "r")), SK_LOOKUP));
  });
}

/** SO_ATTACH_BPF. */
export function socketFilterProbe(): void {
  inNewNetwork((own) => {
    const [AF_INET, DGRAM, SOL_SOCKET, ATTACH_BPF] = [2, 2, 1, 50];
    const socket = own(call("socket", AF_INET, DGRAM, 0));
    const program = own(load(Type.socketFilter, own(createCounter()), { result: 65535 }));
    call("setsockopt", socket, SOL_SOCKET, ATTACH_BPF, struct(4, [[0, "u32", program]]), 4);
  });
}

/** A socket of family XDP. */
export function afXdpProbe(): void {
  inNewNetwork((own) => void own(call("socket", 44, 3, 0)));
}

/** clsact and a BPF filter on it, by netlink. */
export function tcProbe(): void {
  inNewNetwork((own) => {
    request(own, RTM_NEWQDISC, [...tcHeader(0xffff0000, 0xfffffff1, 0), ...attribute(1, bytesOf("clsact"))]);
    const program = own(load(Type.schedCls, own(createCounter())));
    const options = [...attribute(6, word(program)), ...attribute(7, bytesOf("probe")), ...attribute(8, word(1))];
    const ETH_P_ALL = 0x0300;
    const filter = [
      ...tcHeader(1, 0xfffffff2, (1 << 16) | ETH_P_ALL),
      ...attribute(1, bytesOf("bpf")),
      ...attribute(2, options),
    ];
    request(own, RTM_NEWTFILTER, filter);
  });
}

/** A device of this kind is made. */
export function deviceKindProbe(kind: "veth" | "netkit"): () => void {
  return () => inNewNetwork((own) => addDevice(own, kind, "probe0"));
}

/** Makes a network device; with a name for its peer, where devices of the kind come in pairs. */
export function addDevice(own: (fd: number) => number, kind: "veth" | "netkit", name: string, peer?: string): void {
  const [IFLA_IFNAME, IFLA_LINKINFO, IFLA_INFO_KIND, IFLA_INFO_DATA, PEER_INFO] = [3, 18, 1, 2, 1];
  const info = attribute(IFLA_INFO_KIND, bytesOf(kind));
  if (peer !== undefined) {
    const description = [...new Uint8Array(16), ...attribute(IFLA_IFNAME, bytesOf(peer))];
    info.push(...attribute(IFLA_INFO_DATA, attribute(PEER_INFO, description)));
  }
  request(own, RTM_NEWLINK, [
    ...new Uint8Array(16),
    ...attribute(IFLA_IFNAME, bytesOf(name)),
    ...attribute(IFLA_LINKINFO, info),
  ]);
}

/**
 * A program on a cgroup of the second version, by BPF_PROG_ATTACH, by a link, or by a link before all others; or one on a
 * security hook.
 */
export function cgroupProbe(how: "attach" | "link" | "before" | "lsm"): () => void {
  return () =>
    withDescriptors((own) => {
      const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync("/proc/mounts", "utf8"))?.[1];
      if (mount === undefined) throw new ProbeError("no cgroup2 is mounted");
      const group = `${mount}/bpfkit-probe-${process.pid}`;
      mkdirSync(group);
      try {
        withDescriptors((hold) => {
          const EGRESS = 1;
          const target = hold(openSync(group, "r"));
          if (how === "lsm") {
            const LSM_CGROUP = 43;
            const attachBtfId = kernelType(Kind.func, "bpf_lsm_socket_connect");
            const options = { expectedAttachType: LSM_CGROUP, attachBtfId, result: 1 };
            hold(link(hold(load(Type.lsm, own(createCounter()), options)), target, LSM_CGROUP));
            return;
          }
          const program = hold(load(Type.cgroupSkb, own(createCounter()), { result: 1 }));
          if (how === "link") hold(link(program, target, EGRESS));
          else if (how === "before") hold(link(program, target, EGRESS, [], 1 << 3));
          else {
            const fields = [
              [0, "u32", target],
              [4, "u32", program],
              [8, "u32", EGRESS],
            ] as const;
            bpf(8, 16, fields, "PROG_ATTACH");
          }
        });
      } finally {
        rmdirSync(group);
      }
    });
}

/** BPF_SK_SKB_VERDICT on a sockmap. */
export function skSkbVerdictProbe(): void {
  const [SOCKMAP, VERDICT, PROG_ATTACH] = [15, 38, 8];
  withDescriptors((own) => {
    const map = own(createMap(SOCKMAP, 4, 4, 1));
    const program = own(load(Type.skSkb, own(createCounter()), { expectedAttachType: VERDICT, result: 1 }));
    const fields = [
      [0, "u32", map],
      [4, "u32", program],
      [8, "u32", VERDICT],
    ] as const;
    bpf(PROG_ATTACH, 16, fields, "PROG_ATTACH");
  });
}

/** A route with a program (LWTUNNEL_ENCAP_BPF), and iproute2 to make others. */
export function routeProgramProbe(): void {
  execFileSync("ip", ["-V"]);
  inNewNetwork((own) => {
    const control = own(call("socket", 2, 2, 0));
    const [SIOCSIFFLAGS, UP_RUNNING] = [0x8914, 0x41];
    const up = struct(40, [[16, "u16", UP_RUNNING]]);
    up.set(text("lo"));
    call("ioctl", control, SIOCSIFFLAGS, up);
    const program = own(load(Type.lwtXmit, own(createCounter())));
    const [RTM_NEWROUTE, RTA_DST, RTA_OIF, RTA_ENCAP_TYPE, RTA_ENCAP] = [24, 1, 4, 21, 22];
    const [LWTUNNEL_ENCAP_BPF, LWT_BPF_XMIT] = [6, 3];
    // struct rtmsg: family, length of the destination, source and TOS; table, protocol, scope, type; flags.
    const header = [2, 32, 0, 0, 254, 3, 253, 1, 0, 0, 0, 0];
    const named = [...attribute(1, word(program)), ...attribute(2, bytesOf("probe"))];
    request(own, RTM_NEWROUTE, [
      ...header,
      ...attribute(RTA_DST, [10, 9, 9, 1]),
      ...attribute(RTA_OIF, word(LO)),
      ...attribute(RTA_ENCAP_TYPE, [LWTUNNEL_ENCAP_BPF, 0]),
      ...attribute(RTA_ENCAP, attribute(LWT_BPF_XMIT, named)),
    ]);
  });
}

/** PACKET_FANOUT. */
export function packetFanoutProbe(): void {
  inNewNetwork((own) => {
    const [AF_PACKET, RAW, SOL_PACKET, FANOUT] = [17, 3, 263, 18];
    const socket = own(call("socket", AF_PACKET, RAW, 0x0300));
    call("setsockopt", socket, SOL_PACKET, FANOUT, struct(4, [[0, "u32", 1]]), 4);
  });
}

/** A program that is asked for connections of family UNIX. */
export function unixAddressProbe(): void {
  const UNIX_CONNECT = 49;
  withDescriptors(
    (own) => void own(load(Type.cgroupSockAddr, own(createCounter()), { expectedAttachType: UNIX_CONNECT, result: 1 })),
  );
}

/** The map of a struct_ops type; `kernelType` fails where the type does not exist. */
export const structOpsProbe =
  (flags: number): (() => void) =>
  () => {
    withDescriptors((own) => {
      // Old kernels know no struct_ops before the first program is loaded.
      own(load(Type.socketFilter, own(createCounter())));
      const btf = own(loadBtf([1, 1 << 24, 4, 32], "\0int"));
      const id = kernelType(Kind.struct, "bpf_struct_ops_tcp_congestion_ops");
      // The size has to be the type's own: a wrong one is refused last, with EINVAL, after everything a kernel without
      // struct_ops refuses earlier (ENOTSUPP, EPERM, unknown map type). It is found by trying.
      let last: unknown;
      for (let size = 64; size <= 1024; size += 8) {
        try {
          own(
            createMap(26, 4, size, 1, flags, [
              [48, "u32", btf],
              [60, "u32", id],
            ]),
          );
          return;
        } catch (error) {
          last = error;
        }
      }
      throw last;
    });
  };

/** The kernel knows sched_ext's operations. */
export function schedExtProbe(): void {
  kernelType(Kind.struct, "bpf_struct_ops_sched_ext_ops");
}

function request(own: (fd: number) => number, type: number, body: readonly number[]): void {
  const [AF_NETLINK, SOCK_RAW, ROUTE] = [16, 3, 0];
  const socket = own(call("socket", AF_NETLINK, SOCK_RAW, ROUTE));
  const size = 16 + body.length;
  const message = struct(size, [
    [0, "u32", size],
    [4, "u16", type],
    [6, "u16", REQUEST_ACK_CREATE_EXCLUSIVE],
    [8, "u32", 1],
  ]);
  message.set(body, 16);
  call("sendto", socket, message, size, 0, 0, 0);
  const answer = new Uint8Array(8192);
  call("recvfrom", socket, answer, answer.length, 0, 0, 0);
  const error = new DataView(answer.buffer).getInt32(16, true);
  if (error !== 0) throw new ProbeError(`netlink request ${type}: errno ${-error}`);
}

function tcHeader(handle: number, parent: number, info: number): Uint8Array {
  return struct(20, [
    [4, "u32", LO],
    [8, "u32", handle],
    [12, "u32", parent],
    [16, "u32", info],
  ]);
}

function attribute(type: number, body: Iterable<number>): number[] {
  const bytes = [...body];
  const head = struct(4, [
    [0, "u16", bytes.length + 4],
    [2, "u16", type],
  ]);
  return [...head, ...bytes, ...new Uint8Array((4 - (bytes.length % 4)) % 4)];
}

function word(value: number): Uint8Array {
  return struct(4, [[0, "u32", value]]);
}

function bytesOf(name: string): Uint8Array {
  return new TextEncoder().encode(`${name}\0`);
}
