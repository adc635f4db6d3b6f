// bpf() commands on links.

import { ArgumentError } from "../errors.js";
import type { FieldValues, Layout } from "./attr.js";
import { iterCreateLayout, linkCreateLayouts, linkDetachLayout, linkUpdateLayout } from "./attr-layout.js";
import { type AttachPoint, BPF_F_ID, type RelativeOptions } from "./bpf-attach.js";
import { bpf, bpfFd } from "./bpf-call.js";
import type { FdLike, FileDescriptor } from "./fd.js";
import { addressOf, cString, type Memory } from "./memory.js";

/** What all links need. */
interface LinkBase extends AttachPoint {
  /** The program, or the struct_ops map. */
  program: FdLike;
  /** BPF_F_*; what they mean depends on the attach type. */
  flags?: number | undefined;
}

/** No options besides the common ones. */
interface PlainOptions {
  family?: undefined;
}

/** Iterator over something in particular. */
interface IterOptions {
  family: "iter";
  /** union bpf_iter_link_info. */
  info: Uint8Array;
}

/** `target` is a perf event (Linux 5.15). */
interface PerfEventOptions {
  family: "perf_event";
  cookie?: bigint | undefined;
}

/** Many functions at once (Linux 5.18): by name or by address, not both. */
interface KprobeMultiOptions {
  family: "kprobe_multi";
  symbols?: readonly string[] | undefined;
  addresses?: BigUint64Array | undefined;
  /** One for each function. */
  cookies?: BigUint64Array | undefined;
  /** BPF_F_KPROBE_MULTI_RETURN and so on. */
  kprobeFlags?: number | undefined;
}

/** Many places in one executable (Linux 6.6). */
interface UprobeMultiOptions {
  family: "uprobe_multi";
  path: string;
  /** Directory that a relative path begins at. */
  directory?: FdLike | undefined;
  /** File offsets. */
  offsets: BigUint64Array;
  /** File offsets of USDT semaphores, one for each place. */
  refCtrOffsets?: BigUint64Array | undefined;
  /** One for each place. */
  cookies?: BigUint64Array | undefined;
  /** BPF_F_UPROBE_MULTI_RETURN and so on. */
  uprobeFlags?: number | undefined;
  /** 0 means all processes. */
  pid?: number | undefined;
}

/** fentry and so on with another target or a cookie. */
interface TracingOptions {
  family: "tracing";
  targetBtfId?: number | undefined;
  cookie?: bigint | undefined;
}

/** Netfilter hook (Linux 6.4). */
interface NetfilterOptions {
  family: "netfilter";
  /** NFPROTO_*. */
  protocolFamily: number;
  /** NF_INET_*. */
  hook: number;
  priority: number;
  /** BPF_F_NETFILTER_IP_DEFRAG. */
  netfilterFlags?: number | undefined;
}

/** tcx, netkit (Linux 6.6, 6.7) and cgroup (6.16) links with a place in the list of programs. */
interface AnchorOptions extends RelativeOptions {
  family: "anchor";
}

/** Many functions of the kernel's BTF at once (Linux 7.x). */
interface TracingMultiOptions {
  family: "tracing_multi";
  ids: Uint32Array;
  /** One for each id. */
  cookies?: BigUint64Array | undefined;
}

/** A link; `family` says which of the kernel's overlapping option blocks goes with it. */
export type LinkCreateOptions = LinkBase &
  (
    | PlainOptions
    | IterOptions
    | PerfEventOptions
    | KprobeMultiOptions
    | UprobeMultiOptions
    | TracingOptions
    | NetfilterOptions
    | AnchorOptions
    | TracingMultiOptions
  );

/**
 * Attaches a program as long as the descriptor (or a pin of it) exists. BPF_LINK_CREATE, Linux 5.7, for many attach
 * types later; libbpf: `bpf_link_create`, whose fallback to BPF_RAW_TRACEPOINT_OPEN on EINVAL is left to the caller.
 *
 * @throws SystemCallError, ArgumentError
 */
