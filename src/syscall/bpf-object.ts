// bpf() commands that concern any kind of object: pins in a BPF file system, ids, statistics, tokens.

import { enableStatsLayout, idLayout, objectPathLayout, taskFdQueryLayout, tokenCreateLayout } from "./attr-layout.js";
import { attrOf, bpf, bpfFd, tokenFlag, tryBpf } from "./bpf-call.js";
import { Errno } from "./errno.js";
import { check } from "./failure.js";
import { type FdLike, FileDescriptor } from "./fd.js";
import { cString, textOf } from "./memory.js";

/** UAPI linux/bpf.h. */
const BPF_F_PATH_FD = 1 << 14;

/** A path in a BPF file system. */
export interface ObjectPath {
  path: string;
  /** Directory that a relative path begins at (Linux 6.5); sets BPF_F_PATH_FD. */
  directory?: FdLike | undefined;
}

/**
 * Makes an object outlive this process under a path, which must not exist. BPF_OBJ_PIN, Linux 4.4; libbpf:
 * `bpf_obj_pin_opts`.
 *
 * @throws SystemCallError, ArgumentError
 */
export function objectPin({ object, path, directory }: ObjectPath & { object: FdLike }): void {
  bpf(
    "OBJ_PIN",
    objectPathLayout,
    {
      pathname: cString(path, "path"),
      bpf_fd: object,
      path_fd: directory,
      file_flags: directory === undefined ? 0 : BPF_F_PATH_FD,
    },
    { about: path },
  );
}

/**
 * Opens a pinned object. BPF_OBJ_GET, Linux 4.4; libbpf: `bpf_obj_get_opts`.
 *
 * @param options.flags BPF_F_RDONLY or BPF_F_WRONLY
 * @throws SystemCallError, ArgumentError
 */
export function objectGet({ path, directory, flags = 0 }: ObjectPath & { flags?: number | undefined }): FileDescriptor {
  return bpfFd(
    "OBJ_GET",
    objectPathLayout,
    {
      pathname: cString(path, "path"),
      path_fd: directory,
      file_flags: directory === undefined ? flags : flags | BPF_F_PATH_FD,
    },
    path,
    { about: path },
  );
}

const idCommands = {
  prog: { next: "PROG_GET_NEXT_ID", open: "PROG_GET_FD_BY_ID" },
  map: { next: "MAP_GET_NEXT_ID", open: "MAP_GET_FD_BY_ID" },
  btf: { next: "BTF_GET_NEXT_ID", open: "BTF_GET_FD_BY_ID" },
  link: { next: "LINK_GET_NEXT_ID", open: "LINK_GET_FD_BY_ID" },
} as const;

/** Kinds of objects that have ids. */
export type ObjectKind = keyof typeof idCommands;

/** Ids are looked up over the whole system. */
const idDetails = { needs: ["CAP_SYS_ADMIN"] } as const;

/**
 * The lowest id above `after`, `undefined` when there is none. BPF_*_GET_NEXT_ID, Linux 4.13 (btf 5.2, link 5.8);
 * libbpf: `bpf_prog_get_next_id` and so on.
 *
 * @throws SystemCallError
 */
export function nextId(kind: ObjectKind, after = 0): number | undefined {
  const command = idCommands[kind].next;
  const attr = attrOf(command, idLayout, { start_id: after });
  const result = tryBpf(command, attr);
  if (result === -Errno.ENOENT) return undefined;
  check(result, attr.operation, idDetails);
  return attr.u32("next_id");
}

/** All ids of a kind, ascending, as they are while iterating. @throws SystemCallError */
export function* objectIds(kind: ObjectKind): Generator<number, void, void> {
  for (let id = nextId(kind); id !== undefined; id = nextId(kind, id)) yield id;
}

/**
 * Opens an object by id; ENOENT when it is gone. BPF_*_GET_FD_BY_ID, Linux 4.13 (btf 4.18, link 5.8); libbpf:
 * `bpf_prog_get_fd_by_id_opts` and so on.
 *
 * @param options.flags maps: BPF_F_RDONLY or BPF_F_WRONLY
 * @param options.token BPF token; sets BPF_F_TOKEN_FD (Linux 6.17)
 * @throws SystemCallError, ArgumentError
 */
export function openById(
  kind: ObjectKind,
  id: number,
  { flags, token }: { flags?: number | undefined; token?: FdLike | undefined } = {},
): FileDescriptor {
  const what = `${kind} with id ${id}`;
  return bpfFd(
    idCommands[kind].open,
    idLayout,
    { start_id: id, open_flags: tokenFlag(flags, token), fd_by_id_token_fd: token },
    what,
    { ...idDetails, about: what },
  );
}

/**
 * Has the kernel count run time and runs of all programs as long as the descriptor is open. BPF_ENABLE_STATS, Linux 5.8;
 * libbpf: `bpf_enable_stats`.
 *
 * @param type BPF_STATS_RUN_TIME (0)
 * @throws SystemCallError
 */
export function enableStats(type = 0): FileDescriptor {
  return bpfFd("ENABLE_STATS", enableStatsLayout, { type }, "BPF statistics", idDetails);
}

/** What a perf event or raw tracepoint descriptor of a process is attached to. */
export interface TaskFdInfo {
  readonly progId: number;
  /** BPF_FD_TYPE_*: raw tracepoint, tracepoint, kprobe, kretprobe, uprobe, uretprobe. */
  readonly fdType: number;
  /** Tracepoint, symbol or file; "" when the kernel has none. */
  readonly name: string;
  readonly probeOffset: bigint;
  readonly probeAddress: bigint;
}

/**
 * Describes a descriptor of any process. BPF_TASK_FD_QUERY, Linux 4.18; libbpf: `bpf_task_fd_query`.
 *
 * @throws SystemCallError
 */
export function taskFdQuery({ pid, fd }: { pid: number; fd: number }): TaskFdInfo {
  const name = new Uint8Array(4096);
  const attr = attrOf("TASK_FD_QUERY", taskFdQueryLayout, { pid, fd, buf: name, buf_len: name.length });
  check(tryBpf("TASK_FD_QUERY", attr), attr.operation, { ...idDetails, about: `fd ${fd} of process ${pid}` });
  return {
    progId: attr.u32("prog_id"),
    fdType: attr.u32("fd_type"),
    name: textOf(name),
    probeOffset: attr.u64("probe_offset"),
    probeAddress: attr.u64("probe_addr"),
  };
}

/**
 * Makes a token that delegates BPF rights of a mounted BPF file system, given by its root directory. BPF_TOKEN_CREATE,
 * Linux 6.9; libbpf: `bpf_token_create`.
 *
 * @throws SystemCallError
 */
export function tokenCreate(bpfFileSystem: FdLike): FileDescriptor {
  const about = bpfFileSystem instanceof FileDescriptor ? bpfFileSystem.what : undefined;
  return bpfFd("TOKEN_CREATE", tokenCreateLayout, { bpffs_fd: bpfFileSystem }, "BPF token", { about });
}
