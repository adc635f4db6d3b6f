// BPF_OBJ_GET_INFO_BY_FD for links: one shape per link type, told apart by `kind`.

import type { Layout } from "./attr.js";
import { readInfo } from "./bpf-info-map.js";
import type { FdLike } from "./fd.js";
import { linkInfoLayouts as layouts } from "./info-layout.js";
import { textOf } from "./memory.js";

/** What all links have. */
interface LinkInfoBase {
  /** BPF_LINK_TYPE_*. */
  readonly type: number;
  readonly id: number;
  /** 0 for struct_ops, and after the program is gone. */
  readonly progId: number;
}

/** What makes a link of its kind. Attach types are BPF_* numbers; cookies are 0 before the kernel tells them. */
export type LinkDetails =
  | { readonly kind: "raw_tracepoint"; readonly tracepoint: string; readonly cookie: bigint }
  | {
      readonly kind: "tracing";
      readonly attachType: number;
      /** Id of the program (freplace, fentry of a program) or BTF object that holds the target. */
      readonly targetObjectId: number;
      readonly targetBtfId: number;
      readonly cookie: bigint;
    }
  | { readonly kind: "cgroup"; readonly cgroupId: bigint; readonly attachType: number }
  | {
      readonly kind: "iter";
      /** `bpf_map_elem`, `task`, `cgroup` and so on. */
      readonly target: string;
      /** Iterators over one map. */
      readonly mapId: number | undefined;
      /** Iterators over cgroups: the first one, and BPF_CGROUP_ITER_*. */
      readonly cgroupId: bigint | undefined;
      readonly order: number | undefined;
      /** Iterators over tasks: the only one, 0 for all. */
      readonly tid: number | undefined;
      readonly pid: number | undefined;
    }
  | { readonly kind: "netns"; readonly netnsInode: number; readonly attachType: number }
  | { readonly kind: "xdp"; readonly ifindex: number }
  | { readonly kind: "tcx" | "netkit"; readonly ifindex: number; readonly attachType: number }
  | { readonly kind: "struct_ops"; readonly mapId: number }
  | { readonly kind: "sockmap"; readonly mapId: number; readonly attachType: number }
  | {
      readonly kind: "netfilter";
      readonly protocolFamily: number;
      readonly hook: number;
      readonly priority: number;
      readonly flags: number;
    }
  | {
      readonly kind: "kprobe_multi";
      /** Zeros where kernel addresses are hidden from this process. */
      readonly addresses: BigUint64Array;
      readonly cookies: BigUint64Array;
      readonly flags: number;
      readonly missed: bigint;
    }
  | {
      readonly kind: "tracing_multi";
      /** 0, and no functions, where the kernel does not tell (Linux 7.2). */
      readonly attachType: number;
      /** Id of the BTF object that has the functions. */
      readonly btfObjectId: number;
      /** In the order of their ids. */
      readonly btfIds: Uint32Array;
      /** Zeros where kernel addresses are hidden from this process. */
      readonly addresses: BigUint64Array;
      readonly cookies: BigUint64Array;
    }
  | {
      readonly kind: "uprobe_multi";
      readonly path: string;
      readonly offsets: BigUint64Array;
      readonly refCtrOffsets: BigUint64Array;
      readonly cookies: BigUint64Array;
      readonly flags: number;
      readonly pid: number;
    }
  | {
      readonly kind: "perf_event";
      readonly event:
        | {
            readonly kind: "uprobe" | "uretprobe";
            readonly path: string;
            readonly offset: number;
            readonly cookie: bigint;
            /** File offset of the counter that the probe raises; 0 for none, and before Linux 6.16. */
            readonly refCtrOffset: bigint;
          }
        | {
            readonly kind: "kprobe" | "kretprobe";
            readonly symbol: string;
            readonly offset: number;
            readonly address: bigint;
            readonly missed: bigint;
            readonly cookie: bigint;
          }
        | { readonly kind: "tracepoint"; readonly name: string; readonly cookie: bigint }
        | { readonly kind: "event"; readonly type: number; readonly config: bigint; readonly cookie: bigint }
        | { readonly kind: "unknown" };
    }
  /** A type that this version of bpfkit does not know. */
  | { readonly kind: "unknown" };

