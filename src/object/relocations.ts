// Which instructions refer to something outside their function, and to what (libbpf.md 3.1 step 9). Nothing is patched
// here; the records go into the functions.

import {
  BpfRelocationType,
  type ElfFile,
  type ElfRelocation,
  type ElfSection,
  type ElfSymbol,
  parseRelocations,
  SectionType,
  SpecialSection,
  SymbolBinding,
  SymbolType,
} from "../elf/index.js";
import { ObjectError, withLocation } from "../errors.js";
import { BPF_PSEUDO, INSN_SIZE, type Insn, Opcode, opcodeAt, readInsn } from "../insn/index.js";
import { log } from "../log.js";
import type { Externs } from "./externs.js";
import { type CodeSection, type FunctionDraft, functionAt, type ObjectFunctions } from "./functions.js";
import { sectionKind, unsupportedFeature } from "./section-kinds.js";
import type { ObjectSections } from "./section-walk.js";
import type { FunctionSpec, MapSpec, RelocationSpec } from "./spec.js";

/** Everything that an instruction can refer to. */
export interface RelocationTargets {
  readonly elf: ElfFile;
  readonly sections: ObjectSections;
  readonly functions: ObjectFunctions;
  /** By the offset of the variable in `.maps`. */
  readonly maps: ReadonlyMap<number, MapSpec>;
  /** By section index. */
  readonly dataMaps: ReadonlyMap<number, MapSpec>;
  readonly externs: Externs;
}

/**
 * Fills in `relocations` of every function: those of the file, and calls of static functions that the compiler has
 * resolved by itself.
 *
 * @throws ObjectError for relocations that no BPF compiler writes; BtfError for an extern without type information
 */
export function collectRelocations(targets: RelocationTargets): void {
  const { elf, sections, functions } = targets;
  const resolver = new Resolver(targets);
  const bySection = new Map<number, ElfRelocation[]>();
  for (const section of sections.codeRelocations) {
    if (section.type === SectionType.RELA) {
      throw new ObjectError("OBJECT_UNSUPPORTED", "relocations with addends (SHT_RELA)", { section: section.name });
    }
    const list = bySection.get(section.info) ?? [];
    bySection.set(section.info, list);
    for (const relocation of parseRelocations(elf, section)) list.push(relocation);
  }
  for (const code of functions.sections.values()) {
    withLocation({ section: code.section.name }, () => {
      const byFunction = distribute(code, bySection.get(code.section.index) ?? []);
      for (const target of code.functions) {
        withLocation({ program: target.name }, () => collect(resolver, target, byFunction.get(target) ?? new Map()));
      }
    });
  }
}

/** The relocations of one function by instruction index. */
type FunctionRelocations = Map<number, ElfRelocation>;

function distribute(
  { functions }: CodeSection,
  all: readonly ElfRelocation[],
): Map<FunctionDraft, FunctionRelocations> {
  const byFunction = new Map<FunctionDraft, FunctionRelocations>();
  for (const relocation of all) {
    const { offset } = relocation;
    if (offset % INSN_SIZE !== 0) throw invalid("a relocation between two instructions", offset);
    const target = functionAt(functions, offset);
    if (target === undefined) {
      // What a linker leaves of a weak function that it overrode is code without a symbol.
      log.debug(() => `relocation at offset 0x${offset.toString(16)} belongs to no function, skipped`);
      continue;
    }
    const list: FunctionRelocations = byFunction.get(target) ?? new Map();
    byFunction.set(target, list);
    const index = (offset - target.sectionOffset) / INSN_SIZE;
    if (list.has(index)) throw invalid("a second relocation of the same instruction", offset);
    list.set(index, relocation);
  }
  return byFunction;
}

function collect(resolver: Resolver, target: FunctionDraft, pending: FunctionRelocations): void {
  const { insns, sectionOffset } = target;
  const count = insns.length / INSN_SIZE;
  for (let index = 0; index < count; index++) {
    const opcode = opcodeAt(insns, index);
    const relocation = pending.get(index);
    if (relocation !== undefined) {
      pending.delete(index);
      const insn = readInsn(insns, index);
      const spec = withLocation({ offset: relocation.offset }, () => {
        if (opcode === Opcode.LDIMM64 && index + 1 === count) throw invalid("a load of 64 bits is cut off");
        return resolver.resolve(relocation, insn, index);
      });
      target.relocations.push(spec);
    } else if (opcode === Opcode.CALL || opcode === Opcode.LDIMM64) {
      const callee = withLocation({ offset: sectionOffset + index * INSN_SIZE }, () =>
        resolver.localCallee(target, index, readInsn(insns, index)),
      );
      if (callee !== undefined) target.relocations.push({ kind: "call", insnIndex: index, target: callee });
    }
    // The second half of a 64-bit load is data, whatever its opcode byte says.
    if (opcode === Opcode.LDIMM64) index++;
  }
  for (const { offset } of pending.values()) throw invalid("a relocation of the second half of a 64-bit load", offset);
}

/** Finds out what a symbol stands for. */
class Resolver {
  readonly #targets: RelocationTargets;
  /** Sub-programs by byte offset in `.text`. */
  readonly #subprograms: ReadonlyMap<number, FunctionSpec>;
  readonly #textIndex: number | undefined;

  constructor(targets: RelocationTargets) {
    this.#targets = targets;
    this.#textIndex = targets.sections.text?.index;
    this.#subprograms = new Map(targets.functions.subprograms.map((spec) => [spec.sectionOffset, spec]));
  }

