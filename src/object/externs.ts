// Undefined symbols that the running kernel is to supply, and what the type information says about them
// (libbpf.md 3.1 step 5). How the type information changes because of them: extern-btf.ts.

import type { Btf, BtfType } from "../btf/index.js";
import { type ElfFile, type ElfSymbol, SpecialSection, SymbolBinding, SymbolType } from "../elf/index.js";
import { BtfError, ObjectError, withLocation } from "../errors.js";
import type { ExternSpec, KconfigExternSpec, KconfigValueKind, KsymFunctionSpec, KsymVariableSpec } from "./spec.js";

/** Sections that exist in BTF only. */
export const EXTERN_SECTIONS = [".kconfig", ".ksyms"] as const;
type ExternSectionName = (typeof EXTERN_SECTIONS)[number];

/** Bytes that all Kconfig externs may have together. Real ones have some hundreds; a damaged file could ask for 4 GiB. */
const MAX_KCONFIG_SIZE = 1 << 20;

/** The externs of an object. */
export class Externs {
  /** Sorted as `ObjectSpec.externs` is. */
  readonly specs: readonly ExternSpec[];
  /** Bytes of the section that the Kconfig externs make up. */
  readonly kconfigSize: number;
  readonly #hasBtf: boolean;
  readonly #byName: ReadonlyMap<string, ExternSpec>;

  constructor(specs: readonly ExternSpec[], hasBtf: boolean) {
    this.specs = specs;
    this.kconfigSize = Math.max(0, ...specs.filter(isKconfig).map(({ offset, size }) => offset + size));
    this.#hasBtf = hasBtf;
    this.#byName = new Map(specs.map((spec) => [spec.name, spec]));
  }

  /** The extern of that name, if there is one. */
  find(name: string): ExternSpec | undefined {
    return this.#byName.get(name);
  }

  /**
   * The extern that an instruction refers to.
   *
   * @throws BtfError `BTF_MISSING` without type information; ObjectError when the symbol is not declared as an extern
   */
  get(name: string): ExternSpec {
    const spec = this.#byName.get(name);
    if (spec !== undefined) return spec;
    if (!this.#hasBtf) {
      throw new BtfError("BTF_MISSING", `the type of extern \`${name}\` is not known`, { hint: "compile with -g" });
    }
    throw new ObjectError("OBJECT_INVALID", `\`${name}\` is not defined`, {
      hint: "declare it with __ksym or __kconfig if the kernel has it, or link the file that defines it",
    });
  }
}

/** True for externs of `.kconfig`. */
function isKconfig(spec: ExternSpec): spec is KconfigExternSpec {
  return spec.kind === "kconfig";
}

/**
 * Collects the undefined symbols that a DATASEC `.kconfig` or `.ksyms` declares, and lays out the Kconfig section.
 *
 * libbpf: `bpf_object__collect_externs`.
 * @throws ObjectError, BtfError for a declaration that no value fits
 */
export function collectExterns(elf: ElfFile, btf: Btf | undefined): Externs {
  if (btf === undefined) return new Externs([], false);
  const declared = declarations(btf);
  const kconfig: KconfigDraft[] = [];
  const ksyms: (KsymVariableSpec | KsymFunctionSpec)[] = [];
  const seen = new Set<string>();
  // Symbols are read only when there is something to look for.
  for (const symbol of declared.size === 0 ? [] : elf.symbols) {
    const found = isExtern(symbol) ? declared.get(symbol.name) : undefined;
    if (found === undefined || seen.has(symbol.name)) continue;
    seen.add(symbol.name);
    const { sectionName, type } = found;
    const base = { name: type.name, weak: symbol.binding === SymbolBinding.WEAK, typeId: type.id };
    withLocation({ section: sectionName }, () => {
      if (sectionName === ".kconfig") kconfig.push(kconfigExtern(btf, base, type));
      else ksyms.push(ksymExtern(btf, base, type));
    });
  }
  ksyms.sort(byName);
  return new Externs([...layOut(kconfig), ...ksyms], true);
}

