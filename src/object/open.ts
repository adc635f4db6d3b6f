// From the bytes of a `.bpf.o` to an ObjectSpec: the order of things (libbpf.md 3.1). Each step has a file of its own.

import { Btf, type BtfExt, parseBtfExt } from "../btf/index.js";
import { parseElf } from "../elf/index.js";
import { BtfError, withLocation } from "../errors.js";
import { log } from "../log.js";
import { addArenaData } from "./arena.js";
import { fixBtf } from "./btf-fixup.js";
import { dataMaps, kconfigMap } from "./data-maps.js";
import { assignDebugInfo } from "./debug-info.js";
import { assignExceptionCallbacks } from "./exception-callbacks.js";
import { collectExterns } from "./externs.js";
import { readFunctions } from "./functions.js";
import { type DeclaredMap, readMapDefinitions } from "./map-definitions.js";
import { readInitialSlots } from "./map-slots.js";
import { collectRelocations } from "./relocations.js";
import { type ObjectSections, walkSections } from "./section-walk.js";
import type { ObjectSpec } from "./spec.js";
import { structOpsMaps } from "./struct-ops.js";

/** Options of {@link openObject}. */
export interface OpenObjectOptions {
  /** Name of the object, as a rule the file's base name up to its first dot; begins the names of data maps. */
  readonly name: string;
  /** Tolerates members of map definitions with unknown names. */
  readonly relaxedMaps?: boolean;
}

/**
 * Reads what a compiled BPF object declares. Pure: asks neither the kernel nor the file system, and keeps no reference to
 * anything that the caller may change, `bytes` included.
 *
 * libbpf: `bpf_object__open_mem`.
 *
 * @throws ElfError, BtfError or ObjectError, located by section and offset, and by program or map where known
 */
export function openObject(bytes: Uint8Array, options: OpenObjectOptions): ObjectSpec {
  const elf = parseElf(bytes);
  const sections = walkSections(elf);
  const functions = readFunctions(elf, sections.code);
  const compiled = readBtf(sections);
  const externs = collectExterns(elf, compiled);
  const btf = compiled && fixBtf(compiled, elf, sections, externs);
  const ext = btf && readBtfExt(sections, btf);
  if (ext !== undefined) assignDebugInfo(elf, ext, functions);

  const declared = declaredMaps(sections, btf, options);
  readInitialSlots(elf, sections, declared, functions);
  const globals = dataMaps(options.name, sections.data, btf);
  const kconfig = kconfigMap(options.name, externs.kconfigSize, btf);
  const arena = addArenaData(
    declared.map(({ spec }) => spec),
    sections.arena,
    btf,
  );
  const callbacks = btf === undefined ? [] : structOpsMaps(elf, sections, functions, btf);

  const bySection = new Map(sections.data.map(({ section }, i) => [section.index, globals[i]!]));
  if (sections.arena !== undefined && arena !== undefined) bySection.set(sections.arena.index, arena);
  if (btf !== undefined) assignExceptionCallbacks(btf, functions);
  collectRelocations({
    elf,
    sections,
    functions,
    maps: new Map(declared.map(({ offset, spec }) => [offset, spec])),
    dataMaps: bySection,
    externs,
    kconfig,
  });
  return {
    name: options.name,
    littleEndian: elf.littleEndian,
    license: sections.license,
    kernelVersion: sections.version,
    programs: functions.programs,
    subprograms: functions.subprograms,
    maps: [...declared.map(({ spec }) => spec), ...globals, ...(kconfig === undefined ? [] : [kconfig]), ...callbacks],
    externs: externs.specs,
    btf,
  };
}

/** Damaged type information is fatal only for objects that declare something with it. */
function readBtf({ btf: section, maps, structOps }: ObjectSections): Btf | undefined {
  const [needs] = structOps;
  if (section === undefined) {
    if (needs === undefined) return undefined;
    throw new BtfError("BTF_MISSING", "struct_ops variables are found by type information, and the object has none", {
      section: needs.name,
      hint: "compile with -g, and strip with `llvm-strip -g` only",
    });
  }
  try {
    return withLocation({ section: section.name }, () => Btf.parse(section.data, { copy: true }));
  } catch (error) {
    if (maps !== undefined || needs !== undefined || !(error instanceof BtfError)) throw error;
    log.warn(`type information ignored: ${error.message}`);
    return undefined;
  }
}

/** Without .BTF.ext there is no CO-RE and no source in verifier logs, which may be good enough. */
function readBtfExt({ btfExt: section }: ObjectSections, btf: Btf): BtfExt | undefined {
  if (section === undefined) return undefined;
  try {
    return withLocation({ section: section.name }, () => parseBtfExt(section.data, btf));
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    log.warn(`debug information ignored: ${error.message}`);
    return undefined;
  }
}

function declaredMaps(
  sections: ObjectSections,
  btf: Btf | undefined,
  { relaxedMaps = false }: OpenObjectOptions,
): DeclaredMap[] {
  const { maps } = sections;
  if (maps === undefined) return [];
  if (btf === undefined) {
    throw new BtfError("BTF_MISSING", "map definitions are type information, and the object has none", {
      section: maps.name,
      hint: "compile with -g, and strip with `llvm-strip -g` only",
    });
  }
  return readMapDefinitions(btf, maps, relaxedMaps);
}