  resolve({ type, symbolIndex }: ElfRelocation, insn: Insn, insnIndex: number): RelocationSpec {
    const expected = expectedOpcodes.get(type);
    if (expected === undefined) throw invalid(`relocation type ${type}, which instructions do not have`);
    if (insn.opcode !== expected) {
      throw invalid(`a relocation of type ${type} at an instruction with opcode 0x${insn.opcode.toString(16)}`);
    }
    const symbol = this.#targets.elf.symbols[symbolIndex]!;
    if (symbol.sectionIndex === SpecialSection.UNDEF) return this.#extern(symbol, insn, insnIndex);
    const section = this.#sectionOf(symbol);
    if (insn.opcode === Opcode.CALL) return { kind: "call", insnIndex, target: this.#callee(symbol, section, insn) };
    return this.#load(symbol, section, insn, insnIndex);
  }

  /** The function that a call without relocation reaches; undefined for calls of helpers and plain 64-bit loads. */
  localCallee(caller: FunctionSpec, insnIndex: number, { opcode, src, imm }: Insn): FunctionSpec | undefined {
    if (opcode === Opcode.LDIMM64) {
      if (src === BPF_PSEUDO.FUNC) throw invalid("the address of a function without relocation");
      return undefined;
    }
    if (src !== BPF_PSEUDO.CALL) return undefined;
    if (caller.sectionIndex !== this.#textIndex) {
      throw invalid("a call within a section that is not .text; sub-programs have to lie in .text");
    }
    return this.#subprogram(caller.sectionOffset + (insnIndex + imm + 1) * INSN_SIZE);
  }

  #extern({ name, type, binding }: ElfSymbol, insn: Insn, insnIndex: number): RelocationSpec {
    const weak = binding === SymbolBinding.WEAK;
    if (type !== SymbolType.NOTYPE || name === "" || !(weak || binding === SymbolBinding.GLOBAL)) {
      throw invalid(`symbol \`${name}\` is undefined and no extern either`);
    }
    const { sectionName, typeId, isFunction } = this.#targets.externs.declaration(name);
    if (insn.opcode === Opcode.CALL && !isFunction) throw invalid(`a call of \`${name}\`, which is no function`);
    return { kind: "extern", insnIndex, name, weak, sectionName, typeId };
  }

  #sectionOf({ name, sectionIndex }: ElfSymbol): ElfSection {
    const section = this.#targets.elf.sections[sectionIndex];
    if (section !== undefined) return section;
    if (sectionIndex === SpecialSection.COMMON) {
      throw new ObjectError("OBJECT_UNSUPPORTED", `\`${name}\` is a common symbol`, {
        hint: "initialise the variable, or compile with -fno-common",
      });
    }
    throw invalid(`symbol \`${name}\` lies in special section 0x${sectionIndex.toString(16)}`);
  }

  #callee(symbol: ElfSymbol, section: ElfSection, { src, imm }: Insn): FunctionSpec {
    if (src !== BPF_PSEUDO.CALL) throw invalid(`a call of \`${symbol.name}\` that is marked as no call of a function`);
    if (section.index !== this.#textIndex) {
      throw new ObjectError("OBJECT_INVALID", `a call of \`${symbol.name}\` in section ${section.name}`, {
        hint: "programs cannot call programs: take SEC() off the called function",
      });
    }
    // Global functions: their own symbol and immediate -1. Static ones: the section's symbol, and where in it.
    return this.#subprogram(symbol.value + (imm + 1) * INSN_SIZE);
  }

  #load(symbol: ElfSymbol, section: ElfSection, { imm }: Insn, insnIndex: number): RelocationSpec {
    if (section.index === this.#textIndex && isFunctionSymbol(symbol)) {
      return { kind: "function", insnIndex, target: this.#subprogram(symbol.value + imm) };
    }
    if (section.index === this.#targets.sections.maps?.index) {
      const map = this.#targets.maps.get(symbol.value);
      if (map !== undefined) return { kind: "map", insnIndex, map };
      throw invalid(`\`${symbol.name}\` (offset 0x${symbol.value.toString(16)} of ${section.name}) is no map`);
    }
    const map = this.#targets.dataMaps.get(section.index);
    if (map !== undefined) return { kind: "data", insnIndex, map, offset: dataOffset(symbol, section, imm) };
    if (sectionKind(section) === "unsupported") {
      return { kind: "unsupported", insnIndex, sectionName: section.name, what: unsupportedFeature(section.name) };
    }
    throw invalid(`the address of \`${symbol.name}\` in section ${section.name}, which holds no data for programs`);
  }

  #subprogram(offset: number): FunctionSpec {
    const target = this.#subprograms.get(offset);
    if (target !== undefined) return target;
    throw invalid(`no function starts at offset ${offset < 0 ? "-" : ""}0x${Math.abs(offset).toString(16)} of .text`);
  }
}

/** What instruction each relocation type belongs to. */
const expectedOpcodes: ReadonlyMap<number, number> = new Map([
  [BpfRelocationType["64_64"], Opcode.LDIMM64],
  [BpfRelocationType["64_32"], Opcode.CALL],
]);

function isFunctionSymbol({ type }: ElfSymbol): boolean {
  return type === SymbolType.FUNC || type === SymbolType.SECTION;
}

/** The addend lies in the instruction. The address just behind the last variable is one that C programs may form. */
function dataOffset(symbol: ElfSymbol, section: ElfSection, addend: number): number {
  const offset = symbol.value + addend;
  if (offset >= 0 && offset <= section.size) return offset;
  throw invalid(
    `\`${symbol.name}\` ${addend < 0 ? "-" : "+"} ${Math.abs(addend)} lies outside section ${section.name}`,
  );
}

function invalid(reason: string, offset?: number): ObjectError {
  return new ObjectError("OBJECT_INVALID", reason, { offset });
}
