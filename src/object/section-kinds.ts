// What a section of the file is for: the table of libbpf.md 2.2, plus code and relocations.

import { type ElfSection, SectionFlag, SectionType } from "../elf/index.js";

/** What a section holds. */
export type SectionKind =
  | "license"
  | "version"
  | "maps"
  | "legacyMaps"
  | "btf"
  | "btfExt"
  | "code"
  | "data"
  | "rodata"
  | "bss"
  | "structOps"
  | "arena"
  | "jumpTables"
  | "relocations"
  | "ignored"
  | "unknown";

interface KindRule {
  readonly kind: SectionKind;
  readonly name?: string;
  /** Start of the name; alone or beside `name`. */
  readonly prefix?: string;
  readonly type?: number;
  readonly executable?: true;
}

const { PROGBITS, NOBITS, REL, RELA, STRTAB, SYMTAB, SYMTAB_SHNDX, LLVM_ADDRSIG, NULL } = SectionType;

// The first rule that fits decides.
const rules: readonly KindRule[] = [
  { kind: "ignored", type: NULL },
  { kind: "ignored", type: STRTAB },
  { kind: "ignored", type: SYMTAB },
  { kind: "ignored", type: SYMTAB_SHNDX },
  { kind: "ignored", type: LLVM_ADDRSIG },
  { kind: "ignored", prefix: ".debug_" },
  { kind: "ignored", prefix: ".rel.debug_" },
  { kind: "ignored", name: ".rel.BTF", prefix: ".rel.BTF." },
  { kind: "license", name: "license" },
  { kind: "version", name: "version" },
  { kind: "legacyMaps", name: "maps" },
  { kind: "maps", name: ".maps" },
  { kind: "btf", name: ".BTF" },
  { kind: "btfExt", name: ".BTF.ext" },
  { kind: "code", type: PROGBITS, executable: true },
  { kind: "data", type: PROGBITS, name: ".data", prefix: ".data." },
  { kind: "rodata", type: PROGBITS, name: ".rodata", prefix: ".rodata." },
  { kind: "bss", type: NOBITS, name: ".bss", prefix: ".bss." },
  { kind: "structOps", type: PROGBITS, name: ".struct_ops" },
  { kind: "structOps", type: PROGBITS, name: ".struct_ops.link" },
  { kind: "structOps", type: PROGBITS, name: "?.struct_ops" },
  { kind: "structOps", type: PROGBITS, name: "?.struct_ops.link" },
  { kind: "arena", type: PROGBITS, name: ".addr_space.1" },
  { kind: "jumpTables", type: PROGBITS, name: ".jumptables" },
  { kind: "relocations", type: REL },
  { kind: "relocations", type: RELA },
];

/** Tells what `section` is for. */
export function sectionKind(section: ElfSection): SectionKind {
  const rule = rules.find((candidate) => fits(candidate, section));
  return rule?.kind ?? "unknown";
}

function fits({ name, prefix, type, executable }: KindRule, section: ElfSection): boolean {
  if (type !== undefined && section.type !== type) return false;
  if (executable && (section.flags & SectionFlag.EXECINSTR) === 0) return false;
  if (name === undefined && prefix === undefined) return true;
  return section.name === name || (prefix !== undefined && section.name.startsWith(prefix));
}
