// Makes one self-contained program out of an entry program and the functions it reaches: the kernel knows no linker
// (libbpf.md 3.7 point 5).

import { hostIsLittleEndian } from "../btf/index.js";
import { ArgumentError, ObjectError } from "../errors.js";
import { BPF_PSEUDO, INSN_SIZE, setImm, setSource } from "../insn/index.js";
import { log } from "../log.js";
import type { FunctionSpec, ProgramSpec, RelocationSpec } from "./spec.js";

/** A relocation that linking leaves to the loader. */
export type LinkedRelocation = Extract<RelocationSpec, { readonly kind: "map" | "data" | "extern" | "jumpTable" }>;

/** A function and where its first instruction lies in the linked program. */
export interface LinkedFunction {
  readonly spec: FunctionSpec;
  readonly insnIndex: number;
}

/** An entry program with all its sub-programs, ready for the remaining relocations. */
export interface LinkedProgram {
  /** 8 bytes an instruction, little-endian; a copy. */
  readonly insns: Uint8Array;
  /** Sorted by `insnIndex`, which counts in the linked program. */
  readonly relocations: readonly LinkedRelocation[];
  /** The entry program first, then sub-programs in the order of their first use. */
  readonly functions: readonly LinkedFunction[];
  /** `struct bpf_func_info` records: { insn_off, type_id }, 8 bytes each; undefined when there are none. */
  readonly funcInfo: Uint8Array | undefined;
  /** `struct bpf_line_info` records: { insn_off, file_name_off, line_off, line_col }, 16 bytes each. */
  readonly lineInfo: Uint8Array | undefined;
}

/**
 * Appends every function that `program` reaches, each once, in the order of first use, depth first; computes the
 * distances of calls and function addresses anew; merges func_info and line_info.
 *
 * libbpf: `bpf_object__relocate_calls`.
 *
 * @param functionInsns the instructions of a function, CO-RE relocations applied; same length as `insns` of its spec
 * @throws ObjectError `OBJECT_UNSUPPORTED` when the program needs something that bpfkit does not handle, `OBJECT_INVALID`
 *   when a sub-program lacks the debug information that the program has
 */
export function linkProgram(program: ProgramSpec, functionInsns: (spec: FunctionSpec) => Uint8Array): LinkedProgram {
  const functions = layOut(program);
  const last = functions.at(-1)!;
  const insns = new Uint8Array(last.insnIndex * INSN_SIZE + last.spec.insns.length);
  const positions = new Map(functions.map(({ spec, insnIndex }) => [spec, insnIndex]));
  const relocations: LinkedRelocation[] = [];
  for (const { spec, insnIndex: start } of functions) {
    const own = functionInsns(spec);
    if (own.length !== spec.insns.length) {
      throw new ArgumentError(`${own.length} bytes of instructions instead of ${spec.insns.length}`, {
        program: spec.name,
      });
    }
    insns.set(own, start * INSN_SIZE);
    for (const relocation of spec.relocations) {
      const insnIndex = start + relocation.insnIndex;
      if (relocation.kind === "call" || relocation.kind === "function") {
        // Both count from the instruction that follows, also behind the first half of a 64-bit load (UAPI linux/bpf.h).
        setImm(insns, insnIndex, positions.get(relocation.target)! - insnIndex - 1);
        if (relocation.kind === "function") setSource(insns, insnIndex, BPF_PSEUDO.FUNC);
      } else if (relocation.kind === "unsupported") {
        throw unsupportedReference(spec, relocation);
      } else if (relocation.kind === "jumpTable") {
        relocations.push({ ...relocation, insnIndex, targets: relocation.targets.map((target) => start + target) });
      } else {
        relocations.push({ ...relocation, insnIndex });
      }
    }
  }
  return { insns, relocations, functions, funcInfo: mergeFuncInfo(functions), lineInfo: mergeLineInfo(functions) };
}

/** Puts functions one behind the other, as libbpf's recursion would: what a function calls comes right after it. */
function layOut(program: ProgramSpec): LinkedFunction[] {
  const functions: LinkedFunction[] = [];
  const placed = new Set<FunctionSpec>();
  let end = 0;
  // A stack instead of recursion: a chain of calls can be as long as the object has functions. The exception callback is
  // called by nobody, so it comes last.
  const pending: FunctionSpec[] = [program];
  if (program.exceptionCallback !== undefined) pending.unshift(program.exceptionCallback);
  for (let spec = pending.pop(); spec !== undefined; spec = pending.pop()) {
    if (placed.has(spec)) continue;
    placed.add(spec);
    functions.push({ spec, insnIndex: end });
    end += spec.insns.length / INSN_SIZE;
    for (const relocation of [...spec.relocations].reverse()) {
      if (relocation.kind === "call" || relocation.kind === "function") pending.push(relocation.target);
    }
  }
  return functions;
}

function mergeFuncInfo(functions: readonly LinkedFunction[]): Uint8Array | undefined {
  if (!hasInfo(functions, "function", ({ funcTypeId }) => funcTypeId !== 0)) return undefined;
  return littleEndianBytes(Uint32Array.from(functions.flatMap(({ spec, insnIndex }) => [insnIndex, spec.funcTypeId])));
}

function mergeLineInfo(functions: readonly LinkedFunction[]): Uint8Array | undefined {
  if (!hasInfo(functions, "line", ({ lineInfo }) => lineInfo.length > 0)) return undefined;
  const merged = new Uint32Array(functions.reduce((sum, { spec }) => sum + spec.lineInfo.words.length, 0));
  let from = 0;
  for (const { spec, insnIndex } of functions) {
    const { words, width } = spec.lineInfo;
    const to = from + words.length;
    merged.set(words, from);
    // The kernel counts instructions where the file counts bytes; the other words are the same.
    for (let at = from; at < to; at += width) merged[at] = insnIndex + ((merged[at]! / INSN_SIZE) | 0);
    from = to;
  }
  return littleEndianBytes(merged);
}

/** The entry program decides whether there is information at all; then every function must have it. */
function hasInfo(
  functions: readonly LinkedFunction[],
  what: "function" | "line",
  has: (spec: FunctionSpec) => boolean,
): boolean {
  const [{ spec: program }, ...rest] = functions as [LinkedFunction, ...LinkedFunction[]];
  if (!has(program)) {
    if (rest.some(({ spec }) => has(spec))) {
      log.warn(`program ${program.name}: no ${what} information in .BTF.ext, that of its sub-programs is left out too`);
    }
    return false;
  }
  const without = rest.find(({ spec }) => !has(spec));
  if (without === undefined) return true;
  throw new ObjectError("OBJECT_INVALID", `no ${what} information in .BTF.ext, but program ${program.name} has it`, {
    section: without.spec.sectionName,
    offset: without.spec.sectionOffset,
    program: without.spec.name,
    hint: "compile all files of the object with -g",
  });
}

/** The words as bytes, in place where the machine has the byte order. */
function littleEndianBytes(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  if (hostIsLittleEndian) return bytes;
  const view = new DataView(bytes.buffer);
  words.forEach((word, i) => {
    view.setUint32(i * 4, word, true);
  });
  return bytes;
}

function unsupportedReference(
  spec: FunctionSpec,
  { insnIndex, what }: Extract<RelocationSpec, { readonly kind: "unsupported" }>,
): ObjectError {
  return new ObjectError("OBJECT_UNSUPPORTED", `the program uses ${what}`, {
    section: spec.sectionName,
    offset: spec.sectionOffset + insnIndex * INSN_SIZE,
    program: spec.name,
    hint: "switch autoload off for this program",
  });
}
