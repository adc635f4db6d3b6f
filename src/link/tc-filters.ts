// Filters of kind "bpf" in traffic control, and the clsact hook that they hang on, as netlink has them (libbpf.md 1.14;
// UAPI linux/rtnetlink.h, linux/pkt_cls.h).

import { ArgumentError, SystemCallError } from "../errors.js";
import { descriptorNumber, type ProgramTarget } from "../program/index.js";
import {
  attributesOf,
  Errno,
  joinBytes,
  type Netlink,
  type NetlinkMessage,
  netlinkAttribute,
  numberAttribute,
  progInfo,
  structBytes,
  textAttribute,
} from "../syscall/index.js";
import { explainAttach, whoIs } from "./attach-error.js";

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
/** UAPI linux/pkt_sched.h: the parent of clsact, and its handle. */
const TC_H_CLSACT = 0xffff_fff1;
const CLSACT_HANDLE = 0xffff_0000;
/** Directions of the clsact hook as the classes that filters are in. */
export const parents = { ingress: 0xffff_fff2, egress: 0xffff_fff3 } as const;
/** struct tcmsg. */
const TCMSG = 20;
/** ETH_P_ALL in network byte order. */
const ALL_PROTOCOLS = 0x0300;

/** Which packets: those that enter or leave the interface. */
export type TcDirection = keyof typeof parents;

/** Where filters are: a direction of the clsact hook, or another class by its number (`major << 16 | minor`). */
export interface TcPlace {
  direction?: TcDirection | undefined;
  /** For qdiscs that were made by other means; instead of `direction`. */
  parent?: number | undefined;
}

/** Options of {@link tc.attach}. */
export interface TcOptions extends TcPlace {
  /** Number among the filters of one priority, chosen by the kernel unless given. */
  handle?: number | undefined;
  /** 1 to 65535; lower ones run first. Chosen by the kernel unless given: before those that it chose earlier. */
  priority?: number | undefined;
  /** Puts the program in the place of the filter that has this handle and priority, or makes it. */
  replace?: boolean | undefined;
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

/** What tells the filters of an interface apart. */
export interface FilterNumbers {
  readonly parent: number;
  readonly handle: number;
  readonly priority: number;
}

/** True for two names of one filter. */
export function isSame(one: FilterNumbers, other: FilterNumbers): boolean {
  return one.handle === other.handle && one.priority === other.priority && one.parent === other.parent;
}

/** The class of a place. @throws ArgumentError */
export function parentOf({ direction, parent }: TcPlace): number {
  if (parent !== undefined && direction === undefined) return checkNumber(parent, "parent", 1, 0xffff_ffff);
  if (parent === undefined && direction !== undefined && Object.hasOwn(parents, direction)) return parents[direction];
  throw new ArgumentError('a place is either direction ("ingress" or "egress") or parent (the number of a class)');
}

/** A class for messages. */
export function nameOfParent(parent: number): string {
  if (parent === parents.ingress) return "ingress";
  if (parent === parents.egress) return "egress";
  return `class ${(parent >>> 16).toString(16)}:${(parent & 0xffff).toString(16)}`;
}

/** @throws ArgumentError */
export function checkNumber(value: number, what: string, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new ArgumentError(`${what} must be an integer from ${min} to ${max}, not ${String(value)}`);
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

/** Adds a filter. @throws SystemCallError with code `ATTACH`, ArgumentError */
export function attachFilter(
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
  return explainAttach(whoIs(program), target, add, { hints: tcHints, since: "4.5" });
}

export const tcHints = {
  EEXIST: "a filter has this handle and priority; replace: true puts the program in its place",
  EINVAL: "is the clsact hook there (tc.createHook), and the program of type sched_cls?",
  ENODEV: "the interface is gone, or it belongs to another network namespace",
};

/** Removes one filter. @throws SystemCallError ENOENT or EINVAL when there is none */
export function removeFilter(socket: Netlink, ifindex: number, filter: FilterNumbers): void {
  const body = joinBytes(header(ifindex, { ...filter, protocol: ALL_PROTOCOLS }), textAttribute(TCA_KIND, "bpf"));
  socket.request({ type: RTM.DELTFILTER, body, operation: "RTM_DELTFILTER" });
}

/** Removes all filters of a class. @returns false when there is no such class */
export function removeFilters(socket: Netlink, ifindex: number, parent: number): boolean {
  const body = joinBytes(header(ifindex, { parent }));
  return unlessAbsent(() => socket.request({ type: RTM.DELTFILTER, body, operation: "RTM_DELTFILTER" }));
}

/** True when a class has no filters, of any kind. */
export function isEmpty(socket: Netlink, ifindex: number, parent: number): boolean {
  return listMessages(socket, ifindex, parent).length === 0;
}

function listMessages(socket: Netlink, ifindex: number, parent: number): NetlinkMessage[] {
  const body = header(ifindex, { parent });
  return socket.request({ type: RTM.GETTFILTER, body, dump: true, operation: "RTM_GETTFILTER" });
}

/** The BPF filters of a class, in the order in which they run. */
export function listFilters(socket: Netlink, ifindex: number, parent: number): TcFilter[] {
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

/** Makes the clsact hook. @returns false when the interface had one */
export function createHook(socket: Netlink, ifindex: number): boolean {
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

/** Removes the clsact hook with all that is on it. @returns false when the interface had none */
export function removeHook(socket: Netlink, ifindex: number): boolean {
  const body = joinBytes(
    header(ifindex, { handle: CLSACT_HANDLE, parent: TC_H_CLSACT }),
    textAttribute(TCA_KIND, "clsact"),
  );
  return unlessAbsent(() => socket.request({ type: RTM.DELQDISC, body, operation: "RTM_DELQDISC" }));
}

/** How the kernel says that a qdisc or filter is not there; EINVAL where the whole hook is missing. */
export function unlessAbsent(remove: () => void): boolean {
  try {
    remove();
    return true;
  } catch (error) {
    const absent: readonly number[] = [Errno.ENOENT, Errno.EINVAL];
    if (error instanceof SystemCallError && absent.includes(error.errno)) return false;
    throw error;
  }
}
