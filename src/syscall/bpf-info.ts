// BPF_OBJ_GET_INFO_BY_FD for programs and BTF. Links: bpf-info-link.ts, maps: bpf-info-map.ts.

import { SystemCallError } from "../errors.js";
import { readInfo } from "./bpf-info-map.js";
import type { RecordTable } from "./bpf-prog.js";
import { Errno } from "./errno.js";
import type { FdLike } from "./fd.js";
import { btfInfoLayout, progInfoLayout } from "./info-layout.js";
import { textOf } from "./memory.js";

/** What the kernel tells of a program. Lists are asked for by {@link ProgInfoOptions}. */
export interface ProgInfo {
  /** BPF_PROG_TYPE_*. */
  readonly type: number;
  readonly id: number;
  readonly name: string;
  /** Digest of the instructions, 16 hexadecimal digits. */
  readonly tag: string;
  /** Bytes of machine code and of instructions as verified; 0 when hidden from this process. */
  readonly jitedLength: number;
  readonly xlatedLength: number;
  /** Of loading, ns since boot. */
  readonly loadTime: bigint;
  readonly createdByUid: number;
  readonly gplCompatible: boolean;
  readonly mapIds: Uint32Array;
  /** Network device of an offloaded program, else 0; likewise the two netns fields. */
  readonly ifindex: number;
  readonly netnsDevice: bigint;
  readonly netnsInode: bigint;
  /** 0 without BTF. */
  readonly btfId: number;
  /** ns, and how often; counted while statistics are enabled (Linux 5.1). */
  readonly runTime: bigint;
  readonly runCount: bigint;
  /** Linux 5.12. */
  readonly recursionMisses: bigint;
  /** Linux 5.16. */
  readonly verifiedInstructions: number;
  /** What a tracing program was loaded for (Linux 5.19). */
  readonly attachBtfObjectId: number;
  readonly attachBtfId: number;
  /** Instructions after verification, 8 bytes each; undefined when hidden from this process. */
  readonly xlated: Uint8Array | undefined;
  /** Machine code. */
  readonly jited: Uint8Array | undefined;
  /** Address and bytes of machine code of each function, the program first. */
  readonly jitedSymbols: BigUint64Array | undefined;
  readonly jitedFunctionLengths: Uint32Array | undefined;
  /** Tag of each function, 8 bytes each. */
  readonly functionTags: Uint8Array | undefined;
  readonly funcInfo: RecordTable | undefined;
  readonly lineInfo: RecordTable | undefined;
  /** Address of each line's machine code. */
  readonly jitedLineInfo: RecordTable | undefined;
}

/** Which lists to fetch besides the map ids. */
export interface ProgInfoOptions {
  xlated?: boolean | undefined;
  jited?: boolean | undefined;
  /** The function and line tables, and where each function's code lies. */
  debug?: boolean | undefined;
}

/** Bytes of one 8-byte tag, address, instruction. */
const WORD = 8;

/**
 * Describes a program. Linux 4.13; libbpf: `bpf_prog_get_info_by_fd`.
 *
 * @throws SystemCallError
 */
