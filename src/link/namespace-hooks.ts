// Programs on a network namespace: flow dissectors and sk_lookup by BPF links, netfilter hooks (libbpf.md 1.5).

import { ArgumentError } from "../errors.js";
import { AttachType, attachTypeName } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";
import { type FdLike, linkCreate } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink } from "./link.js";
import { nameOf, withFile } from "./targets.js";

/**
 * Attaches a flow dissector (Linux 5.7) or a socket lookup program (Linux 5.9) to a network namespace. libbpf:
 * `bpf_program__attach_netns`.
 *
 * @param namespace such as `/run/netns/NAME` or `/proc/PID/ns/net`, or a descriptor; by default this thread's
 * @throws NotFoundError when there is no such file, SystemCallError with code `ATTACH`
 */
export function attachNetns(program: ProgramHandle, namespace: string | FdLike = "/proc/thread-self/ns/net"): BpfLink {
  const attachType = program.spec.expectedAttachType;
  const target = `${attachTypeName(attachType) ?? `attach type ${attachType}`} of network namespace ${nameOf(namespace)}`;
  const open = (fd: FdLike): BpfLink => {
    const link = linkCreate({ program: program.descriptor, target: fd, attachType });
    return new BpfLink({ kind: "netns", program: program.name, target, link });
  };
  const hints = {
    EINVAL: "it is no network namespace, or no hook of one",
    EEXIST: "another program is attached there, or a flow dissector to the initial network namespace",
    E2BIG: "the namespace has as many programs of this kind as are allowed",
  };
  const since = attachType === AttachType.sk_lookup ? "5.9" : "5.7";
  return withFile(namespace, "network namespace", (fd) =>
    explainAttach(program, target, () => open(fd), { hints, since }),
  );
}

/** UAPI linux/netfilter.h: NFPROTO_*. */
const protocols = { ipv4: 2, ipv6: 10 } as const;
/** UAPI linux/netfilter.h: NF_INET_*. */
const netfilterHooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;
const BPF_F_NETFILTER_IP_DEFRAG = 1 << 0;

/** Where in the kernel's packet filter a program runs. */
export interface NetfilterOptions {
  protocol: keyof typeof protocols;
  hook: keyof typeof netfilterHooks;
  /** Lower ones run first; neither the lowest nor the highest 32-bit number is allowed, and no two programs may share one. */
  priority: number;
  /** Gives the program whole packets instead of fragments; then the priority has to be above -400. */
  defragment?: boolean | undefined;
}

/**
 * Attaches to a hook of netfilter, in this thread's network namespace. Linux 6.4. libbpf:
 * `bpf_program__attach_netfilter`.
 *
 * @throws ArgumentError for hooks that do not exist, SystemCallError with code `ATTACH`
 */
export function attachNetfilter(program: ProgramHandle, options: NetfilterOptions): BpfLink {
  const { protocol, hook, priority, defragment } = options;
  const protocolFamily = numberIn(protocols, protocol, "protocol");
  const number = numberIn(netfilterHooks, hook, "hook");
  if (!Number.isInteger(priority) || Math.abs(priority) > 0x7fff_fffe) {
    throw new ArgumentError(`the priority of a netfilter program is a 32-bit integer, not ${priority}`);
  }
  const target = `netfilter hook ${protocol}/${hook} at priority ${priority}`;
  const open = (): BpfLink => {
    const link = linkCreate({
      program: program.descriptor,
      attachType: AttachType.netfilter,
      family: "netfilter",
      protocolFamily,
      hook: number,
      priority,
      netfilterFlags: defragment === true ? BPF_F_NETFILTER_IP_DEFRAG : 0,
    });
    return new BpfLink({ kind: "netfilter", program: program.name, target, link });
  };
  const hints = {
    EBUSY: "another program has this priority",
    EAFNOSUPPORT: `the kernel was built without the packet filter for ${protocol}`,
    ERANGE: "defragmentation happens at priority -400: choose a higher one",
  };
  return explainAttach(program, target, open, { hints, since: "6.4" });
}

function numberIn<K extends string>(table: Readonly<Record<K, number>>, name: K, option: string): number {
  if (Object.hasOwn(table, name)) return table[name];
  throw new ArgumentError(`${option} is one of ${Object.keys(table).join(", ")}, not ${String(name)}`);
}
