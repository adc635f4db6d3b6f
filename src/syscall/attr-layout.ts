// union bpf_attr, command by command (UAPI linux/bpf.h). Fields have the header's names; every offset and size is
// compared with what a C compiler says in test/syscall/layout.test.ts.

import { layout } from "./attr.js";

/** enum bpf_cmd. */
export const BpfCommand = {
  MAP_CREATE: 0,
  MAP_LOOKUP_ELEM: 1,
  MAP_UPDATE_ELEM: 2,
  MAP_DELETE_ELEM: 3,
  MAP_GET_NEXT_KEY: 4,
  PROG_LOAD: 5,
  OBJ_PIN: 6,
  OBJ_GET: 7,
  PROG_ATTACH: 8,
  PROG_DETACH: 9,
  PROG_TEST_RUN: 10,
  PROG_GET_NEXT_ID: 11,
  MAP_GET_NEXT_ID: 12,
  PROG_GET_FD_BY_ID: 13,
  MAP_GET_FD_BY_ID: 14,
  OBJ_GET_INFO_BY_FD: 15,
  PROG_QUERY: 16,
  RAW_TRACEPOINT_OPEN: 17,
  BTF_LOAD: 18,
  BTF_GET_FD_BY_ID: 19,
  TASK_FD_QUERY: 20,
  MAP_LOOKUP_AND_DELETE_ELEM: 21,
  MAP_FREEZE: 22,
  BTF_GET_NEXT_ID: 23,
  MAP_LOOKUP_BATCH: 24,
  MAP_LOOKUP_AND_DELETE_BATCH: 25,
  MAP_UPDATE_BATCH: 26,
  MAP_DELETE_BATCH: 27,
  LINK_CREATE: 28,
  LINK_UPDATE: 29,
  LINK_GET_FD_BY_ID: 30,
  LINK_GET_NEXT_ID: 31,
  ENABLE_STATS: 32,
  ITER_CREATE: 33,
  LINK_DETACH: 34,
  PROG_BIND_MAP: 35,
  TOKEN_CREATE: 36,
  PROG_STREAM_READ_BY_FD: 37,
  PROG_ASSOC_STRUCT_OPS: 38,
} as const;

export type BpfCommandName = keyof typeof BpfCommand;

/** Follows the attr of any command when BPF_COMMON_ATTRS is set in the command (Linux 7.0): struct bpf_common_attr. */
export const commonAttrLayout = layout(24, {
  log_buf: ["pointer", 0],
  log_size: ["u32", 8],
  log_level: ["u32", 12],
  log_true_size: ["u32", 16],
});

export const mapCreateLayout = layout(92, {
  map_type: ["u32", 0],
  key_size: ["u32", 4],
  value_size: ["u32", 8],
  max_entries: ["u32", 12],
  map_flags: ["u32", 16],
  inner_map_fd: ["fd", 20],
  numa_node: ["u32", 24],
  map_name: ["name", 28],
  map_ifindex: ["u32", 44],
  btf_fd: ["fd", 48],
  btf_key_type_id: ["u32", 52],
  btf_value_type_id: ["u32", 56],
  btf_vmlinux_value_type_id: ["u32", 60],
  map_extra: ["u64", 64],
  value_type_btf_obj_fd: ["fd", 72],
  map_token_fd: ["fd", 76],
  excl_prog_hash: ["pointer", 80],
  excl_prog_hash_size: ["u32", 88],
});

/** Commands on one element, and BPF_MAP_FREEZE. `value` doubles as `next_key`. */
export const mapElementLayout = layout(32, {
  map_fd: ["fd", 0],
  key: ["pointer", 8],
  value: ["pointer", 16],
  flags: ["u64", 24],
});

export const mapBatchLayout = layout(56, {
  in_batch: ["pointer", 0],
  out_batch: ["pointer", 8],
  keys: ["pointer", 16],
  values: ["pointer", 24],
  count: ["u32", 32],
  map_fd: ["fd", 36],
  elem_flags: ["u64", 40],
  flags: ["u64", 48],
});

