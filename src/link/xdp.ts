// XDP programs by netlink: attachments that belong to the interface and not to a process, and what an interface runs and
// can do (libbpf.md 1.14; UAPI linux/if_link.h, linux/netdev.h).

import { ArgumentError, SystemCallError } from "../errors.js";
import { olderThan } from "../kernel/index.js";
import { descriptorNumber, type ProgramHandle, type ProgramTarget } from "../program/index.js";
import {
  attributesOf,
  Errno,
  joinBytes,
  Netlink,
  netlinkAttribute,
  numberAttribute,
  progInfo,
  structBytes,
  textAttribute,
} from "../syscall/index.js";
import { explainAttach, whoIs } from "./attach-error.js";
import { BpfLink } from "./link.js";
import { quietly } from "./quietly.js";
import { indexOfInterface } from "./targets.js";

/** XDP_FLAGS_* (UAPI linux/if_link.h). */
const modeFlags = { generic: 1 << 1, driver: 1 << 2, hardware: 1 << 3 } as const;
const XDP_FLAGS_UPDATE_IF_NOEXIST = 1 << 0;
const XDP_FLAGS_REPLACE = 1 << 4;

/** Where XDP programs run: `generic` after the driver has made an skb, `driver` before, `hardware` on the card. */
export type XdpMode = keyof typeof modeFlags;

const RTM = { NEWLINK: 16, GETLINK: 18, SETLINK: 19 } as const;
/** struct ifinfomsg. */
const IFINFOMSG = 16;
const IFLA_XDP = 43;
/** IFLA_XDP_*. */
const XDP = { FD: 1, ATTACHED: 2, FLAGS: 3, PROG_ID: 4, EXPECTED_FD: 8 } as const;
const idAttributes = { driver: 5, generic: 6, hardware: 7 } as const;
/** XDP_ATTACHED_*: the number of the mode, or several. */
const attachedModes: readonly (XdpMode | "several" | undefined)[] = [
  undefined,
  "driver",
  "generic",
  "hardware",
  "several",
];

/** Options of {@link xdp.attach}. */
export interface XdpAttachOptions {
  /** By default `driver` where the driver can, else `generic`. */
  mode?: XdpMode | undefined;
  /** Fails with EBUSY when a program is attached, instead of replacing it. */
  ifNoExist?: boolean | undefined;
  /** Replaces only this program, else EEXIST. Linux 5.7. */
  replace?: ProgramTarget | undefined;
}

/** Options of {@link xdp.detach}. */
export interface XdpDetachOptions {
  /** Which of several attachments. */
  mode?: XdpMode | undefined;
  /** Detaches only this program, else EEXIST. Linux 5.7. */
  expected?: ProgramTarget | undefined;
}

/** What an interface can do for XDP: bits of `netdev_xdp_act` (UAPI linux/netdev.h). */
const featureBits = {
  basic: 1,
  redirect: 2,
  "redirect-target": 4,
  "zero-copy": 8,
  "hardware-offload": 16,
  fragments: 32,
  "redirect-target-fragments": 64,
} as const;

/** A name of {@link XdpState.features}. */
export type XdpFeature = keyof typeof featureBits;

/** What {@link xdp.query} tells. */
export interface XdpState {
  /** How the program runs; `"several"` when more than one mode has one, undefined when none has. */
  readonly mode: XdpMode | "several" | undefined;
  /** Kernel ids of the programs, by mode. */
  readonly programIds: Readonly<Partial<Record<XdpMode, number>>>;
  /** What driver and card can do; undefined where the kernel does not tell (Linux 6.3). */
  readonly features: readonly XdpFeature[] | undefined;
  /** Most fragments of a packet that zero-copy sockets send; undefined where the kernel does not tell (Linux 6.4). */
  readonly zeroCopyMaxSegments: number | undefined;
}

/**
 * The flag of a mode, 0 for none. @throws ArgumentError for no mode
 */
export function xdpModeFlag(mode: XdpMode | undefined): number {
  if (mode === undefined) return 0;
  if (Object.hasOwn(modeFlags, mode)) return modeFlags[mode];
  throw new ArgumentError(`no XDP mode ${String(mode)}: there are ${Object.keys(modeFlags).join(", ")}`);
}

