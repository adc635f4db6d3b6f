// Classifiers by netlink: the clsact hook of an interface and filters of kind "bpf" on it, in direct-action mode
// (libbpf.md 1.14; UAPI linux/rtnetlink.h, linux/pkt_cls.h). For kernels before tcx links (Linux 6.6), for filters that
// have to live beside those of other tools, and for filters that outlive the process.

import { statSync } from "node:fs";
import { AttachType } from "../object/index.js";
import type { ProgramHandle, ProgramTarget } from "../program/index.js";
import { Netlink } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink, type LinkParts } from "./link.js";
import { choose } from "./network.js";
import { quietly } from "./quietly.js";
import { indexOfInterface } from "./targets.js";
import {
  attachFilter,
  checkNumber,
  createHook,
  isEmpty,
  isSame,
  listFilters,
  nameOfParent,
  parentOf,
  parents,
  removeFilter,
  removeFilters,
  removeHook,
  type TcDirection,
  type TcFilter,
  type TcOptions,
  type TcPlace,
  tcHints,
  unlessAbsent,
} from "./tc-filters.js";

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
  const makeHook = (): { readonly release: () => void } => useHook(socket, ifindex);
  const hook =
    options.parent === undefined
      ? explainAttach(program, target, makeHook, { hints: tcHints, since: "4.5" })
      : undefined;
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
    return removeFilters(socket, ifindex, parentOf({ direction }));
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

function checkName({ handle, priority }: TcFilterName): { handle: number; priority: number } {
  return {
    handle: checkNumber(handle, "handle", 1, 0xffff_ffff),
    priority: checkNumber(priority, "priority", 1, 0xffff),
  };
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
    if (Object.values(parents).every((parent) => isEmpty(socket, ifindex, parent))) removeHook(socket, ifindex);
  };
  return { release };
}

/** A namespace lives as long as a link's socket, so its number stands for it. */
function namespaceKey(): string {
  const { dev, ino } = statSync("/proc/thread-self/ns/net");
  return `${dev}:${ino}`;
}