/** Without the signature fields (Linux 6.18), which nothing here uses. */
export const progLoadLayout = layout(152, {
  prog_type: ["u32", 0],
  insn_cnt: ["u32", 4],
  insns: ["pointer", 8],
  license: ["pointer", 16],
  log_level: ["u32", 24],
  log_size: ["u32", 28],
  log_buf: ["pointer", 32],
  kern_version: ["u32", 40],
  prog_flags: ["u32", 44],
  prog_name: ["name", 48],
  prog_ifindex: ["u32", 64],
  expected_attach_type: ["u32", 68],
  prog_btf_fd: ["fd", 72],
  func_info_rec_size: ["u32", 76],
  func_info: ["pointer", 80],
  func_info_cnt: ["u32", 88],
  line_info_rec_size: ["u32", 92],
  line_info: ["pointer", 96],
  line_info_cnt: ["u32", 104],
  attach_btf_id: ["u32", 108],
  attach_prog_fd: ["fd", 112],
  fd_array: ["pointer", 120],
  log_true_size: ["u32", 140],
  prog_token_fd: ["fd", 144],
  fd_array_cnt: ["u32", 148],
});

export const objectPathLayout = layout(20, {
  pathname: ["pointer", 0],
  bpf_fd: ["fd", 8],
  file_flags: ["u32", 12],
  path_fd: ["fd", 16],
});

/** `target_fd` doubles as `target_ifindex`, `relative_fd` as `relative_id`. */
export const progAttachLayout = layout(32, {
  target_fd: ["fd", 0],
  target_ifindex: ["u32", 0],
  attach_bpf_fd: ["fd", 4],
  attach_type: ["u32", 8],
  attach_flags: ["u32", 12],
  replace_bpf_fd: ["fd", 16],
  relative_fd: ["fd", 20],
  relative_id: ["u32", 20],
  expected_revision: ["u64", 24],
});

export const testRunLayout = layout(80, {
  prog_fd: ["fd", 0],
  retval: ["u32", 4],
  data_size_in: ["u32", 8],
  data_size_out: ["u32", 12],
  data_in: ["pointer", 16],
  data_out: ["pointer", 24],
  repeat: ["u32", 32],
  duration: ["u32", 36],
  ctx_size_in: ["u32", 40],
  ctx_size_out: ["u32", 44],
  ctx_in: ["pointer", 48],
  ctx_out: ["pointer", 56],
  flags: ["u32", 64],
  cpu: ["u32", 68],
  batch_size: ["u32", 72],
});

/** *_GET_NEXT_ID and *_GET_FD_BY_ID; `start_id` doubles as the id. */
export const idLayout = layout(16, {
  start_id: ["u32", 0],
  next_id: ["u32", 4],
  open_flags: ["u32", 8],
  fd_by_id_token_fd: ["fd", 12],
});

export const infoLayout = layout(16, {
  bpf_fd: ["fd", 0],
  info_len: ["u32", 4],
  info: ["pointer", 8],
});

export const progQueryLayout = layout(64, {
  target_fd: ["fd", 0],
  target_ifindex: ["u32", 0],
  attach_type: ["u32", 4],
  query_flags: ["u32", 8],
  attach_flags: ["u32", 12],
  prog_ids: ["pointer", 16],
  prog_cnt: ["u32", 24],
  prog_attach_flags: ["pointer", 32],
  link_ids: ["pointer", 40],
  link_attach_flags: ["pointer", 48],
  revision: ["u64", 56],
});

export const rawTracepointLayout = layout(24, {
  name: ["pointer", 0],
  prog_fd: ["fd", 8],
  cookie: ["u64", 16],
});