/** What errno names mean for XDP. */
export const xdpHints = {
  EBUSY: "another XDP program is attached to the interface; `ip link` shows its id",
  EEXIST: "an XDP program of another mode, or another one than expected, is attached to the interface",
  EOPNOTSUPP: 'the driver has no XDP, or not this mode; mode "generic" works with every interface',
  ENODEV: "the interface is gone, or it belongs to another network namespace",
  // Links say so of an index that nobody has.
  EINVAL:
    "the interface is gone or belongs to another network namespace, or it does not take this program in this mode",
} as const;

/**
 * XDP by netlink. What is attached here stays until it is detached or the interface goes, also when this process ends.
 * Each call is about an interface of the thread's network namespace, by name or index; changes need CAP_NET_ADMIN.
 *
 * @throws NotFoundError when there is no such interface, SystemCallError, ArgumentError
 */
export const xdp = {
  /**
   * Attaches a program, by default in the place of the present one. Linux 4.8. libbpf: `bpf_xdp_attach`.
   *
   * @throws SystemCallError with code `ATTACH`
   */
  attach(program: ProgramTarget, network: string | number, options: XdpAttachOptions = {}): void {
    const { mode, ifNoExist = false, replace } = options;
    if (ifNoExist && replace !== undefined) {
      throw new ArgumentError("ifNoExist and replace exclude each other: one wants no program there, the other one");
    }
    using socket = new Netlink("route");
    const flags = xdpModeFlag(mode) | (ifNoExist ? XDP_FLAGS_UPDATE_IF_NOEXIST : 0);
    const fd = descriptorNumber(program);
    change(socket, { program, network, ifindex: indexOfInterface(network), fd, flags, expected: replace });
  },

  /**
   * Detaches what is attached by netlink; nothing happens when nothing is. Attachments by links end with their links.
   * libbpf: `bpf_xdp_detach`.
   *
   * @throws SystemCallError with code `ATTACH`: EBUSY when a link holds the program
   */
  detach(network: string | number, { mode, expected }: XdpDetachOptions = {}): void {
    using socket = new Netlink("route");
    const flags = xdpModeFlag(mode);
    change(socket, { program: undefined, network, ifindex: indexOfInterface(network), fd: -1, flags, expected });
  },

  /** What is attached, by whatever means, and what the interface can do. libbpf: `bpf_xdp_query`. */
  query(network: string | number): XdpState {
    const ifindex = indexOfInterface(network);
    using socket = new Netlink("route");
    return { ...queryPrograms(socket, ifindex), ...queryFeatures(ifindex) };
  },

  /**
   * Kernel id of the attached program, of one mode if given; undefined when there is none, or without `mode` several.
   * libbpf: `bpf_xdp_query_id`.
   */
  queryId(network: string | number, mode?: XdpMode): number | undefined {
    xdpModeFlag(mode);
    using socket = new Netlink("route");
    const { programIds } = queryPrograms(socket, indexOfInterface(network));
    if (mode !== undefined) return programIds[mode];
    const ids = Object.values(programIds);
    return ids.length === 1 ? ids[0] : undefined;
  },
} as const;

/**
 * @internal The attachment of attachXdp() on kernels without XDP links, before Linux 5.9: it fails when another program is
 * there, and closing it detaches this program only.
 */
export function xdpLinkByNetlink(program: ProgramHandle, network: string | number, mode: XdpMode | undefined): BpfLink {
  const ifindex = indexOfInterface(network);
  const flags = xdpModeFlag(mode);
  const target = `XDP of interface ${network}`;
  const socket = new Netlink("route");
  try {
    const fd = program.descriptor.number;
    const add = { program, network, ifindex, fd, flags: flags | XDP_FLAGS_UPDATE_IF_NOEXIST, expected: undefined };
    change(socket, add);
    const held = program.descriptor.duplicate();
    const { id } = progInfo(held);
    const detach = (): void =>
      quietly(target, () => {
        const { programIds } = queryPrograms(socket, ifindex);
        if (!Object.values(programIds).includes(id)) return;
        const expected = olderThan("5.7") ? undefined : held.number;
        change(socket, { program: undefined, network, ifindex, fd: -1, flags, expected });
      });
    const others = [socket.descriptor, held];
    return new BpfLink({ kind: "xdp", program: program.name, target, link: undefined, others, detach });
  } catch (error) {
    socket.close();
    throw error;
  }
}

