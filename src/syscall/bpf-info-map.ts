// BPF_OBJ_GET_INFO_BY_FD for any kind of object, and for maps.

import { readlinkSync } from "node:fs";
import { ArgumentError } from "../errors.js";
import { Attr, type FieldValues, type Layout } from "./attr.js";
import { infoLayout } from "./attr-layout.js";
import { bpf, operationOf } from "./bpf-call.js";
import { type FdLike, fdNumber } from "./fd.js";
import { mapInfoLayout } from "./info-layout.js";
import { alive } from "./memory.js";

/** How the kernel names the descriptors of each kind in /proc (anon_inode:bpf-map, bpf_link on older kernels). */
const inodeNames = { map: /bpf.map/, prog: /bpf.prog/, btf: /btf/, link: /bpf.link/ } as const;

const kindNames = { map: "map", prog: "program", btf: "BTF", link: "link" } as const;

/**
 * Has the kernel fill in an info structure.
 *
 * The kernel fills in that of the object behind the descriptor, whatever was meant; a program taken for a map would have
 * sizes of many gigabytes. So the kind is checked first.
 *
 * @throws SystemCallError, ArgumentError when the descriptor is of another kind
 */
export function readInfo<F extends Layout["fields"]>(
  fd: FdLike,
  kind: keyof typeof inodeNames,
  layout: Layout<F>,
  values: FieldValues<F>,
): Attr<F> {
  const info = new Attr(operationOf("OBJ_GET_INFO_BY_FD"), layout, values);
  const about = typeof fd === "number" ? `${kindNames[kind]} with fd ${fd}` : fd.what;
  const target = linkTarget(fdNumber(fd));
  if (target?.startsWith("anon_inode:") && !inodeNames[kind].test(target)) {
    throw new ArgumentError(`the descriptor is no ${kindNames[kind]}, but ${target}`);
  }
  // `info` owns the lists that its pointers lead to.
  return alive(info, () => {
    bpf("OBJ_GET_INFO_BY_FD", infoLayout, { bpf_fd: fd, info_len: info.size, info: info.bytes }, { about });
    return info;
  });
}

function linkTarget(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // No such descriptor, which the kernel will say better, or no /proc.
    return undefined;
  }
}

/** The raw structure, for map-shape.ts. */
export function readMapInfo(map: FdLike): Attr<typeof mapInfoLayout.fields> {
  return readInfo(map, "map", mapInfoLayout, {});
}

/** What the kernel tells of a map. */
export interface MapInfo {
  /** BPF_MAP_TYPE_*. */
  readonly type: number;
  readonly id: number;
  readonly name: string;
  /** Bytes. */
  readonly keySize: number;
  /** Bytes, of one value of one CPU. */
  readonly valueSize: number;
  readonly maxEntries: number;
  /** BPF_F_*. */
  readonly flags: number;
  /** Network device of an offloaded map, else 0; likewise the two netns fields. */
  readonly ifindex: number;
  readonly netnsDevice: bigint;
  readonly netnsInode: bigint;
  /** 0 without BTF. */
  readonly btfId: number;
  readonly btfKeyTypeId: number;
  readonly btfValueTypeId: number;
  /** struct_ops only. */
  readonly btfVmlinuxValueTypeId: number;
  readonly btfVmlinuxId: number;
  readonly mapExtra: bigint;
}

/**
 * Describes a map. Linux 4.13; libbpf: `bpf_map_get_info_by_fd`.
 *
 * @throws SystemCallError
 */
export function mapInfo(map: FdLike): MapInfo {
  const info = readMapInfo(map);
  return {
    type: info.u32("type"),
    id: info.u32("id"),
    name: info.text("name"),
    keySize: info.u32("key_size"),
    valueSize: info.u32("value_size"),
    maxEntries: info.u32("max_entries"),
    flags: info.u32("map_flags"),
    ifindex: info.u32("ifindex"),
    netnsDevice: info.u64("netns_dev"),
    netnsInode: info.u64("netns_ino"),
    btfId: info.u32("btf_id"),
    btfKeyTypeId: info.u32("btf_key_type_id"),
    btfValueTypeId: info.u32("btf_value_type_id"),
    btfVmlinuxValueTypeId: info.u32("btf_vmlinux_value_type_id"),
    btfVmlinuxId: info.u32("btf_vmlinux_id"),
    mapExtra: info.u64("map_extra"),
  };
}