export function linkCreate(options: LinkCreateOptions): FileDescriptor {
  const flags = options.family === "anchor" && options.relativeId !== undefined ? BPF_F_ID : 0;
  const base = {
    prog_fd: options.program,
    target_fd: options.target,
    target_ifindex: options.targetIfindex,
    attach_type: options.attachType,
    flags: flags === 0 ? options.flags : (options.flags ?? 0) | flags,
  };
  switch (options.family) {
    case undefined:
      return create(linkCreateLayouts.plain, base);
    case "iter":
      return create(linkCreateLayouts.iter, {
        ...base,
        iter_info: options.info,
        iter_info_len: options.info.byteLength,
      });
    case "perf_event":
      return create(linkCreateLayouts.perf_event, { ...base, bpf_cookie: options.cookie });
    case "kprobe_multi":
      return createKprobeMulti(base, options);
    case "uprobe_multi":
      return create(linkCreateLayouts.uprobe_multi, {
        ...base,
        path: cString(options.path, "path"),
        path_fd: options.directory,
        offsets: options.offsets,
        ref_ctr_offsets: perPlace(options.refCtrOffsets, options.offsets.length, "refCtrOffsets"),
        cookies: perPlace(options.cookies, options.offsets.length, "cookies"),
        cnt: options.offsets.length,
        uprobe_flags: options.uprobeFlags,
        pid: options.pid,
      });
    case "tracing":
      return create(linkCreateLayouts.tracing, { ...base, target_btf_id: options.targetBtfId, cookie: options.cookie });
    case "netfilter":
      return create(linkCreateLayouts.netfilter, {
        ...base,
        pf: options.protocolFamily,
        hooknum: options.hook,
        priority: options.priority,
        netfilter_flags: options.netfilterFlags,
      });
    case "anchor":
      return create(linkCreateLayouts.anchor, {
        ...base,
        relative_fd: options.relative,
        relative_id: options.relativeId,
        expected_revision: options.expectedRevision,
      });
    case "tracing_multi":
      return create(linkCreateLayouts.tracing_multi, {
        ...base,
        ids: options.ids,
        cookies: perPlace(options.cookies, options.ids.length, "cookies"),
        cnt: options.ids.length,
      });
  }
}

function create<F extends Layout["fields"]>(layout: Layout<F>, values: FieldValues<F>): FileDescriptor {
  return bpfFd("LINK_CREATE", layout, values, "link", { needs: ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"] });
}

function createKprobeMulti(base: FieldValues<typeof linkCreateLayouts.plain.fields>, options: KprobeMultiOptions) {
  const { symbols, addresses, cookies, kprobeFlags } = options;
  const functions = symbols ?? addresses;
  if (functions === undefined || (symbols !== undefined && addresses !== undefined)) {
    throw new ArgumentError("a kprobe_multi link takes either symbols or addresses");
  }
  return create(linkCreateLayouts.kprobe_multi, {
    ...base,
    kprobe_flags: kprobeFlags,
    cnt: functions.length,
    syms: symbols === undefined ? undefined : stringTable(symbols),
    addrs: addresses,
    cookies: perPlace(cookies, functions.length, "cookies"),
  });
}

/** `const char *[]` in one piece of memory: the pointers, then the texts that they point to. */
function stringTable(texts: readonly string[]): Memory {
  const strings = texts.map((text) => cString(text, "symbol"));
  const pointers = texts.length * 8;
  const table = new Uint8Array(strings.reduce((size, string) => size + string.length, pointers));
  const view = new DataView(table.buffer);
  const base = addressOf(table);
  let at = pointers;
  strings.forEach((string, index) => {
    view.setBigUint64(index * 8, base + BigInt(at), true);
    table.set(string, at);
    at += string.length;
  });
  return table;
}

/** @throws ArgumentError unless there is one for each place: the kernel reads `count` of them, whatever is there. */
function perPlace(array: BigUint64Array | undefined, count: number, what: string): BigUint64Array | undefined {
  if (array !== undefined && array.length !== count) {
    throw new ArgumentError(`${what} must have one entry for each of ${count} places, not ${array.length}`);
  }
  return array;
}

/**
 * Puts another program under a link. BPF_LINK_UPDATE, Linux 5.7; libbpf: `bpf_link_update`.
 *
 * @param options.program the new program, or the new struct_ops map
 * @param options.old with BPF_F_REPLACE in `flags`: what must be there now
 * @throws SystemCallError, ArgumentError
 */
export function linkUpdate(options: {
  link: FdLike;
  program: FdLike;
  flags?: number | undefined;
  old?: FdLike | undefined;
}): void {
  const { link, program, flags, old } = options;
  bpf("LINK_UPDATE", linkUpdateLayout, { link_fd: link, new_prog_fd: program, flags, old_prog_fd: old });
}

/**
 * Detaches a link although descriptors of it remain. BPF_LINK_DETACH, Linux 5.9; libbpf: `bpf_link_detach`.
 *
 * @throws SystemCallError
 */
export function linkDetach(link: FdLike): void {
  bpf("LINK_DETACH", linkDetachLayout, { link_fd: link });
}

/**
 * A descriptor whose reads run an iterator from the beginning. BPF_ITER_CREATE, Linux 5.8; libbpf: `bpf_iter_create`.
 *
 * @throws SystemCallError
 */
export function iterCreate(link: FdLike): FileDescriptor {
  return bpfFd("ITER_CREATE", iterCreateLayout, { link_fd: link }, "iterator");
}
