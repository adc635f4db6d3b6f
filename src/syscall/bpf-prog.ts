// bpf() commands that make, run and tie programs.

import { ArgumentError } from "../errors.js";
import { checkInteger } from "./attr.js";
import {
  progAssocStructOpsLayout,
  progBindMapLayout,
  progLoadLayout,
  rawTracepointLayout,
  streamReadLayout,
  testRunLayout,
} from "./attr-layout.js";
import { attrOf, bpf, bpfFd, type LogOptions, tokenFlag, tryBpf, tryBpfAsync } from "./bpf-call.js";
import type { Capability } from "./capabilities.js";
import { Errno } from "./errno.js";
import { check } from "./failure.js";
import { type FdLike, FileDescriptor } from "./fd.js";
import { cString } from "./memory.js";
import { withoutProfilerSignals } from "./signals.js";

const INSN_SIZE = 8;
/** libbpf's PROG_LOAD_ATTEMPTS: the verifier gives up with EAGAIN when a signal arrives. */
const LOAD_ATTEMPTS = 5;

/** Records of .BTF.ext in the kernel's layout. */
export interface RecordTable {
  readonly bytes: Uint8Array;
  /** Bytes of one record. */
  readonly recordSize: number;
}

/** What to load. */
export interface ProgLoadOptions {
  /** BPF_PROG_TYPE_*. */
  type: number;
  /** 8 bytes an instruction, in the machine's byte order. */
  insns: Uint8Array;
  /** GPL-compatible ones open more helpers. */
  license: string;
  /** At most 15 bytes are kept; letters, digits, `_` and `.`. Omit it before Linux 4.15. */
  name?: string | undefined;
  /** BPF_F_SLEEPABLE and so on. */
  flags?: number | undefined;
  /** BPF_* attach type. */
  expectedAttachType?: number | undefined;
  /** Network device for an offloaded or device-bound program. */
  ifindex?: number | undefined;
  /** LINUX_VERSION_CODE; kprobes needed it before Linux 5.0. */
  kernelVersion?: number | undefined;
  log?: LogOptions | undefined;
  /** Loaded BTF of the program, for the two tables. */
  btf?: FdLike | undefined;
  funcInfo?: RecordTable | undefined;
  lineInfo?: RecordTable | undefined;
  /** BTF id of what to attach to: in the kernel's BTF, or in that of the next field. */
  attachBtfId?: number | undefined;
  /** A program to attach to (freplace, fentry of a program), or the BTF of a module. */
  attachTarget?: FdLike | undefined;
  /** Descriptors that instructions refer to by index. */
  fdArray?: Int32Array | undefined;
  /** Has the kernel bind all of `fdArray` (Linux 6.14). */
  bindFdArray?: boolean | undefined;
  /** BPF token; sets BPF_F_TOKEN_FD (Linux 6.9). */
  token?: FdLike | undefined;
}

/** A program, or why there is none. */
export type ProgLoadResult = (
  | { readonly fd: FileDescriptor; readonly errno: 0 }
  | {
      readonly fd: undefined;
      /** Positive errno: EACCES and EINVAL are the verifier's, ENOSPC means that the log did not fit. */
      readonly errno: number;
    }
) & {
  /** Bytes that the whole log has with its NUL, whatever fitted; 0 without log and before Linux 6.4. */
  readonly logTrueSize: number;
};

/**
 * Loads a program. BPF_PROG_LOAD, Linux 3.18; libbpf: `bpf_prog_load`, of which this keeps the five attempts on EAGAIN;
 * what to do about the log is the caller's business (libbpf.md 3.9).
 *
 * @throws ArgumentError. A refusal is a result, because most callers look at the log before they make an error of it
 *   (`systemCallError`, with {@link progLoadCapabilities} as `needs`).
 */
export function progLoad(options: ProgLoadOptions): ProgLoadResult {
  const attr = progLoadAttr(options);
  let result = 0;
  for (let attempt = 0; attempt < LOAD_ATTEMPTS; attempt++) {
    result = tryBpf("PROG_LOAD", attr);
    if (result !== -Errno.EAGAIN) break;
  }
  // A profiler of this thread interrupts every attempt at a program that takes longer than its interval.
  if (result === -Errno.EAGAIN) result = withoutProfilerSignals(() => tryBpf("PROG_LOAD", attr));
  return progLoadResult(result, attr.u32("log_true_size"), options);
}

/** {@link progLoad} on a thread of libuv's pool, for programs that take the verifier long. Buffers must not change meanwhile. */
export async function progLoadAsync(options: ProgLoadOptions): Promise<ProgLoadResult> {
  const attr = progLoadAttr(options);
  let result = 0;
  for (let attempt = 0; attempt < LOAD_ATTEMPTS; attempt++) {
    result = await tryBpfAsync("PROG_LOAD", attr);
    if (result !== -Errno.EAGAIN) break;
  }
  return progLoadResult(result, attr.u32("log_true_size"), options);
}

