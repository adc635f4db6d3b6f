// The smallest programs for probes: one that counts its runs in an array, so that "works" means "attached and ran".

import { bpf, call, type Field, ProbeError, struct, text } from "./calls.js";

const MAP_CREATE = 0;
const MAP_LOOKUP = 1;
const PROG_LOAD = 5;
const BTF_LOAD = 18;
const ARRAY = 2;

/** Program types (enum bpf_prog_type). */
export const Type = {
  socketFilter: 1,
  kprobe: 2,
  schedCls: 3,
  tracepoint: 5,
  xdp: 6,
  perfEvent: 7,
  cgroupSkb: 8,
  lwtXmit: 12,
  skSkb: 14,
  rawTracepoint: 17,
  cgroupSockAddr: 18,
  skReuseport: 21,
  rawTracepointWritable: 24,
  tracing: 26,
  ext: 28,
  lsm: 29,
  skLookup: 30,
  syscall: 31,
  netfilter: 32,
} as const;

/** What a program is loaded with, beside its type. */
export interface ProgramOptions {
  readonly expectedAttachType?: number;
  readonly attachBtfId?: number;
  readonly flags?: number;
  /** What the program returns. */
  readonly result?: number;
  /** Instructions instead of the counting program. */
  readonly body?: Uint8Array;
  /** More of the request. */
  readonly more?: readonly Field[];
}

/** One instruction. */
function insn(opcode: number, dst = 0, src = 0, offset = 0, imm = 0): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  bytes[0] = opcode;
  bytes[1] = dst | (src << 4);
  view.setInt16(2, offset, true);
  view.setInt32(4, imm, true);
  return bytes;
}

/** `call helper; return 0`: loads only where the helper exists and the type may call it. */
export function callingProgram(helper: number): Uint8Array {
  return joined(insn(0x85, 0, 0, 0, helper), insn(0xb7), insn(0x95));
}

/** `r1 = address of the kernel symbol with this BTF id; return 0`. */
export function addressProgram(btfId: number): Uint8Array {
  const BPF_PSEUDO_BTF_ID = 3;
  return joined(insn(0x18, 1, BPF_PSEUDO_BTF_ID, 0, btfId), insn(0), insn(0xb7), insn(0x95));
}

/** `r0 = 8 bytes of the context; return 0`. */
export function readingProgram(offset: number): Uint8Array {
  return joined(insn(0x79, 0, 1, offset), insn(0xb7), insn(0x95));
}

/** `r0 = 0; r0 = (s8)r0; return`: a move of the fourth instruction set. Older kernels want its offset to be 0. */
export function signedMoveProgram(): Uint8Array {
  return joined(insn(0xb7), insn(0xbf, 0, 0, 8), insn(0x95));
}

/** `return f()`, and `f` behind it, which returns 0. */
export function nestedProgram(): Uint8Array {
  const BPF_PSEUDO_CALL = 1;
  return joined(insn(0x85, 0, BPF_PSEUDO_CALL, 0, 1), insn(0x95), insn(0xb7), insn(0x95));
}

/** A descriptor of a program; the caller closes it. */
export function load(type: number, counter: number, options: ProgramOptions = {}): number {
  const body = options.body ?? countingProgram(counter, options.result ?? 0);
  const fields: Field[] = [
    [0, "u32", type],
    [4, "u32", body.length / 8],
    [8, "u64", body],
    [16, "u64", text("GPL")],
    [44, "u32", options.flags ?? 0],
    [68, "u32", options.expectedAttachType ?? 0],
    [108, "u32", options.attachBtfId ?? 0],
    ...(options.more ?? []),
  ];
  return bpf(PROG_LOAD, 120, fields, `load of a program of type ${type}`);
}

/** A descriptor of a map; the caller closes it. */
export function createMap(
  type: number,
  key: number,
  value: number,
  entries: number,
  flags = 0,
  more: readonly Field[] = [],
): number {
  const shape: Field[] = [
    [0, "u32", type],
    [4, "u32", key],
    [8, "u32", value],
    [12, "u32", entries],
    [16, "u32", flags],
  ];
  return bpf(MAP_CREATE, 72, [...shape, ...more], `map of type ${type}`);
}

/** The array that counting programs count in. */
export function createCounter(): number {
  return createMap(ARRAY, 4, 8, 1);
}

/** Fails unless the counting program ran at least once during `trigger`. */
export function expectRuns(counter: number, trigger: () => unknown): void {
  const before = runs(counter);
  trigger();
  if (runs(counter) <= before) throw new ProbeError("attached, but it never ran");
}

/** What most probes are triggered by: a cheap system call that nothing else makes. */
export function getpgid(): void {
  for (let i = 0; i < 3; i++) call("getpgid", process.pid);
}

/** A descriptor of BTF made of these type records (u32 words) over these names; the caller closes it. */
export function loadBtf(words: readonly number[], names: string): number {
  const header = 24;
  const strings = text(names);
  const types = words.length * 4;
  const blob = new Uint8Array(header + types + strings.length);
  const view = new DataView(blob.buffer);
  view.setUint16(0, 0xeb9f, true);
  view.setUint8(2, 1);
  for (const [index, word] of [header, 0, types, types, strings.length].entries())
    view.setUint32(4 + index * 4, word, true);
  for (const [index, word] of words.entries()) view.setUint32(header + index * 4, word, true);
  blob.set(strings, header + types);
  return bpf(
    BTF_LOAD,
    28,
    [
      [0, "u64", blob],
      [16, "u32", blob.length],
    ],
    "BTF",
  );
}

function countingProgram(counter: number, result: number): Uint8Array {
  return joined(
    // r1 = address of the counter's value, lock *r1 += 1, return result
    insn(0x18, 1, 2, 0, counter),
    insn(0),
    insn(0xb7, 2, 0, 0, 1),
    insn(0xdb, 1, 2),
    insn(0xb7, 0, 0, 0, result),
    insn(0x95),
  );
}

function joined(...insns: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(insns.length * 8);
  for (const [index, one] of insns.entries()) bytes.set(one, index * 8);
  return bytes;
}

function runs(counter: number): bigint {
  const key = new Uint8Array(4);
  const value = struct(8, []);
  bpf(
    MAP_LOOKUP,
    32,
    [
      [0, "u32", counter],
      [8, "u64", key],
      [16, "u64", value],
    ],
    "map lookup",
  );
  return new DataView(value.buffer).getBigUint64(0, true);
}
