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
  SymbolType,
} from "../elf/index.js";
import { ObjectError, withLocation } from "../errors.js";
import { BPF_PSEUDO, INSN_SIZE, type Insn, isLdimm64, Opcode, readInsn } from "../insn/index.js";
import { type Externs, isExtern } from "./externs.js";
import type { FunctionDraft, ObjectFunctions } from "./functions.js";
import { JumpTables } from "./jump-tables.js";
import { sectionKind } from "./section-kinds.js";
import type { ObjectSections } from "./section-walk.js";
import type { FunctionSpec, MapSpec, RelocationSpec } from "./spec.js";

/** Everything that an instruction can refer to. */
export interface RelocationTargets {
  readonly elf: ElfFile;
  readonly sections: ObjectSections;
  readonly functions: ObjectFunctions;
  /** By the offset of the variable in `.maps`. */
  readonly maps: ReadonlyMap<number, MapSpec>;
  /** By section index; the arena by that of its variables. */
  readonly dataMaps: ReadonlyMap<number, MapSpec>;
  readonly externs: Externs;
  /** The map of the Kconfig externs, if there are any. */
  readonly kconfig: MapSpec | undefined;
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
  for (const { section, functions: inSection } of functions.sections.values()) {
    withLocation({ section: section.name }, () => {
      const relocations = inOrder(bySection.get(section.index) ?? []);
      let next = 0;
      for (const target of inSection) {
        // What lies between functions is code without a symbol, left by a linker of a weak function that it overrode.
        const first = indexFrom(relocations, next, target.sectionOffset);
        next = indexFrom(relocations, first, target.sectionOffset + target.insns.length);
        const own = relocations.slice(first, next);
        withLocation({ program: target.name }, () => collect(resolver, target, own));
      }
    });
  }
}

/** Sorted by offset, and checked to concern an instruction each. */
function inOrder(relocations: ElfRelocation[]): readonly ElfRelocation[] {
  relocations.sort((a, b) => a.offset - b.offset);
  let previous = -1;
  for (const { offset } of relocations) {
    if (offset % INSN_SIZE !== 0) throw invalid("a relocation between two instructions", offset);
    if (offset === previous) throw invalid("a second relocation of the same instruction", offset);
    previous = offset;
  }
  return relocations;
}

/** Index of the first relocation from `start` on whose offset is at least `offset`. */
function indexFrom(relocations: readonly ElfRelocation[], start: number, offset: number): number {
  let index = start;
  while (index < relocations.length && relocations[index]!.offset < offset) index++;
  return index;
}

function collect(resolver: Resolver, target: FunctionDraft, relocations: readonly ElfRelocation[]): void {
  const { insns, sectionOffset } = target;
  let next = 0;
  // Bytes instead of the insn room's functions: this loop sees every instruction, and runs but once.
  for (let at = 0; at < insns.length; at += INSN_SIZE) {
    const opcode = insns[at]!;
    const relocation = relocations[next];
    if (relocation?.offset === sectionOffset + at) {
      next++;
      target.relocations.push(resolver.resolve(relocation, target, at / INSN_SIZE));
    } else if (opcode === Opcode.CALL) {
      if (insns[at + 1]! >> 4 === BPF_PSEUDO.CALL) target.relocations.push(resolver.localCall(target, at / INSN_SIZE));
    } else if (opcode === Opcode.LDIMM64 && insns[at + 1]! >> 4 === BPF_PSEUDO.FUNC) {
      throw invalid("the address of a function without relocation", sectionOffset + at);
    }
    if (opcode !== Opcode.LDIMM64) continue;
    // The second half of a 64-bit load is data, whatever its opcode byte says.
    at += INSN_SIZE;
    if (relocations[next]?.offset === sectionOffset + at) {
      throw invalid("a relocation of the second half of a 64-bit load", sectionOffset + at);
    }
  }
}

