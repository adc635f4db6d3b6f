// What the kernel tells of a link, in words: for links that this process did not make.

import { attachTypeName } from "../object/index.js";
import type { LinkDetails, LinkInfo } from "../syscall/index.js";

/** What a program is attached to; where the kernel has links of the same name, they are meant. */
export type LinkKind =
  | "tracepoint"
  | "raw_tracepoint"
  | "tracing"
  | "tracing_multi"
  | "perf_event"
  | "kprobe"
  | "kprobe_multi"
  | "uprobe"
  | "uprobe_multi"
  | "usdt"
  | "iter"
  | "cgroup"
  | "netns"
  | "xdp"
  | "tc"
  | "tcx"
  | "netkit"
  | "sockmap"
  | "socket"
  | "netfilter"
  | "lirc"
  | "struct_ops"
  | "unknown";

/** Kind and target of a link, as {@link BpfLink} shows them. */
export interface LinkDescription {
  readonly kind: LinkKind;
  /** `tcx_ingress of interface 3`. */
  readonly target: string;
}

type Details<K extends LinkDetails["kind"]> = LinkDetails & { readonly kind: K };

const attachType = (number: number): string => attachTypeName(number) ?? `attach type ${number}`;

/** One row a kind of the kernel's. */
const targets: { readonly [K in LinkDetails["kind"]]: (info: Details<K>) => string } = {
  raw_tracepoint: ({ tracepoint }) => `raw tracepoint ${tracepoint}`,
  // Links of programs that replace functions have no attach type.
  tracing: (info) =>
    `${info.attachType === 0 ? "freplace" : attachType(info.attachType)} of BTF id ${info.targetBtfId} in object ${info.targetObjectId}`,
  cgroup: (info) => `${attachType(info.attachType)} of control group ${info.cgroupId}`,
  iter: ({ target }) => `iterator ${target}`,
  netns: (info) => `${attachType(info.attachType)} of network namespace ${info.netnsInode}`,
  xdp: ({ ifindex }) => `XDP of interface ${ifindex}`,
  tcx: (info) => `${attachType(info.attachType)} of interface ${info.ifindex}`,
  netkit: (info) => `${attachType(info.attachType)} of interface ${info.ifindex}`,
  struct_ops: ({ mapId }) => `struct_ops of map ${mapId}`,
  sockmap: (info) => `${attachType(info.attachType)} of map ${info.mapId}`,
  netfilter: (info) => `netfilter hook ${info.hook}, protocol ${info.protocolFamily}, priority ${info.priority}`,
  kprobe_multi: ({ addresses }) => `${addresses.length} kernel functions`,
  tracing_multi: (info) => `${attachType(info.attachType)} of ${info.btfIds.length} kernel functions`,
  uprobe_multi: ({ path, offsets }) => `${offsets.length} places of ${path}`,
  perf_event: ({ event }) => describeEvent(event),
  unknown: () => "a hook that this version does not know",
};

function describeEvent(event: Details<"perf_event">["event"]): string {
  switch (event.kind) {
    case "uprobe":
    case "uretprobe":
      return `${event.kind} ${event.path}+0x${event.offset.toString(16)}`;
    case "kprobe":
    case "kretprobe":
      return `${event.kind} ${event.symbol || `0x${event.address.toString(16)}`}${event.offset === 0 ? "" : `+0x${event.offset.toString(16)}`}`;
    case "tracepoint":
      return `tracepoint ${event.name}`;
    case "event":
      return `perf event of type ${event.type}, config 0x${event.config.toString(16)}`;
    case "unknown":
      return "a perf event";
  }
}

/** The kinds of perf events by what users attached. */
const eventKinds = {
  uprobe: "uprobe",
  uretprobe: "uprobe",
  kprobe: "kprobe",
  kretprobe: "kprobe",
  tracepoint: "tracepoint",
  event: "perf_event",
  unknown: "perf_event",
} as const;

/** Describes a link by its info. */
export function describeLink(info: LinkInfo): LinkDescription {
  // The row of a kind takes exactly the info of that kind.
  const target = (targets[info.kind] as (info: LinkDetails) => string)(info);
  return { kind: info.kind === "perf_event" ? eventKinds[info.event.kind] : info.kind, target };
}
