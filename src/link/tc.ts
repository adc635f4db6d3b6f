// Classifiers by netlink: the clsact hook of an interface and filters of kind "bpf" on it, in direct-action mode
// (libbpf.md 1.14; UAPI linux/rtnetlink.h, linux/pkt_cls.h). For kernels before tcx links (Linux 6.6), for filters that
// have to live beside those of other tools, and for filters that outlive the process.

import { statSync } from "node:fs";
import { ArgumentError, SystemCallError } from "../errors.js";
import { AttachType } from "../object/index.js";
import { descriptorNumber, type ProgramHandle, type ProgramTarget } from "../program/index.js";
import {
  attributesOf,
  Errno,
  joinBytes,
  Netlink,
  type NetlinkMessage,
  netlinkAttribute,
  numberAttribute,
  progInfo,
  structBytes,
  textAttribute,
} from "../syscall/index.js";
import { explainAttach, whoIs } from "./attach-error.js";
import { BpfLink, type LinkParts } from "./link.js";
import { choose } from "./network.js";
import { quietly } from "./quietly.js";
import { indexOfInterface } from "./targets.js";

/** UAPI linux/rtnetlink.h, linux/netlink.h. */
const RTM = { NEWQDISC: 36, DELQDISC: 37, NEWTFILTER: 44, DELTFILTER: 45, GETTFILTER: 46 } as const;
const NLM_F_ECHO = 8;
const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
/** UAPI linux/pkt_cls.h: TCA_BPF_*. */
const BPF = { FD: 6, NAME: 7, FLAGS: 8, ID: 11 } as const;
const TCA_BPF_FLAG_ACT_DIRECT = 1;
/** UAPI linux/pkt_sched.h: the parent of clsact, its handle, and the parents of filters on it. */
const TC_H_CLSACT = 0xffff_fff1;
const CLSACT_HANDLE = 0xffff_0000;
const parents = { ingress: 0xffff_fff2, egress: 0xffff_fff3 } as const;
/** struct tcmsg. */
const TCMSG = 20;
/** ETH_P_ALL in network byte order. */
const ALL_PROTOCOLS = 0x0300;

/** Which packets: those that enter or leave the interface. */
export type TcDirection = keyof typeof parents;

/** Where filters are: a direction of the clsact hook, or another class by its number (`major << 16 | minor`). */
export interface TcPlace {
  direction?: TcDirection;
  /** For qdiscs that were made by other means; instead of `direction`. */
  parent?: number;
}

/** Options of {@link tc.attach}. */
export interface TcOptions extends TcPlace {
  /** Number among the filters of one priority, chosen by the kernel unless given. */
  handle?: number;
  /** 1 to 65535; lower ones run first. Chosen by the kernel unless given: before those that it chose earlier. */
  priority?: number;
  /** Puts the program in the place of the filter that has this handle and priority, or makes it. */
  replace?: boolean;
}

/** A BPF filter as the kernel has it; its place, handle and priority name it. */
export interface TcFilter {
  readonly parent: number;
  readonly handle: number;
  readonly priority: number;
  /** Kernel id of its program. */
  readonly programId: number;
  /** What the tool that made it wrote: libbpf and bpfkit the program's name and id. */
  readonly name: string;
  /** The program's result is the verdict; false for filters that only choose a class. */
  readonly directAction: boolean;
}

/** Names a filter: what {@link tc.attach} returned, or its numbers. */
export interface TcFilterName extends TcPlace {
  handle: number;
  priority: number;
}

/** A filter that goes with its link. */
export class TcLink extends BpfLink {
  /** Where the filter is, for other tools. */
  readonly filter: TcFilter;

  /** @internal */
  constructor(parts: LinkParts, filter: TcFilter) {
    super(parts);
    this.filter = filter;
  }
}

/**
 * Runs a classifier for the packets that enter or leave an interface, by a filter of traffic control. Linux 4.5.
 *
 * The clsact hook is made when the interface has none. Closing the link removes the filter, unless another program has
 * taken its place; the last link of this process to an interface removes the hook, too, if one of them made it and no
 * filter of anybody's is left on it. The kernel does neither when the process dies. The link keeps the network namespace
 * that it was made in.
 *
 * libbpf: `bpf_tc_hook_create` and `bpf_tc_attach`.
 *
 * @param network name or index of the interface, in this thread's network namespace
 * @throws NotFoundError when there is no such interface, SystemCallError with code `ATTACH`, ArgumentError
 */