export function progInfo(program: FdLike, options: ProgInfoOptions = {}): ProgInfo {
  const { xlated = false, jited = false, debug = false } = options;
  // The first call tells how long the lists are, the second fills them in. All but the map ids are fixed at load.
  const sizes = readInfo(program, "prog", progInfoLayout, {});
  const bytes = (wanted: boolean, length: number) => (wanted && length > 0 ? new Uint8Array(length) : undefined);
  const mapIds = new Uint32Array(sizes.u32("nr_map_ids"));
  const symbolCount = debug ? sizes.u32("nr_jited_ksyms") : 0;
  const lengthCount = debug ? sizes.u32("nr_jited_func_lens") : 0;
  const funcInfoSize = sizes.u32("func_info_rec_size");
  const lineInfoSize = sizes.u32("line_info_rec_size");
  const jitedLineSize = sizes.u32("jited_line_info_rec_size");
  const lists = {
    xlated: bytes(xlated, sizes.u32("xlated_prog_len")),
    jited: bytes(jited, sizes.u32("jited_prog_len")),
    symbols: symbolCount > 0 ? new BigUint64Array(symbolCount) : undefined,
    lengths: lengthCount > 0 ? new Uint32Array(lengthCount) : undefined,
    tags: bytes(debug, sizes.u32("nr_prog_tags") * WORD),
    funcInfo: bytes(debug, sizes.u32("nr_func_info") * funcInfoSize),
    lineInfo: bytes(debug, sizes.u32("nr_line_info") * lineInfoSize),
    jitedLineInfo: bytes(debug, sizes.u32("nr_jited_line_info") * jitedLineSize),
  };
  const info = readInfo(program, "prog", progInfoLayout, {
    nr_map_ids: mapIds.length,
    map_ids: mapIds,
    xlated_prog_len: lists.xlated?.length,
    xlated_prog_insns: lists.xlated,
    jited_prog_len: lists.jited?.length,
    jited_prog_insns: lists.jited,
    nr_jited_ksyms: lists.symbols?.length,
    jited_ksyms: lists.symbols,
    nr_jited_func_lens: lists.lengths?.length,
    jited_func_lens: lists.lengths,
    nr_prog_tags: lists.tags === undefined ? undefined : lists.tags.length / WORD,
    prog_tags: lists.tags,
    nr_func_info: lists.funcInfo === undefined ? undefined : sizes.u32("nr_func_info"),
    func_info_rec_size: lists.funcInfo === undefined ? undefined : funcInfoSize,
    func_info: lists.funcInfo,
    nr_line_info: lists.lineInfo === undefined ? undefined : sizes.u32("nr_line_info"),
    line_info_rec_size: lists.lineInfo === undefined ? undefined : lineInfoSize,
    line_info: lists.lineInfo,
    nr_jited_line_info: lists.jitedLineInfo === undefined ? undefined : sizes.u32("nr_jited_line_info"),
    jited_line_info_rec_size: lists.jitedLineInfo === undefined ? undefined : jitedLineSize,
    jited_line_info: lists.jitedLineInfo,
  });
  // The kernel takes the pointer away from what it hides.
  const visible = <T>(pointer: PointerName, list: T): T | undefined => (info.u64(pointer) === 0n ? undefined : list);
  const table = (pointer: PointerName, list: Uint8Array | undefined, recordSize: number): RecordTable | undefined =>
    list === undefined ? undefined : visible(pointer, { bytes: list, recordSize });
  return {
    type: info.u32("type"),
    id: info.u32("id"),
    name: info.text("name"),
    tag: Buffer.from(info.bytes.subarray(...TAG_RANGE)).toString("hex"),
    jitedLength: info.u32("jited_prog_len"),
    xlatedLength: info.u32("xlated_prog_len"),
    loadTime: info.u64("load_time"),
    createdByUid: info.u32("created_by_uid"),
    gplCompatible: (info.u32("bits") & 1) === 1,
    mapIds: mapIds.subarray(0, info.u32("nr_map_ids")),
    ifindex: info.u32("ifindex"),
    netnsDevice: info.u64("netns_dev"),
    netnsInode: info.u64("netns_ino"),
    btfId: info.u32("btf_id"),
    runTime: info.u64("run_time_ns"),
    runCount: info.u64("run_cnt"),
    recursionMisses: info.u64("recursion_misses"),
    verifiedInstructions: info.u32("verified_insns"),
    attachBtfObjectId: info.u32("attach_btf_obj_id"),
    attachBtfId: info.u32("attach_btf_id"),
    xlated: visible("xlated_prog_insns", lists.xlated),
    jited: visible("jited_prog_insns", lists.jited),
    jitedSymbols: visible("jited_ksyms", lists.symbols),
    jitedFunctionLengths: visible("jited_func_lens", lists.lengths),
    functionTags: visible("prog_tags", lists.tags),
    funcInfo: table("func_info", lists.funcInfo, funcInfoSize),
    lineInfo: table("line_info", lists.lineInfo, lineInfoSize),
    jitedLineInfo: table("jited_line_info", lists.jitedLineInfo, jitedLineSize),
  };
}

type PointerName = {
  [K in keyof typeof progInfoLayout.fields]: (typeof progInfoLayout.fields)[K][0] extends "pointer" ? K : never;
}[keyof typeof progInfoLayout.fields];

const TAG_RANGE = [progInfoLayout.fields.tag[1], progInfoLayout.fields.tag[1] + WORD] as const;

/** What the kernel tells of type information. */
export interface BtfInfo {
  readonly id: number;
  /** `vmlinux` or a module for the kernel's own (Linux 5.11), else "". */
  readonly name: string;
  readonly isKernel: boolean;
  /** Bytes of the blob. */
  readonly size: number;
  /** The blob, if asked for. */
  readonly bytes: Uint8Array | undefined;
}

/**
 * Describes type information. Linux 4.18; libbpf: `bpf_btf_get_info_by_fd`.
 *
 * @param options.bytes fetches the blob too
 * @throws SystemCallError
 */
export function btfInfo(btf: FdLike, options: { bytes?: boolean | undefined } = {}): BtfInfo {
  const name = new Uint8Array(64);
  const info = readBtfInfo(btf, name);
  const size = info.u32("btf_size");
  const bytes = options.bytes === true ? new Uint8Array(size) : undefined;
  if (bytes !== undefined) readInfo(btf, "btf", btfInfoLayout, { btf: bytes, btf_size: size });
  return { id: info.u32("id"), name: textOf(name), isKernel: info.u32("kernel_btf") === 1, size, bytes };
}

function readBtfInfo(btf: FdLike, name: Uint8Array) {
  try {
    return readInfo(btf, "btf", btfInfoLayout, { name, name_len: name.length });
  } catch (error) {
    // Before Linux 5.11 the structure ended before the name; a longer one had to be zero there.
    if (!(error instanceof SystemCallError && error.errno === Errno.E2BIG)) throw error;
    return readInfo(btf, "btf", btfInfoLayout, {});
  }
}
