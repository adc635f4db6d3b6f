// One walk over the file's sections that sorts them by purpose (libbpf.md 3.1 step 3). Nothing is interpreted here but
// license and version, which are a few bytes each.

import type { ElfFile, ElfSection } from "../elf/index.js";
import { SectionType } from "../elf/index.js";
import { ObjectError } from "../errors.js";
import { log } from "../log.js";
import { type SectionKind, sectionKind } from "./section-kinds.js";
import type { DataSectionKind } from "./spec.js";

/** A section that becomes a map of its own. */
export interface DataSection {
  readonly section: ElfSection;
  readonly kind: DataSectionKind;
}

/** The sections of an object by purpose; lists are in file order, without empty sections. */
export interface ObjectSections {
  readonly license: string;
  readonly version: number | undefined;
  readonly btf: ElfSection | undefined;
  readonly btfExt: ElfSection | undefined;
  readonly maps: ElfSection | undefined;
  readonly text: ElfSection | undefined;
  /** Executable sections, `.text` among them. */
  readonly code: readonly ElfSection[];
  readonly data: readonly DataSection[];
  /** Relocation sections that apply to `code`. */
  readonly codeRelocations: readonly ElfSection[];
  /** Variables of the object's arena. */
  readonly arena: ElfSection | undefined;
  /** Sections of struct_ops variables. */
  readonly structOps: readonly ElfSection[];
  /** Relocation sections that apply to `structOps`. */
  readonly structOpsRelocations: readonly ElfSection[];
  /** Relocation sections that apply to `maps`. */
  readonly mapRelocations: readonly ElfSection[];
}

const MAX_LICENSE_LENGTH = 63;

/**
 * Sorts the sections of `elf` by purpose.
 *
 * @throws ObjectError for a legacy `maps` section, a malformed `version`, a second `.text` or `.maps`, a stripped symbol
 *   table, overlapping contents
 */
export function walkSections(elf: ElfFile): ObjectSections {
  const byKind = groupByKind(elf.sections);
  const all = (kind: SectionKind): ElfSection[] => byKind.get(kind) ?? [];
  const filled = (kind: SectionKind): ElfSection[] => all(kind).filter((section) => section.size > 0);

  refuseLegacyMaps(all("legacyMaps")[0]);
  const code = filled("code");
  const maps = only(filled("maps"));
  const relocations = filled("relocations");
  const data = (["data", "rodata", "bss"] as const)
    .flatMap((kind) => filled(kind).map((section) => ({ section, kind })))
    .sort((a, b) => a.section.index - b.section.index);

  const arena = only(filled("arena"));
  const structOps = filled("structOps");
  for (const { name } of structOps) only(structOps.filter((section) => section.name === name));

  const copied = arena === undefined ? structOps : [...structOps, arena];
  refuseOverlap(elf, [...code, ...relocations, ...copied, ...data.map(({ section }) => section)]);
  if (elf.symbolTable === undefined && (code.length > 0 || maps !== undefined || structOps.length > 0)) {
    throw new ObjectError("OBJECT_INVALID", "no symbol table", {
      hint: "the object was stripped; use `llvm-strip -g`",
    });
  }
  for (const { name } of filled("unknown")) log.info(`section ${name}: skipped, no use is known for it`);

  const codeIndices = new Set(code.map(({ index }) => index));
  const structOpsIndices = new Set(structOps.map(({ index }) => index));
  return {
    license: readLicense(all("license").at(-1)),
    version: readVersion(all("version").at(-1), elf.littleEndian),
    btf: filled("btf")[0],
    btfExt: filled("btfExt")[0],
    maps,
    text: only(code.filter(({ name }) => name === ".text")),
    code,
    data,
    arena,
    structOps,
    structOpsRelocations: relocations.filter(({ info }) => structOpsIndices.has(info)),
    codeRelocations: relocations.filter(({ info }) => codeIndices.has(info)),
    mapRelocations: relocations.filter(({ info }) => info === maps?.index),
  };
}

function groupByKind(sections: readonly ElfSection[]): Map<SectionKind, ElfSection[]> {
  const groups = new Map<SectionKind, ElfSection[]>();
  for (const section of sections) {
    const kind = sectionKind(section);
    const group = groups.get(kind);
    if (group === undefined) groups.set(kind, [section]);
    else group.push(section);
  }
  return groups;
}

function refuseLegacyMaps(section: ElfSection | undefined): void {
  if (section === undefined) return;
  throw new ObjectError("OBJECT_UNSUPPORTED", "map definitions in the old form, `struct bpf_map_def` in section maps", {
    section: section.name,
    hint: 'declare maps as `struct { __uint(type, …); … } name SEC(".maps")`',
  });
}

/** The one element, or none. Several sections of the same name only come from broken tools. */
function only(sections: readonly ElfSection[]): ElfSection | undefined {
  const [first, second] = sections;
  if (second === undefined) return first;
  throw new ObjectError("OBJECT_INVALID", `there are two sections of this name (${first?.index} and ${second.index})`, {
    section: second.name,
  });
}

/**
 * Everything that is copied or decoded once per section must not be more than the file itself; a crafted section table
 * could otherwise point at the same bytes thousands of times.
 */
function refuseOverlap(elf: ElfFile, sections: readonly ElfSection[]): void {
  let total = 0;
  for (const { name, type, size } of sections) {
    if (type === SectionType.NOBITS) continue;
    total += size;
    if (total > elf.bytes.length) {
      throw new ObjectError("OBJECT_INVALID", "the contents of sections overlap", { section: name });
    }
  }
}

/** NUL-terminated text; a license that is not terminated ends with its section. */
function readLicense(section: ElfSection | undefined): string {
  if (section === undefined || section.type === SectionType.NOBITS) return "";
  const bytes = section.data.subarray(0, MAX_LICENSE_LENGTH);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end === -1 ? bytes : bytes.subarray(0, end));
}

function readVersion(section: ElfSection | undefined, littleEndian: boolean): number | undefined {
  if (section === undefined) return undefined;
  if (section.size !== 4) {
    throw new ObjectError("OBJECT_INVALID", `a version has 4 bytes, this one ${section.size}`, {
      section: section.name,
    });
  }
  const { buffer, byteOffset } = section.data;
  return new DataView(buffer, byteOffset, 4).getUint32(0, littleEndian);
}
