// Ids of a few types in the running kernel's BTF, for probes. A scan of its own, not src/btf: see calls.ts.

import { readFileSync } from "node:fs";
import { ProbeError } from "./calls.js";

const PATH = "/sys/kernel/btf/vmlinux";

/** Kinds the probes look for. */
export const Kind = { struct: 4, typedef: 8, func: 12 } as const;

/** Bytes behind the 12 of a type: fixed, and per element, by kind. Kinds without a row have none. */
const sizes: Readonly<Record<number, readonly [fixed: number, each: number]>> = {
  1: [4, 0],
  3: [12, 0],
  4: [0, 12],
  5: [0, 12],
  6: [0, 8],
  13: [0, 8],
  14: [4, 0],
  15: [0, 12],
  17: [4, 0],
  19: [0, 12],
};

let index: Map<string, number> | undefined;

/** Every name that any probe asks for: the scan notes these only. */
const wanted = new Set([
  "btf_trace_sys_enter",
  "bpf_lsm_task_getpgid",
  "bpf_lsm_file_open",
  "bpf_lsm_socket_connect",
  "bpf_fentry_test1",
  "bpf_iter_task",
  "bpf_iter_task_vma",
  "bpf_iter_unix",
  "bpf_iter_bpf_link",
  "bpf_iter_kmem_cache",
  "security_task_getpgid",
  "bpf_cgrp_storage_get",
  "bpf_task_storage_get",
  "bpf_task_storage_get_recur",
  "bpf_timer_init",
  "bpf_throw",
  "bpf_loop",
  "bpf_copy_from_user_task",
  "bpf_stream_vprintk",
  "bpf_stream_vprintk_impl",
  "bpf_struct_ops_tcp_congestion_ops",
  "bpf_struct_ops_sched_ext_ops",
  "__x64_sys_getpgid",
  "__arm64_sys_getpgid",
]);

/** The kernel's function behind getpgid(). */
export const getpgidFunction: string = process.arch === "arm64" ? "__arm64_sys_getpgid" : "__x64_sys_getpgid";

/** The id of a type. Throws ProbeError when the kernel has no BTF or no such type. */
export function kernelType(kind: number, name: string): number {
  index ??= scan();
  const id = index.get(`${kind} ${name}`);
  if (id === undefined) throw new ProbeError(`the kernel's BTF has no ${name}`);
  return id;
}

function scan(): Map<string, number> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(PATH);
  } catch {
    throw new ProbeError(`no ${PATH}`);
  }
  const header = bytes.readUInt32LE(4);
  const types = header + bytes.readUInt32LE(8);
  const end = types + bytes.readUInt32LE(12);
  const strings = bytes.subarray(header + bytes.readUInt32LE(16));
  const names = new Map<number, string>();
  for (const name of wanted) {
    const at = strings.indexOf(`\0${name}\0`);
    if (at >= 0) names.set(at + 1, name);
  }
  const found = new Map<string, number>();
  let id = 1;
  for (let at = types; at < end; id++) {
    const info = bytes.readUInt32LE(at + 4);
    const kind = (info >>> 24) & 31;
    const name = names.get(bytes.readUInt32LE(at));
    if (name !== undefined) found.set(`${kind} ${name}`, id);
    const [fixed, each] = sizes[kind] ?? [0, 0];
    at += 12 + fixed + each * (info & 0xffff);
  }
  return found;
}