/** What the kernel tells of a link. */
export type LinkInfo = LinkInfoBase & LinkDetails;

/** Room for names and paths: PATH_MAX. */
const NAME_SIZE = 4096;

/** BPF_LINK_TYPE_* to the reader of its part of the union. */
const readers: Readonly<Record<number, (link: FdLike) => LinkDetails>> = {
  1: readRawTracepoint,
  2: (link) => {
    const info = read(link, layouts.tracing);
    return {
      kind: "tracing",
      attachType: info.u32("attach_type"),
      targetObjectId: info.u32("target_obj_id"),
      targetBtfId: info.u32("target_btf_id"),
      cookie: info.u64("cookie"),
    };
  },
  3: (link) => {
    const info = read(link, layouts.cgroup);
    return { kind: "cgroup", cgroupId: info.u64("cgroup_id"), attachType: info.u32("attach_type") };
  },
  4: readIter,
  5: (link) => {
    const info = read(link, layouts.netns);
    return { kind: "netns", netnsInode: info.u32("netns_ino"), attachType: info.u32("attach_type") };
  },
  6: (link) => ({ kind: "xdp", ifindex: read(link, layouts.interface).u32("ifindex") }),
  7: readPerfEvent,
  8: readKprobeMulti,
  9: (link) => ({ kind: "struct_ops", mapId: read(link, layouts.map).u32("map_id") }),
  10: (link) => {
    const info = read(link, layouts.netfilter);
    return {
      kind: "netfilter",
      protocolFamily: info.u32("pf"),
      hook: info.u32("hooknum"),
      priority: info.u32("priority"),
      flags: info.u32("flags"),
    };
  },
  11: (link) => readInterface(link, "tcx"),
  12: readUprobeMulti,
  13: (link) => readInterface(link, "netkit"),
  14: (link) => {
    const info = read(link, layouts.map);
    return { kind: "sockmap", mapId: info.u32("map_id"), attachType: info.u32("attach_type") };
  },
  15: readTracingMulti,
};

/**
 * Describes a link. Linux 5.8, parts of it later; libbpf: `bpf_link_get_info_by_fd`.
 *
 * @throws SystemCallError
 */
export function linkInfo(link: FdLike): LinkInfo {
  const info = read(link, layouts.plain);
  const type = info.u32("type");
  const details: LinkDetails = readers[type]?.(link) ?? { kind: "unknown" };
  return { type, id: info.u32("id"), progId: info.u32("prog_id"), ...details };
}

function read<F extends Layout["fields"]>(link: FdLike, layout: Layout<F>) {
  return readInfo(link, "link", layout, {});
}

function readInterface(link: FdLike, kind: "tcx" | "netkit"): LinkDetails {
  const info = read(link, layouts.interface);
  return { kind, ifindex: info.u32("ifindex"), attachType: info.u32("attach_type") };
}

function readRawTracepoint(link: FdLike): LinkDetails {
  const name = new Uint8Array(NAME_SIZE);
  const info = readInfo(link, "link", layouts.raw_tracepoint, { tp_name: name, tp_name_len: name.length });
  return { kind: "raw_tracepoint", tracepoint: textOf(name), cookie: info.u64("cookie") };
}

function readIter(link: FdLike): LinkDetails {
  const name = new Uint8Array(NAME_SIZE);
  const info = readInfo(link, "link", layouts.iter, { target_name: name, target_name_len: name.length });
  const target = textOf(name);
  const ofMap = target === "bpf_map_elem" || target === "bpf_sk_storage_map";
  const ofCgroup = target === "cgroup";
  const ofTask = target.startsWith("task");
  return {
    kind: "iter",
    target,
    mapId: ofMap ? info.u32("map_id") : undefined,
    cgroupId: ofCgroup ? info.u64("cgroup_id") : undefined,
    order: ofCgroup ? info.u32("order") : undefined,
    tid: ofTask ? info.u32("tid") : undefined,
    pid: ofTask ? info.u32("pid") : undefined,
  };
}