function progLoadResult(result: number, logTrueSize: number, { name }: ProgLoadOptions): ProgLoadResult {
  if (result < 0) return { fd: undefined, errno: -result, logTrueSize };
  return {
    fd: new FileDescriptor(result, name === undefined ? "program" : `program ${JSON.stringify(name)}`),
    errno: 0,
    logTrueSize,
  };
}

function progLoadAttr(options: ProgLoadOptions) {
  const { insns, token, fdArray, bindFdArray, funcInfo, lineInfo } = options;
  if (insns.byteLength % INSN_SIZE !== 0) {
    throw new ArgumentError(`a program consists of ${INSN_SIZE}-byte instructions, ${insns.byteLength} bytes do not`);
  }
  // A buffer without a level is EINVAL.
  const log = options.log !== undefined && options.log.level !== 0 ? options.log : undefined;
  const flags = options.flags ?? 0;
  return attrOf("PROG_LOAD", progLoadLayout, {
    prog_type: options.type,
    insn_cnt: insns.byteLength / INSN_SIZE,
    insns,
    license: cString(options.license, "license"),
    log_level: log?.level,
    log_size: log?.buffer.byteLength,
    log_buf: log?.buffer,
    kern_version: options.kernelVersion,
    prog_flags: tokenFlag(flags, token),
    prog_name: options.name,
    prog_ifindex: options.ifindex,
    expected_attach_type: options.expectedAttachType,
    prog_btf_fd: options.btf,
    func_info_rec_size: funcInfo?.recordSize,
    func_info: funcInfo?.bytes,
    func_info_cnt: recordCount(funcInfo),
    line_info_rec_size: lineInfo?.recordSize,
    line_info: lineInfo?.bytes,
    line_info_cnt: recordCount(lineInfo),
    attach_btf_id: options.attachBtfId,
    attach_prog_fd: options.attachTarget,
    fd_array: fdArray,
    fd_array_cnt: bindFdArray === true ? fdArray?.length : undefined,
    prog_token_fd: token,
  });
}

function recordCount(table: RecordTable | undefined): number | undefined {
  if (table === undefined) return undefined;
  const { bytes, recordSize } = table;
  if (!Number.isInteger(recordSize) || recordSize < 1 || bytes.byteLength % recordSize !== 0) {
    throw new ArgumentError(`${bytes.byteLength} bytes are not a whole number of ${recordSize}-byte records`);
  }
  return bytes.byteLength / recordSize;
}

/** CAP_NET_ADMIN and CAP_PERFMON by program type, as the kernel's bpf_prog_load asks for them besides CAP_BPF. */
const netAdminTypes = new Set([3, 4, 6, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 22, 23, 25, 28, 32]);
const perfmonTypes = new Set([2, 5, 7, 17, 24, 26, 27, 28, 29]);

/** The capabilities that loading a program of a type (BPF_PROG_TYPE_*) needs since Linux 5.8. */
export function progLoadCapabilities(type: number): readonly Capability[] {
  const needs: Capability[] = ["CAP_BPF"];
  if (netAdminTypes.has(type)) needs.push("CAP_NET_ADMIN");
  if (perfmonTypes.has(type)) needs.push("CAP_PERFMON");
  return needs;
}

/** What to run a program on; sizes in bytes. */
export interface TestRunOptions {
  program: FdLike;
  /** Packet. */
  data?: Uint8Array | undefined;
  /** Room for the packet afterwards; ENOSPC when it does not fit. */
  dataOutSize?: number | undefined;
  /** Context. */
  context?: Uint8Array | undefined;
  contextOutSize?: number | undefined;
  /** How often to run it; 0 and 1 mean once. */
  repeat?: number | undefined;
  /** BPF_F_TEST_RUN_ON_CPU and so on. */
  flags?: number | undefined;
  cpu?: number | undefined;
  /** For BPF_F_TEST_XDP_LIVE_FRAMES. */
  batchSize?: number | undefined;
}

/** What a test run gave. */
export interface TestRunResult {
  /** What the program returned, unsigned 32 bits. */
  readonly returnValue: number;
  /** Average of one run, ns; 0 for the types that are not measured. */
  readonly duration: number;
  /** Empty unless room was given. */
  readonly dataOut: Uint8Array;
  readonly contextOut: Uint8Array;
}

/**
 * Runs a program inside this call. BPF_PROG_TEST_RUN, Linux 4.12, few program types (ENOTSUPP for others); libbpf:
 * `bpf_prog_test_run_opts`.
 *
 * @throws SystemCallError, ArgumentError
 */
export function progTestRun(options: TestRunOptions): TestRunResult {
  const { attr, resultOf } = testRunCall(options);
  return resultOf(tryBpf("PROG_TEST_RUN", attr));
}

/**
 * {@link progTestRun} on a thread of libuv's pool, which has four unless UV_THREADPOOL_SIZE says otherwise. Nothing ends
 * it: neither a signal nor the end of the script.
 *
 * @throws as {@link progTestRun}
 */