interface Change {
  readonly program: ProgramTarget | undefined;
  readonly network: string | number;
  readonly ifindex: number;
  /** -1 detaches. */
  readonly fd: number;
  readonly flags: number;
  readonly expected: ProgramTarget | undefined;
}

function change(socket: Netlink, { program, network, ifindex, fd, flags, expected }: Change): void {
  const parts = [numberAttribute(XDP.FD, fd)];
  let all = flags;
  if (expected !== undefined) {
    all |= XDP_FLAGS_REPLACE;
    parts.push(numberAttribute(XDP.EXPECTED_FD, descriptorNumber(expected)));
  }
  if (all !== 0) parts.push(numberAttribute(XDP.FLAGS, all));
  const body = joinBytes(structBytes(IFINFOMSG, [[4, 4, ifindex]]), netlinkAttribute(IFLA_XDP, parts));
  const request = { type: RTM.SETLINK, body, operation: "RTM_SETLINK" };
  explainAttach(whoIs(program), `XDP of interface ${network}`, () => socket.request(request), {
    hints: xdpHints,
    since: expected === undefined ? "4.8" : "5.7",
  });
}

function queryPrograms(socket: Netlink, ifindex: number): Pick<XdpState, "mode" | "programIds"> {
  const body = structBytes(IFINFOMSG, [[4, 4, ifindex]]);
  const [answer] = socket.request({ type: RTM.GETLINK, body, operation: "RTM_GETLINK" });
  const state = answer === undefined ? undefined : attributesOf(answer.body.subarray(IFINFOMSG)).nested(IFLA_XDP);
  const mode = attachedModes[state?.number(XDP.ATTACHED) ?? 0];
  const programIds: Partial<Record<XdpMode, number>> = {};
  for (const name of Object.keys(idAttributes) as XdpMode[]) {
    const id = state?.number(idAttributes[name]);
    if (id !== undefined && id !== 0) programIds[name] = id;
  }
  // Before Linux 4.19 there was one id only.
  const id = state?.number(XDP.PROG_ID);
  if (mode !== undefined && mode !== "several" && id !== undefined && id !== 0) programIds[mode] ??= id;
  return { mode, programIds };
}

/** UAPI linux/genetlink.h: the family of families; struct genlmsghdr is a command, a version and padding. */
const GENL_ID_CTRL = 16;
const CTRL = { GETFAMILY: 3, FAMILY_ID: 1, FAMILY_NAME: 2 } as const;
const GENL_HEADER = 4;
/** UAPI linux/netdev.h. */
const NETDEV = { DEV_GET: 1, IFINDEX: 1, XDP_FEATURES: 3, XDP_ZC_MAX_SEGS: 4 } as const;

function queryFeatures(ifindex: number): Pick<XdpState, "features" | "zeroCopyMaxSegments"> {
  using socket = new Netlink("generic");
  const ask = (type: number, command: number, attribute: Uint8Array, operation: string) => {
    const header = structBytes(GENL_HEADER, [
      [0, 1, command],
      [1, 1, 1],
    ]);
    const [answer] = socket.request({ type, body: joinBytes(header, attribute), operation });
    return answer === undefined ? undefined : attributesOf(answer.body.subarray(GENL_HEADER));
  };
  try {
    const name = textAttribute(CTRL.FAMILY_NAME, "netdev");
    const family = ask(GENL_ID_CTRL, CTRL.GETFAMILY, name, "CTRL_CMD_GETFAMILY")?.number(CTRL.FAMILY_ID);
    if (family === undefined) return { features: undefined, zeroCopyMaxSegments: undefined };
    const device = ask(family, NETDEV.DEV_GET, numberAttribute(NETDEV.IFINDEX, ifindex), "NETDEV_CMD_DEV_GET");
    const bits = device?.integer(NETDEV.XDP_FEATURES);
    const names = Object.keys(featureBits) as XdpFeature[];
    return {
      features: bits === undefined ? undefined : names.filter((name) => (bits & BigInt(featureBits[name])) !== 0n),
      zeroCopyMaxSegments: device?.number(NETDEV.XDP_ZC_MAX_SEGS),
    };
  } catch (error) {
    // No such family: kernels before Linux 6.3.
    if (!(error instanceof SystemCallError) || error.errno !== Errno.ENOENT) throw error;
    return { features: undefined, zeroCopyMaxSegments: undefined };
  }
}