function readKprobeMulti(link: FdLike): LinkDetails {
  const count = read(link, layouts.kprobe_multi).u32("count");
  const addresses = new BigUint64Array(count);
  const cookies = new BigUint64Array(count);
  const info = readInfo(link, "link", layouts.kprobe_multi, { addrs: addresses, cookies, count });
  return { kind: "kprobe_multi", addresses, cookies, flags: info.u32("flags"), missed: info.u64("missed") };
}

function readTracingMulti(link: FdLike): LinkDetails {
  const count = read(link, layouts.tracing_multi).u32("count");
  const ids = new Uint32Array(count);
  const addresses = new BigUint64Array(count);
  const cookies = new BigUint64Array(count);
  const info = readInfo(link, "link", layouts.tracing_multi, { ids, addrs: addresses, cookies, count });
  const [attachType, btfObjectId] = [info.u32("attach_type"), info.u32("btf_obj_id")];
  return { kind: "tracing_multi", attachType, btfObjectId, btfIds: ids, addresses, cookies };
}

function readUprobeMulti(link: FdLike): LinkDetails {
  const count = read(link, layouts.uprobe_multi).u32("count");
  const path = new Uint8Array(NAME_SIZE);
  const offsets = new BigUint64Array(count);
  const refCtrOffsets = new BigUint64Array(count);
  const cookies = new BigUint64Array(count);
  const info = readInfo(link, "link", layouts.uprobe_multi, {
    path,
    path_size: path.length,
    offsets,
    ref_ctr_offsets: refCtrOffsets,
    cookies,
    count,
  });
  const [flags, pid] = [info.u32("flags"), info.u32("pid")];
  return { kind: "uprobe_multi", path: textOf(path), offsets, refCtrOffsets, cookies, flags, pid };
}

/** enum bpf_perf_event_type. */
const perfEventKinds = ["unknown", "uprobe", "uretprobe", "kprobe", "kretprobe", "tracepoint", "event"] as const;

function readPerfEvent(link: FdLike): LinkDetails {
  const name = new Uint8Array(NAME_SIZE);
  const kind = perfEventKinds[read(link, layouts.perf_event).u32("event_type")] ?? "unknown";
  switch (kind) {
    case "unknown":
      return { kind: "perf_event", event: { kind } };
    case "event": {
      const info = read(link, layouts.event);
      const [type, config, cookie] = [info.u32("perf_type"), info.u64("config"), info.u64("cookie")];
      return { kind: "perf_event", event: { kind, type, config, cookie } };
    }
    case "tracepoint": {
      const info = readInfo(link, "link", layouts.tracepoint, { tp_name: name, name_len: name.length });
      return { kind: "perf_event", event: { kind, name: textOf(name), cookie: info.u64("cookie") } };
    }
    case "uprobe":
    case "uretprobe": {
      const info = readInfo(link, "link", layouts.uprobe, { file_name: name, name_len: name.length });
      const [offset, cookie, refCtrOffset] = [info.u32("offset"), info.u64("cookie"), info.u64("ref_ctr_offset")];
      return { kind: "perf_event", event: { kind, path: textOf(name), offset, cookie, refCtrOffset } };
    }
    case "kprobe":
    case "kretprobe": {
      const info = readInfo(link, "link", layouts.kprobe, { func_name: name, name_len: name.length });
      return {
        kind: "perf_event",
        event: {
          kind,
          symbol: textOf(name),
          offset: info.u32("offset"),
          address: info.u64("addr"),
          missed: info.u64("missed"),
          cookie: info.u64("cookie"),
        },
      };
    }
  }
}