export async function progTestRunAsync(options: TestRunOptions): Promise<TestRunResult> {
  const { attr, resultOf } = testRunCall(options);
  return resultOf(await tryBpfAsync("PROG_TEST_RUN", attr));
}

function testRunCall(options: TestRunOptions) {
  const { data, context } = options;
  const dataOut = room(options.dataOutSize, "dataOutSize");
  const contextOut = room(options.contextOutSize, "contextOutSize");
  const attr = attrOf("PROG_TEST_RUN", testRunLayout, {
    prog_fd: options.program,
    data_size_in: data?.byteLength,
    data_size_out: dataOut.length,
    data_in: data,
    data_out: dataOut,
    repeat: options.repeat,
    ctx_size_in: context?.byteLength,
    ctx_size_out: contextOut.length,
    ctx_in: context,
    ctx_out: contextOut,
    flags: options.flags,
    cpu: options.cpu,
    batch_size: options.batchSize,
  });
  const resultOf = (result: number): TestRunResult => {
    check(result, attr.operation, { needs: ["CAP_BPF", "CAP_NET_ADMIN"] });
    return {
      returnValue: attr.u32("retval"),
      duration: attr.u32("duration"),
      // The kernel reports the whole size also where no room was given.
      dataOut: dataOut.subarray(0, attr.u32("data_size_out")),
      contextOut: contextOut.subarray(0, attr.u32("ctx_size_out")),
    };
  };
  return { attr, resultOf };
}

/** Largest output buffer: the kernel's own limits are far below. */
const MAX_ROOM = 1 << 24;

function room(size: number | undefined, what: string): Uint8Array {
  return new Uint8Array(checkInteger(size ?? 0, what, 0, MAX_ROOM));
}

/**
 * Attaches a raw tracepoint, or, without a name, a program whose target was given at load (fentry, LSM, BTF raw
 * tracepoint, freplace). BPF_RAW_TRACEPOINT_OPEN, Linux 4.17; libbpf: `bpf_raw_tracepoint_open_opts`.
 *
 * @param cookie for `bpf_get_attach_cookie()` (Linux 6.10)
 * @throws SystemCallError, ArgumentError
 */
export function rawTracepointOpen(options: {
  program: FdLike;
  name?: string | undefined;
  cookie?: bigint | undefined;
}): FileDescriptor {
  const { program, name, cookie } = options;
  const about = name === undefined ? undefined : `tracepoint ${JSON.stringify(name)}`;
  return bpfFd(
    "RAW_TRACEPOINT_OPEN",
    rawTracepointLayout,
    { name: name === undefined ? undefined : cString(name, "tracepoint name"), prog_fd: program, cookie },
    about === undefined ? "link of a program" : `link to ${about}`,
    { about, needs: ["CAP_BPF", "CAP_PERFMON"] },
  );
}

/** A program, and a map that is to be its own. */
export interface ProgramMapOptions {
  program: FdLike;
  map: FdLike;
  flags?: number | undefined;
}

/**
 * Keeps a map alive as long as a program, although no instruction refers to it. BPF_PROG_BIND_MAP, Linux 5.10; libbpf:
 * `bpf_prog_bind_map`.
 *
 * @throws SystemCallError
 */
export function progBindMap({ program, map, flags }: ProgramMapOptions): void {
  bpf("PROG_BIND_MAP", progBindMapLayout, { prog_fd: program, map_fd: map, flags });
}

/**
 * Tells kernel functions that a program calls which struct_ops map it belongs to; the program keeps the map. Only one map
 * at a time: EBUSY for another one. BPF_PROG_ASSOC_STRUCT_OPS, Linux 7.0; libbpf: `bpf_prog_assoc_struct_ops`.
 *
 * @throws SystemCallError
 */
export function progAssocStructOps({ program, map, flags }: ProgramMapOptions): void {
  bpf("PROG_ASSOC_STRUCT_OPS", progAssocStructOpsLayout, { map_fd: map, prog_fd: program, flags });
}

/** UAPI linux/bpf.h: BPF_STDOUT, BPF_STDERR. */
const streams = { stdout: 1, stderr: 2 } as const;

/** What a program writes to: by itself (`stdout`), and the kernel about it (`stderr`). */
export type ProgramStream = keyof typeof streams;

/**
 * Takes out of a program's stream what fits into `into`; 0 bytes when the stream is empty. BPF_PROG_STREAM_READ_BY_FD,
 * Linux 6.17 (EINVAL before); libbpf: `bpf_prog_stream_read`.
 *
 * @returns how many bytes were read
 * @throws SystemCallError, ArgumentError
 */
export function progStreamRead(program: FdLike, stream: ProgramStream, into: Uint8Array): number {
  if (!Object.hasOwn(streams, stream)) throw new ArgumentError(`a stream is stdout or stderr, not ${String(stream)}`);
  const values = { stream_buf: into, stream_buf_len: into.length, stream_id: streams[stream], prog_fd: program };
  return bpf("PROG_STREAM_READ_BY_FD", streamReadLayout, values);
}
