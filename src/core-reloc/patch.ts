// Writes a resolved relocation into its instruction, or replaces the instruction by one that the verifier refuses where
// it is reachable (libbpf.md 4.12; width of loads and stores 4.11). Instructions are little-endian, as everywhere.

import { CoreRelocationError } from "../errors.js";
import {
  BPF_CALL_INSN,
  type Insn,
  InsnClass,
  InsnSize,
  InsnSource,
  isLdimm64,
  ldimm64At,
  readInsn,
  setImm,
  setLdimm64,
  setOff,
  writeInsn,
} from "../insn/index.js";
import type { Resolution } from "./values.js";

/**
 * Number of the helper whose call stands for a relocation that failed, 0xbad2310. There is no such helper: the verifier
 * drops the call with dead code, and otherwise refuses the program with this number in its log (libbpf.md 3.9).
 */
export const CORE_POISON_CALL = 195896080;

const poisonInsn: Insn = { ...BPF_CALL_INSN, imm: CORE_POISON_CALL };

/**
 * Patches instruction `index` of `insns`; true when it was poisoned.
 *
 * CoreRelocationError when the instruction has no place for a value, does not hold the expected one, or the new value
 * does not fit; the instruction is untouched then. libbpf: `bpf_core_patch_insn`.
 */
export function patchInsn(insns: Uint8Array, index: number, resolution: Resolution): boolean {
  if (resolution.poison) {
    poison(insns, index);
    return true;
  }
  const insn = readInsn(insns, index);
  switch (insn.opcode & CLASS_MASK) {
    case InsnClass.ALU:
    case InsnClass.ALU64:
      patchImmediate(insns, index, insn, resolution);
      return false;
    case InsnClass.LDX:
    case InsnClass.ST:
    case InsnClass.STX:
      return patchAccess(insns, index, insn, resolution);
    case InsnClass.LD:
      patchLdimm64(insns, index, insn, resolution);
      return false;
    default:
      throw invalid(`an instruction with opcode 0x${insn.opcode.toString(16)} cannot be relocated`);
  }
}

function poison(insns: Uint8Array, index: number): void {
  // The second half alone would be reported as an unknown opcode, which hides the reason.
  if (isLdimm64(insns, index)) writeInsn(insns, index + 1, poisonInsn);
  writeInsn(insns, index, poisonInsn);
}

function patchImmediate(insns: Uint8Array, index: number, insn: Insn, resolution: Resolution): void {
  if ((insn.opcode & SOURCE_MASK) !== InsnSource.K) throw invalid("the arithmetic instruction has no immediate");
  expectOriginal(insn.imm, resolution);
  setImm(insns, index, resolution.valueNumber);
}

function patchLdimm64(insns: Uint8Array, index: number, insn: Insn, resolution: Resolution): void {
  // Only a plain number: a pseudo source or any trace of another instruction in the second half means stale records.
  if (!isLdimm64(insns, index) || insn.src !== 0 || insn.off !== 0)
    throw invalid("the instruction is no plain ldimm64");
  const second = readInsn(insns, index + 1);
  if (second.opcode !== 0 || second.dst !== 0 || second.src !== 0 || second.off !== 0) {
    throw invalid("the second half of the ldimm64 is not empty");
  }
  const { validate, original } = resolution;
  const held = ldimm64At(insns, index);
  if (validate && held !== original) throw unexpected(held, original);
  setLdimm64(insns, index, resolution.value);
}

/** Loads and stores: the offset, and the width where the field has another size in the target. */
function patchAccess(insns: Uint8Array, index: number, insn: Insn, resolution: Resolution): boolean {
  const { value, valueNumber, originalSize, size } = resolution;
  expectOriginal(insn.off, resolution);
  if (value > MAX_OFFSET)
    throw invalid(`the field's offset ${value} exceeds ${MAX_OFFSET}, the range of the instruction`);
  if (resolution.sizeConflict) {
    poison(insns, index);
    return true;
  }
  if (size === originalSize) {
    setOff(insns, index, valueNumber);
    return false;
  }
  const width = insn.opcode & SIZE_MASK;
  if (widthBySize.get(originalSize) !== width) {
    throw invalid(`the instruction does not access all ${originalSize} bytes of the field, so it cannot be resized`);
  }
  const newWidth = widthBySize.get(size);
  if (newWidth === undefined) throw invalid(`no instruction accesses ${size} bytes`);
  writeInsn(insns, index, { ...insn, opcode: (insn.opcode & ~SIZE_MASK) | newWidth, off: valueNumber });
  return false;
}

const CLASS_MASK = 0x07;
const SOURCE_MASK = InsnSource.X;
const SIZE_MASK = 0x18;
const MAX_OFFSET = 0x7fffn;

const widthBySize: ReadonlyMap<number, number> = new Map([
  [1, InsnSize.B],
  [2, InsnSize.H],
  [4, InsnSize.W],
  [8, InsnSize.DW],
]);

/**
 * The instruction and the local types must agree, or .BTF.ext does not belong to this code. `held` is sign-extended, as
 * the CPU does with immediates and offsets.
 */
function expectOriginal(held: number, { validate, original, originalNumber }: Resolution): void {
  if (validate && held !== originalNumber) throw unexpected(BigInt.asUintN(64, BigInt(held)), original);
}

function unexpected(held: bigint, original: bigint): CoreRelocationError {
  return invalid(
    `the instruction holds ${held} where the local types give ${original}: code and BTF do not belong together`,
  );
}

function invalid(reason: string): CoreRelocationError {
  return new CoreRelocationError("CORE_INVALID", reason);
}
