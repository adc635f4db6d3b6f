// Who is attached somewhere: the programs at a hook of an interface, a control group, a network namespace, a map of
// sockets or an infrared receiver, whoever attached them (BPF_PROG_QUERY; libbpf.md 1.6).

import { ArgumentError, BpfkitError, SystemCallError, UnsupportedError } from "../errors.js";
import { olderThan } from "../kernel/index.js";
import { AttachType, type AttachTypeName, numberOf } from "../object/index.js";
import {
  type FdLike,
  openById,
  type ProgQueryOptions,
  type ProgQueryResult,
  progInfo,
  progQuery,
} from "../syscall/index.js";
import { indexOfInterface, nameOf, withFile } from "./targets.js";
import { xdp } from "./xdp.js";

/** Where to look; one of `network`, `cgroup`, `netns`, `map` and `device`, and the hook there. */
export interface QueryOptions {
  /** Name or index of an interface: hooks `tcx_ingress`, `tcx_egress`, `netkit_primary`, `netkit_peer`, `xdp`. */
  network?: string | number | undefined;
  /** Directory or descriptor of a control group: hooks `cgroup_*`, `lsm_cgroup`. */
  cgroup?: string | FdLike | undefined;
  /** File such as /proc/PID/ns/net, or a descriptor: hooks `flow_dissector`, `sk_lookup`. */
  netns?: string | FdLike | undefined;
  /** A sockmap or sockhash: hooks `sk_skb_*`, `sk_msg_verdict`. Linux 6.0. */
  map?: { readonly name: string; readonly fd: number } | undefined;
  /** An infrared receiver such as `/dev/lirc0`, or a descriptor: hook `lirc_mode2`. Linux 4.18. */
  device?: string | FdLike | undefined;
  /** Attach type, by name or number. */
  hook: AttachTypeName | number;
  /** Control groups: all programs that run there, also those of the groups above, in order. */
  effective?: boolean | undefined;
}

/** A program that is attached. */
export interface AttachedProgram {
  /** Kernel id. */
  readonly id: number;
  /** Undefined when the program cannot be opened (no CAP_SYS_ADMIN) or is gone. */
  readonly name: string | undefined;
  /** Kernel id of the link that holds it; undefined without link, and where the kernel does not tell. */
  readonly linkId: number | undefined;
  /** BPF_F_* that it was attached with; undefined where the kernel does not tell. */
  readonly flags: number | undefined;
}

/** What is attached at a hook. */
export interface AttachedPrograms {
  /** In the order in which they run. */
  readonly programs: readonly AttachedProgram[];
  /** Grows with every change, for `expectedRevision` of attachments; undefined where the kernel keeps none. */
  readonly revision: bigint | undefined;
  /** BPF_F_* of the control group's hook: how programs of groups below combine. */
  readonly flags: number;
}

/**
 * Tells which programs are attached at a hook, whoever attached them. Linux 4.15 for control groups, 5.1 and 5.9 for
 * network namespaces, 6.6 for tcx, 6.7 for netkit; XDP by netlink. Needs CAP_NET_ADMIN for most hooks. libbpf:
 * `bpf_prog_query_opts`.
 *
 * @throws NotFoundError when there is no such target, UnsupportedError where the kernel cannot tell, ArgumentError,
 *   SystemCallError
 */
export function queryPrograms(options: QueryOptions): AttachedPrograms {
  const { network, cgroup, netns, map, device, effective = false } = options;
  const attachType = numberOf(options.hook, AttachType, "attach type");
  const given = [network, cgroup, netns, map, device].filter((target) => target !== undefined);
  if (given.length !== 1) throw new ArgumentError("name one place to look: network, cgroup, netns, map or device");
  const hook = `${options.hook}`;
  if (network !== undefined) {
    if (attachType === AttachType.xdp) return queryXdp(network);
    const targetIfindex = indexOfInterface(network);
    return ask({ targetIfindex, attachType, links: true }, `${hook} of interface ${network}`);
  }
  if (cgroup !== undefined) {
    return withFile(cgroup, "control group", (target) => {
      const what = `${hook} of control group ${nameOf(cgroup)}`;
      const flags = effective ? BPF_F_QUERY_EFFECTIVE : 0;
      const ownFlags = !effective && !olderThan("6.1");
      return ask({ target, attachType, flags, programFlags: ownFlags }, what);
    });
  }
  if (netns !== undefined) {
    return withFile(netns, "network namespace", (target) =>
      ask({ target, attachType }, `${hook} of network namespace ${nameOf(netns)}`),
    );
  }
  if (device !== undefined) {
    return withFile(device, "infrared receiver", (target) =>
      ask({ target, attachType }, `${hook} of infrared receiver ${nameOf(device)}`),
    );
  }
  const { name, fd } = map!;
  return ask({ target: fd, attachType }, `${hook} of map ${name}`);
}

/** UAPI linux/bpf.h. */
const BPF_F_QUERY_EFFECTIVE = 1 << 0;

function queryXdp(network: string | number): AttachedPrograms {
  const ids = Object.values(xdp.query(network).programIds);
  const programs = ids.map((id) => ({ id, name: nameOfProgram(id), linkId: undefined, flags: undefined }));
  return { programs, revision: undefined, flags: 0 };
}

function ask(query: ProgQueryOptions, what: string): AttachedPrograms {
  const result = explained(() => progQuery(query), what);
  const programs = Array.from(result.programIds, (id, index) => ({
    id,
    name: nameOfProgram(id),
    linkId: result.linkIds?.[index] || undefined,
    flags: result.linkFlags?.[index] ?? result.programFlags?.[index],
  }));
  return { programs, revision: result.revision === 0n ? undefined : result.revision, flags: result.attachFlags };
}

function explained(query: () => ProgQueryResult, what: string): ProgQueryResult {
  try {
    return query();
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const details = { cause: error, hint: hints[error.errnoName] ?? error.hint };
    if (error.errnoName === "EINVAL") throw new UnsupportedError(`nobody can be asked for ${what}`, details);
    const { operation, errno, errnoName } = error;
    throw new SystemCallError(`cannot ask for ${what}: ${error.reason}`, { ...details, operation, errno, errnoName });
  }
}

const hints: Readonly<Record<string, string>> = {
  EINVAL: "the place has no such hook, or this kernel is too old to tell",
  ENODEV: "the interface is gone, or it belongs to another network namespace",
  EBADF: "it is no control group of version 2",
};

function nameOfProgram(id: number): string | undefined {
  try {
    using program = openById("prog", id);
    return progInfo(program).name;
  } catch (error) {
    if (!BpfkitError.isBpfkitError(error)) throw error;
    return undefined;
  }
}
