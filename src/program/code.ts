// A program as it is given to the kernel: relocated instructions, and what .BTF.ext says of them in the kernel's layout.

import { ArgumentError } from "../errors.js";
import { INSN_SIZE } from "../insn/index.js";

/** Relocated instructions with their debug information. */
export interface ProgramCode {
  /** 8 bytes an instruction, little-endian. */
  readonly insns: Uint8Array;
  /** `struct bpf_func_info` records. */
  readonly funcInfo: Uint8Array | undefined;
  /** `struct bpf_line_info` records. */
  readonly lineInfo: Uint8Array | undefined;
}

/** A function of a program. UAPI: `struct bpf_func_info`. */
export interface FuncInfo {
  /** Index of its first instruction in the program. */
  readonly insnIndex: number;
  /** BTF id of the FUNC, in the object's BTF. */
  readonly typeId: number;
}

/** The source line of an instruction and of those that follow it. UAPI: `struct bpf_line_info`. */
export interface LineInfo {
  readonly insnIndex: number;
  /** For `obj.btf.string()`: the name of the source file. */
  readonly fileNameOffset: number;
  /** For `obj.btf.string()`: the text of the line. */
  readonly lineOffset: number;
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
}

const FUNC_INFO_SIZE = 8;
const LINE_INFO_SIZE = 16;

export function readFuncInfo(bytes: Uint8Array | undefined): FuncInfo[] {
  return records(bytes, FUNC_INFO_SIZE, (word) => ({ insnIndex: word(0), typeId: word(1) }));
}

export function readLineInfo(bytes: Uint8Array | undefined): LineInfo[] {
  return records(bytes, LINE_INFO_SIZE, (word) => ({
    insnIndex: word(0),
    fileNameOffset: word(1),
    lineOffset: word(2),
    line: word(3) >>> 10,
    column: word(3) & 0x3ff,
  }));
}

function records<T>(bytes: Uint8Array | undefined, size: number, read: (word: (index: number) => number) => T): T[] {
  if (bytes === undefined) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: T[] = [];
  for (let at = 0; at + size <= bytes.length; at += size) {
    found.push(read((index) => view.getUint32(at + index * 4, true)));
  }
  return found;
}

/** The kernel's own limit, BPF_COMPLEXITY_LIMIT_INSNS. */
const MAX_INSNS = 1_000_000;

/**
 * The same program with other instructions, copied.
 *
 * @throws ArgumentError for what is no array of instructions
 */
export function withInsns(code: ProgramCode, insns: Uint8Array): ProgramCode {
  if (!(insns instanceof Uint8Array) || insns.length === 0 || insns.length % INSN_SIZE !== 0) {
    throw new ArgumentError(`insns must be a Uint8Array of whole instructions, ${INSN_SIZE} bytes each`);
  }
  if (insns.length > MAX_INSNS * INSN_SIZE) throw new ArgumentError(`a program has at most ${MAX_INSNS} instructions`);
  const copy = new Uint8Array(insns);
  if (insns.length === code.insns.length) return { ...code, insns: copy };
  return { insns: copy, funcInfo: undefined, lineInfo: undefined };
}