/** Undefined, of no type, and seen outside the file. */
export function isExtern({ sectionIndex, type, binding, name }: ElfSymbol): boolean {
  return (
    sectionIndex === SpecialSection.UNDEF &&
    type === SymbolType.NOTYPE &&
    name !== "" &&
    (binding === SymbolBinding.GLOBAL || binding === SymbolBinding.WEAK)
  );
}

interface Declaration {
  readonly sectionName: ExternSectionName;
  readonly type: Extract<BtfType, { kind: "var" | "func" }>;
}

function declarations(btf: Btf): Map<string, Declaration> {
  const byName = new Map<string, Declaration>();
  for (const sectionName of EXTERN_SECTIONS) {
    const id = btf.findByName(sectionName, "datasec");
    const datasec = id === undefined ? undefined : btf.type(id);
    if (datasec?.kind !== "datasec") continue;
    for (const entry of datasec.variables) {
      const type = btf.type(entry.type);
      if (type.kind !== "var" && type.kind !== "func") {
        throw invalid(`a ${type.kind} where a variable or a function should be`, sectionName);
      }
      if (!byName.has(type.name)) byName.set(type.name, { sectionName, type });
    }
  }
  return byName;
}

type Base = Pick<ExternSpec, "name" | "weak" | "typeId">;
type KconfigDraft = Omit<KconfigExternSpec, "offset">;

function kconfigExtern(btf: Btf, base: Base, type: Declaration["type"]): KconfigDraft {
  if (type.kind === "func") throw invalid(`function ${base.name} is declared __kconfig`);
  const value = kconfigValue(btf, type.type);
  if (value === undefined) {
    throw new ObjectError("OBJECT_INVALID", `the type of ${base.name} is none that configuration values have`, {
      hint: "use bool, char, enum libbpf_tristate, an integer of 1 to 8 bytes, or an array of char",
    });
  }
  return { ...base, kind: "kconfig", ...value, size: btf.sizeOf(type.type), alignment: btf.alignOf(type.type) };
}

function kconfigValue(btf: Btf, typeId: number): { valueKind: KconfigValueKind; signed: boolean } | undefined {
  const type = btf.type(btf.resolve(typeId));
  switch (type.kind) {
    case "int":
      if (type.bool) return type.size === 1 ? { valueKind: "bool", signed: false } : undefined;
      if (![1, 2, 4, 8].includes(type.size)) return undefined;
      return { valueKind: type.size === 1 ? "char" : "integer", signed: type.signed };
    case "enum":
    case "enum64": {
      const isTristate = type.name === "libbpf_tristate" && type.size === (type.kind === "enum" ? 4 : 8);
      return isTristate ? { valueKind: "tristate", signed: false } : undefined;
    }
    case "array": {
      const element = type.count === 0 ? undefined : btf.type(btf.resolve(type.elementType));
      const isChar = element?.kind === "int" && element.size === 1 && !element.bool;
      return isChar ? { valueKind: "string", signed: false } : undefined;
    }
    default:
      return undefined;
  }
}

function ksymExtern(btf: Btf, base: Base, type: Declaration["type"]): KsymVariableSpec | KsymFunctionSpec {
  if (type.kind === "func") return { ...base, kind: "ksymFunction", protoTypeId: type.type };
  return { ...base, kind: "ksymVariable", valueTypeId: btf.resolve(type.type) };
}

/** Largest alignment first, then smallest size, then by name. */
function layOut(drafts: KconfigDraft[]): KconfigExternSpec[] {
  drafts.sort((a, b) => b.alignment - a.alignment || a.size - b.size || byName(a, b));
  let end = 0;
  return drafts.map((draft) => {
    const offset = Math.ceil(end / draft.alignment) * draft.alignment;
    end = offset + draft.size;
    if (end > MAX_KCONFIG_SIZE) throw invalid("configuration values of more than 1 MiB", ".kconfig");
    return { ...draft, offset };
  });
}

function byName(a: Base, b: Base): number {
  return a.name < b.name ? -1 : Number(a.name > b.name);
}

function invalid(reason: string, section?: ExternSectionName): ObjectError {
  return new ObjectError("OBJECT_INVALID", reason, { section });
}