export function attachTc(program: ProgramHandle, network: string | number, options: TcOptions = {}): TcLink {
  const where = options.parent === undefined ? { ...options, direction: directionOf(program, options) } : options;
  const parent = parentOf(where);
  const ifindex = indexOfInterface(network);
  const target = `tc ${nameOfParent(parent)} of interface ${network}`;
  const socket = new Netlink("route");
  const hook = options.parent === undefined ? useHook(socket, ifindex) : undefined;
  try {
    const filter = attachFilter(socket, program, ifindex, where, network);
    const detach = (): void =>
      quietly(target, () => {
        const now = listFilters(socket, ifindex, parent).find((other) => isSame(other, filter));
        if (now?.programId === filter.programId) removeFilter(socket, ifindex, filter);
        hook?.release();
      });
    const parts = { kind: "tc", program: program.name, target, link: undefined, detach } as const;
    return new TcLink({ ...parts, others: [socket.descriptor] }, filter);
  } catch (error) {
    quietly(target, () => hook?.release());
    socket.close();
    throw error;
  }
}

/** What the options, or a section such as `SEC("tc/ingress")`, say. */
function directionOf(program: ProgramHandle, { direction }: TcOptions): TcDirection {
  const types = { ingress: AttachType.tcx_ingress, egress: AttachType.tcx_egress };
  return choose(program, types, direction, "direction") === AttachType.tcx_egress ? "egress" : "ingress";
}

/**
 * Traffic control by hand: hooks and filters that stay until somebody removes them, also when this process ends. Each call
 * is about an interface of the thread's network namespace, by name or index, and needs CAP_NET_ADMIN.
 *
 * @throws NotFoundError when there is no such interface, SystemCallError, ArgumentError
 */
export const tc = {
  /**
   * Makes the clsact hook. Linux 4.5; libbpf: `bpf_tc_hook_create`.
   *
   * @returns false when the interface had one
   */
  createHook(network: string | number): boolean {
    using socket = new Netlink("route");
    return createHook(socket, indexOfInterface(network));
  },

  /**
   * Removes the clsact hook with all filters on it, whoever made them; with `direction` the filters of one direction only.
   * libbpf: `bpf_tc_hook_destroy`.
   *
   * @returns false when the interface had none
   */
  destroyHook(network: string | number, { direction }: { direction?: TcDirection } = {}): boolean {
    using socket = new Netlink("route");
    const ifindex = indexOfInterface(network);
    if (direction === undefined) return removeHook(socket, ifindex);
    const body = joinBytes(header(ifindex, { parent: parentOf({ direction }) }));
    return unlessAbsent(() => socket.request({ type: RTM.DELTFILTER, body, operation: "RTM_DELTFILTER" }));
  },

  /**
   * Adds a filter that runs the program. The hook has to be there. Linux 4.5; libbpf: `bpf_tc_attach`.
   *
   * @throws SystemCallError with code `ATTACH`
   */
  attach(program: ProgramTarget, network: string | number, options: TcOptions): TcFilter {
    using socket = new Netlink("route");
    return attachFilter(socket, program, indexOfInterface(network), options, network);
  },

  /**
   * Removes a filter. libbpf: `bpf_tc_detach`.
   *
   * @returns false when there is none of this handle and priority
   */
  detach(network: string | number, filter: TcFilterName): boolean {
    using socket = new Netlink("route");
    const ifindex = indexOfInterface(network);
    const named = { ...checkName(filter), parent: parentOf(filter) };
    if (!listFilters(socket, ifindex, named.parent).some((other) => isSame(other, named))) return false;
    return unlessAbsent(() => removeFilter(socket, ifindex, named));
  },

  /** The filter with a handle and priority, undefined when there is none. libbpf: `bpf_tc_query`. */
  query(network: string | number, filter: TcFilterName): TcFilter | undefined {
    const named = { ...checkName(filter), parent: parentOf(filter) };
    return tc.list(network, filter).find((other) => isSame(other, named));
  },

  /** The BPF filters in a place, in the order in which they run. libbpf has no such function. */
  list(network: string | number, place: TcPlace): TcFilter[] {
    using socket = new Netlink("route");
    return listFilters(socket, indexOfInterface(network), parentOf(place));
  },
} as const;