/** Finds out what a symbol stands for. */
class Resolver {
  readonly #targets: RelocationTargets;
  /** Sub-programs by byte offset in `.text`. */
  readonly #subprograms: ReadonlyMap<number, FunctionSpec>;
  readonly #textIndex: number | undefined;
  #jumpTables: JumpTables | undefined;

  constructor(targets: RelocationTargets) {
    this.#targets = targets;
    this.#textIndex = targets.sections.text?.index;
    this.#subprograms = new Map(targets.functions.subprograms.map((spec) => [spec.sectionOffset, spec]));
  }

  /** What the instruction refers to, by its relocation. */
  resolve(relocation: ElfRelocation, owner: FunctionSpec, insnIndex: number): RelocationSpec {
    const { insns } = owner;
    return withLocation({ offset: relocation.offset }, () => {
      const insn = readInsn(insns, insnIndex);
      if (insn.opcode === Opcode.LDIMM64 && !isLdimm64(insns, insnIndex)) throw invalid("a load of 64 bits is cut off");
      return this.#resolve(relocation, insn, insnIndex, owner);
    });
  }

  /** The call of a static function, which needs no relocation within `.text`: the compiler has resolved it. */
  localCall(caller: FunctionSpec, insnIndex: number): RelocationSpec {
    const { sectionIndex, sectionOffset, insns } = caller;
    return withLocation({ offset: sectionOffset + insnIndex * INSN_SIZE }, () => {
      if (sectionIndex !== this.#textIndex) {
        throw invalid("a call within a section that is not .text; sub-programs have to lie in .text");
      }
      const { imm } = readInsn(insns, insnIndex);
      const target = this.#subprogram(sectionOffset + (insnIndex + imm + 1) * INSN_SIZE);
      return { kind: "call", insnIndex, target };
    });
  }

  #resolve({ type, symbolIndex }: ElfRelocation, insn: Insn, insnIndex: number, owner: FunctionSpec): RelocationSpec {
    const expected = expectedOpcodes.get(type);
    if (expected === undefined) throw invalid(`relocation type ${type}, which instructions do not have`);
    if (insn.opcode !== expected) {
      throw invalid(`a relocation of type ${type} at an instruction with opcode 0x${insn.opcode.toString(16)}`);
    }
    const symbol = this.#targets.elf.symbols[symbolIndex]!;
    if (symbol.sectionIndex === SpecialSection.UNDEF) return this.#extern(symbol, insn, insnIndex);
    const section = this.#sectionOf(symbol);
    if (insn.opcode === Opcode.CALL) return { kind: "call", insnIndex, target: this.#callee(symbol, section, insn) };
    return this.#load(symbol, section, insn, insnIndex, owner);
  }

  #extern(symbol: ElfSymbol, insn: Insn, insnIndex: number): RelocationSpec {
    const { name } = symbol;
    if (!isExtern(symbol)) throw invalid(`symbol \`${name}\` is undefined and no extern either`);
    const { externs, kconfig } = this.#targets;
    const extern = externs.get(name);
    const isCall = insn.opcode === Opcode.CALL;
    if (isCall && extern.kind !== "ksymFunction") throw invalid(`a call of \`${name}\`, which is no function`);
    if (extern.kind !== "kconfig") return { kind: "extern", insnIndex, extern };
    // There is a map when there is an extern for it.
    return { kind: "data", insnIndex, map: kconfig!, offset: extern.offset };
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

  #load(symbol: ElfSymbol, section: ElfSection, { imm }: Insn, insnIndex: number, owner: FunctionSpec): RelocationSpec {
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
    const kind = sectionKind(section);
    if (kind === "jumpTables") {
      this.#jumpTables ??= new JumpTables(section, this.#targets.elf.littleEndian);
      const targets = this.#jumpTables.targets(symbol, owner);
      return { kind: "jumpTable", insnIndex, tableOffset: symbol.value, targets };
    }
    if (kind === "structOps") {
      return { kind: "unsupported", insnIndex, sectionName: section.name, what: "struct_ops variables" };
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
