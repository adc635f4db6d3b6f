// From code sections and STT_FUNC symbols to functions: entry programs and sub-programs (libbpf.md 3.1 steps 3 and 8).

import {
  type CoreRelocationRecord,
  type LineInfoRecord,
  NO_CORE_RELOCATIONS,
  NO_LINE_INFO,
  type RecordList,
} from "../btf/index.js";
import {
  type ElfFile,
  type ElfSection,
  type ElfSymbol,
  SymbolBinding,
  SymbolType,
  SymbolVisibility,
} from "../elf/index.js";
import { ObjectError } from "../errors.js";
import { INSN_SIZE, swapInsns } from "../insn/index.js";
import { matchSection, type SectionFlag } from "./sections.js";
import type { FunctionSpec, ProgramSpec, RelocationSpec } from "./spec.js";
import { ProgramFlag } from "./uapi.js";

/** A function while the object is being opened: later steps fill in what they find. */
export interface FunctionDraft extends FunctionSpec {
  relocations: RelocationSpec[];
  coreRelocations: RecordList<CoreRelocationRecord>;
  funcTypeId: number;
  lineInfo: RecordList<LineInfoRecord>;
}

/** A program while the object is being opened. */
export interface ProgramDraft extends FunctionDraft, Omit<ProgramSpec, keyof FunctionSpec> {
  exceptionCallback: FunctionSpec | undefined;
}

/** The functions of one code section. */
export interface CodeSection {
  readonly section: ElfSection;
  /** Sorted by offset; they do not overlap. */
  readonly functions: readonly FunctionDraft[];
}

/** All functions of an object. */
export interface ObjectFunctions {
  /** By section index. */
  readonly sections: ReadonlyMap<number, CodeSection>;
  readonly programs: readonly ProgramDraft[];
  /** Functions of `.text`. */
  readonly subprograms: readonly FunctionDraft[];
}

/**
 * Cuts code sections into functions. Instructions come out in little-endian byte order, in memory of their own.
 *
 * @throws ObjectError for functions that are empty, misaligned, overlapping, out of bounds, or static outside `.text`
 */
export function readFunctions(elf: ElfFile, code: readonly ElfSection[]): ObjectFunctions {
  const symbols = functionSymbols(elf, code);
  const sections = new Map<number, CodeSection>();
  const programs: ProgramDraft[] = [];
  const subprograms: FunctionDraft[] = [];
  for (const section of code) {
    const insns = section.data.slice();
    if (!elf.littleEndian) swapWhole(insns);
    const isText = section.name === ".text";
    const functions: FunctionDraft[] = [];
    let end = 0;
    for (const symbol of symbols.get(section.index) ?? []) {
      checkFunction(symbol, section, end);
      end = symbol.value + symbol.size;
      const draft = functionDraft(symbol, section, insns.subarray(symbol.value, end));
      if (isText) {
        subprograms.push(draft);
        functions.push(draft);
      } else {
        if (symbol.binding === SymbolBinding.LOCAL) throw staticProgram(symbol, section);
        const program = programDraft(draft, section.name);
        programs.push(program);
        functions.push(program);
      }
    }
    sections.set(section.index, { section, functions });
  }
  refuseSameNames(programs);
  return { sections, programs, subprograms };
}

function functionSymbols(elf: ElfFile, code: readonly ElfSection[]): Map<number, ElfSymbol[]> {
  const bySection = new Map<number, ElfSymbol[]>(code.map(({ index }) => [index, []]));
  if (code.length === 0) return bySection;
  for (const symbol of elf.symbols) {
    if (symbol.type === SymbolType.FUNC) bySection.get(symbol.sectionIndex)?.push(symbol);
  }
  for (const symbols of bySection.values()) symbols.sort((a, b) => a.value - b.value);
  return bySection;
}

function checkFunction(symbol: ElfSymbol, section: ElfSection, previousEnd: number): void {
  const problem = problemOf(symbol, section.size, previousEnd);
  if (problem === undefined) return;
  throw new ObjectError("OBJECT_INVALID", `the function ${problem}`, {
    section: section.name,
    offset: symbol.value,
    program: symbol.name,
  });
}

function problemOf({ name, value, size }: ElfSymbol, sectionSize: number, previousEnd: number): string | undefined {
  if (name === "") return "has no name";
  if (size === 0) return "is empty";
  if (value % INSN_SIZE !== 0) return `does not start at a multiple of ${INSN_SIZE} bytes`;
  if (size % INSN_SIZE !== 0) return `has ${size} bytes, which are no whole number of instructions`;
  if (size > sectionSize - value) return `(${size} bytes) ends beyond its section, at 0x${sectionSize.toString(16)}`;
  if (value < previousEnd) return `overlaps the one before it, which ends at 0x${previousEnd.toString(16)}`;
  return undefined;
}

function functionDraft(symbol: ElfSymbol, section: ElfSection, insns: Uint8Array): FunctionDraft {
  return {
    name: symbol.name,
    sectionName: section.name.replace(/^\?/, ""),
    sectionIndex: section.index,
    sectionOffset: symbol.value,
    insns,
    relocations: [],
    coreRelocations: NO_CORE_RELOCATIONS,
    funcTypeId: 0,
    lineInfo: NO_LINE_INFO,
    isStatic: symbol.binding === SymbolBinding.LOCAL || isHidden(symbol),
    isWeak: symbol.binding === SymbolBinding.WEAK,
  };
}

function programDraft(draft: FunctionDraft, sectionName: string): ProgramDraft {
  const match = matchSection(sectionName);
  let flags = 0;
  for (const flag of match?.definition.flags ?? []) flags |= loadFlags[flag] ?? 0;
  return {
    ...draft,
    definition: match?.definition,
    attachTarget: match?.target,
    needsAttachBtf: match?.definition.flags.includes("attachBtf") === true,
    type: match?.definition.programType ?? 0,
    expectedAttachType: match?.definition.expectedAttachType ?? 0,
    flags,
    autoload: !sectionName.startsWith("?"),
    exceptionCallback: undefined,
  };
}

const loadFlags: Partial<Record<SectionFlag, number>> = {
  sleepable: ProgramFlag.SLEEPABLE,
  xdpFrags: ProgramFlag.XDP_HAS_FRAGS,
};

/** True for a visibility that makes the verifier treat a global function, and libbpf a global variable, as static. */
export function isHidden({ visibility }: ElfSymbol): boolean {
  return visibility === SymbolVisibility.HIDDEN || visibility === SymbolVisibility.INTERNAL;
}

function swapWhole(insns: Uint8Array): void {
  swapInsns(insns.subarray(0, insns.length - (insns.length % INSN_SIZE)));
}

function staticProgram(symbol: ElfSymbol, section: ElfSection): ObjectError {
  return new ObjectError("OBJECT_UNSUPPORTED", "a static function outside section .text", {
    section: section.name,
    offset: symbol.value,
    program: symbol.name,
    hint: "take `static` off a program, or SEC() off a sub-program",
  });
}

function refuseSameNames(programs: readonly ProgramDraft[]): void {
  const seen = new Map<string, ProgramDraft>();
  for (const program of programs) {
    const other = seen.get(program.name);
    if (other !== undefined) {
      throw new ObjectError("OBJECT_INVALID", `two programs of this name, the other in section ${other.sectionName}`, {
        section: program.sectionName,
        offset: program.sectionOffset,
        program: program.name,
      });
    }
    seen.set(program.name, program);
  }
}