interface FilterNumbers {
  readonly parent: number;
  readonly handle: number;
  readonly priority: number;
}

function isSame(one: FilterNumbers, other: FilterNumbers): boolean {
  return one.handle === other.handle && one.priority === other.priority && one.parent === other.parent;
}

function parentOf({ direction, parent }: TcPlace): number {
  if (parent !== undefined && direction === undefined) return checkNumber(parent, "parent", 1, 0xffff_ffff);
  if (parent === undefined && direction !== undefined && Object.hasOwn(parents, direction)) return parents[direction];
  throw new ArgumentError('a place is either direction ("ingress" or "egress") or parent (the number of a class)');
}

function nameOfParent(parent: number): string {
  if (parent === parents.ingress) return "ingress";
  if (parent === parents.egress) return "egress";
  return `class ${(parent >>> 16).toString(16)}:${(parent & 0xffff).toString(16)}`;
}

function checkNumber(value: number, what: string, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new ArgumentError(`${what} must be an integer from ${min} to ${max}, not ${String(value)}`);
}

function checkName({ handle, priority }: TcFilterName): { handle: number; priority: number } {
  return {
    handle: checkNumber(handle, "handle", 1, 0xffff_ffff),
    priority: checkNumber(priority, "priority", 1, 0xffff),
  };
}

function header(ifindex: number, numbers: { handle?: number; parent: number; priority?: number; protocol?: number }) {
  const { handle = 0, parent, priority = 0, protocol = 0 } = numbers;
  return structBytes(TCMSG, [
    [4, 4, ifindex],
    [8, 4, handle],
    [12, 4, parent],
    [16, 4, priority * 0x1_0000 + protocol],
  ]);
}

function attachFilter(
  socket: Netlink,
  program: ProgramTarget,
  ifindex: number,
  options: TcOptions,
  network: string | number,
): TcFilter {
  const parent = parentOf(options);
  const handle = checkNumber(options.handle ?? 0, "handle", 0, 0xffff_ffff);
  const priority = checkNumber(options.priority ?? 0, "priority", 0, 0xffff);
  const replace = options.replace === true;
  if (replace && (handle === 0 || priority === 0)) {
    throw new ArgumentError("replace needs the handle and priority of the filter to be replaced");
  }
  const fd = descriptorNumber(program);
  const target = `tc ${nameOfParent(parent)} of interface ${network}`;
  const add = (): TcFilter => {
    const { id, name } = progInfo(fd);
    const body = joinBytes(
      header(ifindex, { handle, parent, priority, protocol: ALL_PROTOCOLS }),
      textAttribute(TCA_KIND, "bpf"),
      netlinkAttribute(TCA_OPTIONS, [
        numberAttribute(BPF.FD, fd),
        textAttribute(BPF.NAME, `${name || "prog"}:[${id}]`),
        numberAttribute(BPF.FLAGS, TCA_BPF_FLAG_ACT_DIRECT),
      ]),
    );
    const flags = NLM_F_ECHO | NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL);
    const answer = socket.request({ type: RTM.NEWTFILTER, flags, body, operation: "RTM_NEWTFILTER" });
    const filter = filtersOf(answer).find((candidate) => candidate.programId === id);
    if (filter !== undefined) return filter;
    // A kernel that does not echo: the filter is there nevertheless.
    const found = listFilters(socket, ifindex, parent).filter((candidate) => candidate.programId === id);
    if (found[0] !== undefined) return found[0];
    throw new SystemCallError("the kernel does not tell of the new filter", {
      operation: "RTM_NEWTFILTER",
      errno: Errno.EBADMSG,
      errnoName: "EBADMSG",
    });
  };
  return explainAttach(whoIs(program), target, add, { hints, since: "4.5" });
}

const hints = {
  EEXIST: "a filter has this handle and priority; replace: true puts the program in its place",
  EINVAL: "is the clsact hook there (tc.createHook), and the program of type sched_cls?",
  ENODEV: "the interface is gone, or it belongs to another network namespace",
};

