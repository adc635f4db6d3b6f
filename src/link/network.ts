// Programs on network interfaces, by links: XDP, TCX, netkit (libbpf.md 1.5).

import { ArgumentError } from "../errors.js";
import { olderThan } from "../kernel/index.js";
import { AttachType } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";
import { linkCreate } from "../syscall/index.js";
import { type AnchorOptions, anchorHints, placementOf } from "./anchors.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink } from "./link.js";
import { indexOfInterface } from "./targets.js";
import { type XdpMode, xdpHints, xdpLinkByNetlink, xdpModeFlag } from "./xdp.js";

/** Options of XDP attachments. */
export interface XdpOptions {
  /** By default `driver` where the driver can, else `generic`. */
  mode?: XdpMode | undefined;
}

/**
 * Runs an XDP program for the packets that an interface receives. By a link since Linux 5.9; before that (4.8) by netlink,
 * and the attachment ends with close(), but not with a process that dies. To outlive the process on purpose: pin the link,
 * or {@link xdp.attach}. libbpf: `bpf_program__attach_xdp`.
 *
 * @param network name or index of the interface, in this thread's network namespace
 * @throws NotFoundError when there is no such interface, SystemCallError with code `ATTACH`
 */
export function attachXdp(program: ProgramHandle, network: string | number, options: XdpOptions = {}): BpfLink {
  const { mode } = options;
  const flags = xdpModeFlag(mode) || undefined;
  if (olderThan("5.9")) return xdpLinkByNetlink(program, network, mode);
  const attachType = AttachType.xdp;
  return attachToInterface(program, network, { kind: "xdp", name: "XDP", attachType, flags, since: "5.9" });
}

/** Options of TCX attachments. */
export interface TcxOptions extends AnchorOptions {
  /** By default what the section says: `SEC("tcx/ingress")`, `SEC("tc/egress")` and so on. */
  direction?: "ingress" | "egress" | undefined;
}

/**
 * Runs a classifier for the packets that enter or leave an interface. Linux 6.6. libbpf: `bpf_program__attach_tcx`.
 *
 * @throws as {@link attachXdp}; ArgumentError when neither section nor options tell the direction
 */
export function attachTcx(program: ProgramHandle, network: string | number, options: TcxOptions = {}): BpfLink {
  const types = { ingress: AttachType.tcx_ingress, egress: AttachType.tcx_egress };
  const attachType = choose(program, types, options.direction, "direction");
  return attachToInterface(program, network, { kind: "tcx", name: "tcx", attachType, since: "6.6", anchors: options });
}

/** Options of netkit attachments. */
export interface NetkitOptions extends AnchorOptions {
  /** By default what the section says: `SEC("netkit/primary")`, `SEC("netkit/peer")`. */
  device?: "primary" | "peer" | undefined;
}

/**
 * Runs a classifier for the packets that leave one device of a netkit pair; both are attached to through the primary one.
 * Linux 6.7. libbpf: `bpf_program__attach_netkit`.
 *
 * @throws as {@link attachTcx}
 */
export function attachNetkit(program: ProgramHandle, network: string | number, options: NetkitOptions = {}): BpfLink {
  const types = { primary: AttachType.netkit_primary, peer: AttachType.netkit_peer };
  const attachType = choose(program, types, options.device, "device");
  return attachToInterface(program, network, {
    kind: "netkit",
    name: "netkit",
    attachType,
    since: "6.7",
    anchors: options,
  });
}

/** The attach type that options or the section tell. */
export function choose<K extends string>(
  program: ProgramHandle,
  types: Readonly<Record<K, number>>,
  wanted: K | undefined,
  option: string,
): number {
  const names = Object.keys(types).join(" or ");
  if (wanted !== undefined) {
    if (Object.hasOwn(types, wanted)) return types[wanted];
    throw new ArgumentError(`${option} is ${names}, not ${String(wanted)}`, { program: program.name });
  }
  const { expectedAttachType } = program.spec;
  if (Object.values(types).includes(expectedAttachType)) return expectedAttachType;
  throw new ArgumentError(`section ${program.sectionName} does not say where to attach`, {
    file: program.file,
    program: program.name,
    hint: `give the option ${option}: ${names}`,
  });
}

interface InterfaceHook {
  readonly kind: "xdp" | "tcx" | "netkit";
  readonly name: string;
  readonly attachType: number;
  readonly since: string;
  readonly flags?: number | undefined;
  readonly anchors?: AnchorOptions;
}

function attachToInterface(program: ProgramHandle, network: string | number, hook: InterfaceHook): BpfLink {
  const { kind, attachType, anchors } = hook;
  const target = `${hook.name} of interface ${network}`;
  const base = { program: program.descriptor, targetIfindex: indexOfInterface(network), attachType };
  const open = (): BpfLink => {
    const link =
      anchors === undefined
        ? linkCreate({ ...base, flags: hook.flags })
        : linkCreate({ ...base, family: "anchor", ...placementOf(anchors) });
    return new BpfLink({ kind, program: program.name, target, link });
  };
  return explainAttach(program, target, open, {
    hints: { ...hints, ...anchorHints, ...ownHints[kind] },
    since: hook.since,
  });
}

const hints = { ENODEV: "the interface is gone, or it belongs to another network namespace" };

const ownHints: Readonly<Record<InterfaceHook["kind"], Readonly<Record<string, string>>>> = {
  xdp: xdpHints,
  tcx: {},
  netkit: { EACCES: "programs are attached through the primary device of the pair" },
};
