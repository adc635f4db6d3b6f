// Completes the BTF that the compiler wrote with what only the ELF file knows: sizes of data sections, offsets of their
// variables, externs, and symbols whose visibility makes them static (libbpf.md 3.1 steps 5 and 6).

import {
  Btf,
  BtfBuilder,
  type BtfDataSec,
  type BtfDataSecEntry,
  BtfKind,
  BtfLinkage,
  type BtfVar,
} from "../btf/index.js";
import { type ElfFile, type ElfSymbol, SymbolBinding, SymbolType } from "../elf/index.js";
import { ObjectError } from "../errors.js";
import { type ExternChange, externTypes } from "./extern-btf.js";
import { EXTERN_SECTIONS, type Externs } from "./externs.js";
import { isHidden } from "./functions.js";
import type { ObjectSections } from "./section-walk.js";

/** Extern sections exist in BTF only; nothing in the ELF file corresponds to them. */
const externSections: readonly string[] = EXTERN_SECTIONS;

/**
 * Returns `btf` with DATASECs completed, externs defined, and hidden variables and sub-programs made static; ids and
 * string offsets are unchanged. Returns `btf` itself when there is nothing to do.
 *
 * libbpf: `btf_finalize_data`, and the linkage part of the BTF load (libbpf.md 3.8).
 * @throws ObjectError when a data section or a variable has no counterpart in the ELF file
 */
export function fixBtf(btf: Btf, elf: ElfFile, sections: ObjectSections, externs: Externs): Btf {
  const symbols = globalSymbols(elf, sections.text?.index);
  const ofExterns = externTypes(btf, externs);
  const changes: ExternChange[] = [...ofExterns.changes];
  for (let id = btf.firstId; id < btf.typeCount; id++) {
    const kind = btf.kindOf(id);
    if (kind === BtfKind.DataSec) {
      const datasec = btf.type(id) as BtfDataSec;
      if (externSections.includes(datasec.name)) continue;
      changes.push(...hiddenVariables(btf, datasec, symbols.variables));
      const fixed = fixDataSec(btf, elf, datasec, symbols.variables);
      if (fixed !== datasec) changes.push(fixed);
    } else if (kind === BtfKind.Func && symbols.hiddenFunctions.has(btf.nameOf(id))) {
      const func = btf.type(id);
      if (func.kind === "func" && func.linkage === BtfLinkage.Global)
        changes.push({ ...func, linkage: BtfLinkage.Static });
    }
  }
  if (changes.length === 0) return btf;
  const builder = BtfBuilder.from(btf);
  if (ofExterns.added !== undefined) builder.addType(ofExterns.added);
  for (const type of changes) builder.replaceType(type.id, type);
  return Btf.parse(builder.build());
}

interface GlobalSymbols {
  /** By name; the first of several. */
  readonly variables: ReadonlyMap<string, ElfSymbol>;
  /** Names of sub-programs that are global to the linker but not to the verifier. */
  readonly hiddenFunctions: ReadonlySet<string>;
}

function globalSymbols(elf: ElfFile, textIndex: number | undefined): GlobalSymbols {
  const variables = new Map<string, ElfSymbol>();
  const hiddenFunctions = new Set<string>();
  for (const symbol of elf.symbols) {
    if (symbol.binding !== SymbolBinding.GLOBAL && symbol.binding !== SymbolBinding.WEAK) continue;
    if (symbol.type === SymbolType.OBJECT) {
      if (!variables.has(symbol.name)) variables.set(symbol.name, symbol);
    } else if (symbol.type === SymbolType.FUNC && symbol.sectionIndex === textIndex && isHidden(symbol)) {
      hiddenFunctions.add(symbol.name);
    }
  }
  return { variables, hiddenFunctions };
}

/** The section's global variables that a hidden symbol makes static, changed accordingly. */
function hiddenVariables(btf: Btf, datasec: BtfDataSec, symbols: ReadonlyMap<string, ElfSymbol>): BtfVar[] {
  return datasec.variables.flatMap(({ type }) => {
    const variable = btf.type(type);
    if (variable.kind !== "var" || variable.linkage !== BtfLinkage.Global) return [];
    const symbol = symbols.get(variable.name);
    return symbol !== undefined && isHidden(symbol) ? [{ ...variable, linkage: BtfLinkage.Static }] : [];
  });
}

/** The DATASEC with its size and offsets filled in, sorted by offset; the same one if it was complete. */
function fixDataSec(btf: Btf, elf: ElfFile, datasec: BtfDataSec, symbols: ReadonlyMap<string, ElfSymbol>): BtfDataSec {
  let { size, variables } = datasec;
  // The compiler leaves zeros, a static linker has filled in everything already.
  if (size === 0) {
    size = sectionSize(elf, datasec.name);
    variables = variables.map((entry) => placeVariable(btf, elf, datasec.name, entry, size, symbols));
  }
  if (variables.some(({ offset }, i) => i > 0 && offset < variables[i - 1]!.offset)) {
    variables = [...variables].sort((a, b) => a.offset - b.offset);
  }
  return size === datasec.size && variables === datasec.variables ? datasec : { ...datasec, size, variables };
}

function sectionSize(elf: ElfFile, name: string): number {
  const size = elf.section(name)?.size ?? 0;
  if (size > 0 && size <= 0xffff_ffff) return size;
  const reason =
    size === 0 ? "the type information describes this section, and the file does not have it" : "too large";
  throw new ObjectError("OBJECT_INVALID", reason, { section: name });
}

function placeVariable(
  btf: Btf,
  elf: ElfFile,
  sectionName: string,
  entry: BtfDataSecEntry,
  sectionSize: number,
  symbols: ReadonlyMap<string, ElfSymbol>,
): BtfDataSecEntry {
  const variable = btf.type(entry.type);
  if (variable.kind !== "var") {
    throw new ObjectError("OBJECT_INVALID", `a ${variable.kind} where a variable should be`, { section: sectionName });
  }
  // The compiler knows where static variables lie, and extern ones lie nowhere.
  if (variable.linkage !== BtfLinkage.Global) return entry;
  const symbol = symbols.get(variable.name);
  if (symbol === undefined || elf.sections[symbol.sectionIndex]?.name !== sectionName) {
    throw new ObjectError("OBJECT_INVALID", `no symbol for variable ${variable.name}`, { section: sectionName });
  }
  if (symbol.value + entry.size > sectionSize) {
    throw new ObjectError("OBJECT_INVALID", `variable ${variable.name} (${entry.size} bytes) reaches beyond the end`, {
      section: sectionName,
      offset: symbol.value,
    });
  }
  return { ...entry, offset: symbol.value };
}