function removeFilter(socket: Netlink, ifindex: number, filter: FilterNumbers): void {
  const body = joinBytes(header(ifindex, { ...filter, protocol: ALL_PROTOCOLS }), textAttribute(TCA_KIND, "bpf"));
  socket.request({ type: RTM.DELTFILTER, body, operation: "RTM_DELTFILTER" });
}

function listMessages(socket: Netlink, ifindex: number, parent: number): NetlinkMessage[] {
  const body = header(ifindex, { parent });
  return socket.request({ type: RTM.GETTFILTER, body, dump: true, operation: "RTM_GETTFILTER" });
}

function listFilters(socket: Netlink, ifindex: number, parent: number): TcFilter[] {
  return filtersOf(listMessages(socket, ifindex, parent));
}

/** Before the filters of a priority comes one message for all of them, which has no program. */
function filtersOf(messages: readonly NetlinkMessage[]): TcFilter[] {
  const filters: TcFilter[] = [];
  for (const { type, body } of messages) {
    if (type !== RTM.NEWTFILTER || body.length < TCMSG) continue;
    const attributes = attributesOf(body.subarray(TCMSG));
    const options = attributes.nested(TCA_OPTIONS);
    const programId = options?.number(BPF.ID);
    if (attributes.text(TCA_KIND) !== "bpf" || options === undefined || programId === undefined) continue;
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    filters.push({
      parent: view.getUint32(12, true),
      handle: view.getUint32(8, true),
      priority: view.getUint32(16, true) >>> 16,
      programId,
      name: options.text(BPF.NAME) ?? "",
      directAction: ((options.number(BPF.FLAGS) ?? 0) & TCA_BPF_FLAG_ACT_DIRECT) !== 0,
    });
  }
  return filters;
}

function createHook(socket: Netlink, ifindex: number): boolean {
  const body = joinBytes(
    header(ifindex, { handle: CLSACT_HANDLE, parent: TC_H_CLSACT }),
    textAttribute(TCA_KIND, "clsact"),
  );
  try {
    socket.request({ type: RTM.NEWQDISC, flags: NLM_F_CREATE | NLM_F_EXCL, body, operation: "RTM_NEWQDISC" });
    return true;
  } catch (error) {
    if (error instanceof SystemCallError && error.errno === Errno.EEXIST) return false;
    throw error;
  }
}

function removeHook(socket: Netlink, ifindex: number): boolean {
  const body = joinBytes(
    header(ifindex, { handle: CLSACT_HANDLE, parent: TC_H_CLSACT }),
    textAttribute(TCA_KIND, "clsact"),
  );
  return unlessAbsent(() => socket.request({ type: RTM.DELQDISC, body, operation: "RTM_DELQDISC" }));
}

/** How the kernel says that a qdisc or filter is not there; EINVAL where the whole hook is missing. */
function unlessAbsent(remove: () => void): boolean {
  try {
    remove();
    return true;
  } catch (error) {
    const absent: readonly number[] = [Errno.ENOENT, Errno.EINVAL];
    if (error instanceof SystemCallError && absent.includes(error.errno)) return false;
    throw error;
  }
}

interface UsedHook {
  links: number;
  created: boolean;
}

/** Hooks that links of this process are on, by network namespace and interface. */
const usedHooks = new Map<string, UsedHook>();

/** Makes the hook unless it is there; `release` removes it when the last link goes and nothing is on it. */
function useHook(socket: Netlink, ifindex: number): { readonly release: () => void } {
  const key = `${namespaceKey()} ${ifindex}`;
  let created: boolean;
  try {
    created = createHook(socket, ifindex);
  } catch (error) {
    socket.close();
    throw error;
  }
  const hook = usedHooks.get(key) ?? { links: 0, created: false };
  usedHooks.set(key, hook);
  hook.links++;
  hook.created ||= created;
  const release = (): void => {
    if (--hook.links > 0) return;
    usedHooks.delete(key);
    if (!hook.created) return;
    const isEmpty = Object.values(parents).every((parent) => listMessages(socket, ifindex, parent).length === 0);
    if (isEmpty) removeHook(socket, ifindex);
  };
  return { release };
}

/** A namespace lives as long as a link's socket, so its number stands for it. */
function namespaceKey(): string {
  const { dev, ino } = statSync("/proc/thread-self/ns/net");
  return `${dev}:${ino}`;
}