export const btfLoadLayout = layout(40, {
  btf: ["pointer", 0],
  btf_log_buf: ["pointer", 8],
  btf_size: ["u32", 16],
  btf_log_size: ["u32", 20],
  btf_log_level: ["u32", 24],
  btf_log_true_size: ["u32", 28],
  btf_flags: ["u32", 32],
  btf_token_fd: ["fd", 36],
});

export const taskFdQueryLayout = layout(48, {
  pid: ["u32", 0],
  fd: ["u32", 4],
  flags: ["u32", 8],
  buf_len: ["u32", 12],
  buf: ["pointer", 16],
  prog_id: ["u32", 24],
  fd_type: ["u32", 28],
  probe_offset: ["u64", 32],
  probe_addr: ["u64", 40],
});

/** What all links share; the families below add their own fields to it. */
const linkCreate = {
  prog_fd: ["fd", 0],
  target_fd: ["fd", 4],
  target_ifindex: ["u32", 4],
  attach_type: ["u32", 8],
  flags: ["u32", 12],
} as const;

/** BPF_LINK_CREATE by family: the fields overlap in one union. */
export const linkCreateLayouts = {
  plain: layout(64, { ...linkCreate }),
  iter: layout(64, { ...linkCreate, iter_info: ["pointer", 16], iter_info_len: ["u32", 24] }),
  perf_event: layout(64, { ...linkCreate, bpf_cookie: ["u64", 16] }),
  kprobe_multi: layout(64, {
    ...linkCreate,
    kprobe_flags: ["u32", 16],
    cnt: ["u32", 20],
    syms: ["pointer", 24],
    addrs: ["pointer", 32],
    cookies: ["pointer", 40],
  }),
  uprobe_multi: layout(64, {
    ...linkCreate,
    path: ["pointer", 16],
    offsets: ["pointer", 24],
    ref_ctr_offsets: ["pointer", 32],
    cookies: ["pointer", 40],
    cnt: ["u32", 48],
    uprobe_flags: ["u32", 52],
    pid: ["u32", 56],
    path_fd: ["fd", 60],
  }),
  tracing: layout(64, { ...linkCreate, target_btf_id: ["u32", 16], cookie: ["u64", 24] }),
  netfilter: layout(64, {
    ...linkCreate,
    pf: ["u32", 16],
    hooknum: ["u32", 20],
    priority: ["s32", 24],
    netfilter_flags: ["u32", 28],
  }),
  /** tcx, netkit and cgroup have the same fields. */
  anchor: layout(64, {
    ...linkCreate,
    relative_fd: ["fd", 16],
    relative_id: ["u32", 16],
    expected_revision: ["u64", 24],
  }),
  tracing_multi: layout(64, { ...linkCreate, ids: ["pointer", 16], cookies: ["pointer", 24], cnt: ["u32", 32] }),
} as const;

/** `new_prog_fd` and `old_prog_fd` double as map fds of struct_ops links. */
export const linkUpdateLayout = layout(16, {
  link_fd: ["fd", 0],
  new_prog_fd: ["fd", 4],
  flags: ["u32", 8],
  old_prog_fd: ["fd", 12],
});

export const linkDetachLayout = layout(4, { link_fd: ["fd", 0] });
export const enableStatsLayout = layout(4, { type: ["u32", 0] });
export const iterCreateLayout = layout(8, { link_fd: ["fd", 0], flags: ["u32", 4] });
export const progBindMapLayout = layout(12, { prog_fd: ["fd", 0], map_fd: ["fd", 4], flags: ["u32", 8] });
export const progAssocStructOpsLayout = layout(12, { map_fd: ["fd", 0], prog_fd: ["fd", 4], flags: ["u32", 8] });
export const streamReadLayout = layout(20, {
  stream_buf: ["pointer", 0],
  stream_buf_len: ["u32", 8],
  stream_id: ["u32", 12],
  prog_fd: ["fd", 16],
});
export const tokenCreateLayout = layout(8, { flags: ["u32", 0], bpffs_fd: ["fd", 4] });
