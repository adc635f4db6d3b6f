// Kernel symbols into the instructions that refer to them (libbpf.md 3.7 point 6).

import {
  BPF_CALL_INSN,
  BPF_PSEUDO,
  Opcode,
  opcodeAt,
  setImm,
  setLdimm64,
  setOff,
  setSource,
  writeInsn,
} from "../insn/index.js";
import type { ExternSpec, LinkedProgram } from "../object/index.js";
import type { KernelSymbolTable } from "./extern-ksyms.js";

/** Call number that stands for a weak function which the kernel lacks: 2002000000 + index among the object's externs. */
export const KFUNC_POISON_BASE = 2002000000;

/**
 * Writes kernel symbols into a linked program, in place. What is missing has the address 0, so that a program can test
 * it; a call of it becomes one that the log fix-up recognises if the verifier finds it reachable.
 */
export function resolveExterns(
  { insns, relocations }: LinkedProgram,
  externs: readonly ExternSpec[],
  { symbols }: KernelSymbolTable,
): void {
  for (const relocation of relocations) {
    if (relocation.kind !== "extern") continue;
    const { insnIndex: at, extern } = relocation;
    const symbol = symbols.get(extern);
    if (opcodeAt(insns, at) === Opcode.CALL) {
      if (symbol?.kind === "type") {
        setSource(insns, at, BPF_PSEUDO.KFUNC_CALL);
        setOff(insns, at, symbol.fdIndex);
        setImm(insns, at, symbol.typeId);
      } else {
        writeInsn(insns, at, { ...BPF_CALL_INSN, imm: KFUNC_POISON_BASE + externs.indexOf(extern) });
      }
    } else if (symbol?.kind === "type") {
      setSource(insns, at, BPF_PSEUDO.BTF_ID);
      setImm(insns, at, symbol.typeId);
      setImm(insns, at + 1, symbol.btfFd);
    } else {
      setLdimm64(insns, at, symbol?.address ?? 0n);
    }
  }
}
