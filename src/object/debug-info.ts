// Hands the records of .BTF.ext to the functions whose instructions they speak of, and counts their offsets from the
// function's start (libbpf.md 3.1 step 4).

import type { BtfExt, BtfExtSection } from "../btf/index.js";
import type { ElfFile } from "../elf/index.js";
import { ObjectError } from "../errors.js";
import { INSN_SIZE } from "../insn/index.js";
import { log } from "../log.js";
import { type CodeSection, type FunctionDraft, functionAt, type ObjectFunctions } from "./functions.js";

/**
 * Distributes func_info, line_info and CO-RE records.
 *
 * Records that belong to no function are dropped: a linker leaves them behind for a weak function that it overrode.
 * @throws ObjectError for a CO-RE record between instructions
 */
export function assignDebugInfo(elf: ElfFile, ext: BtfExt, functions: ObjectFunctions): void {
  assign(elf, ext.funcInfo, functions, (target, { insnOffset, typeId }) => {
    // The kernel takes one record per function, for its first instruction.
    if (insnOffset === target.sectionOffset) target.funcTypeId = typeId;
  });
  assign(elf, ext.lineInfo, functions, (target, record) => {
    target.lineInfo.push({ ...record, insnOffset: record.insnOffset - target.sectionOffset });
  });
  assign(elf, ext.coreRelocations, functions, (target, record) => {
    if (record.insnOffset % INSN_SIZE !== 0) {
      throw new ObjectError("OBJECT_INVALID", "a CO-RE record for a place between two instructions", {
        section: target.sectionName,
        offset: record.insnOffset,
        program: target.name,
      });
    }
    target.coreRelocations.push({ ...record, insnOffset: record.insnOffset - target.sectionOffset });
  });
  for (const { functions: all } of functions.sections.values()) {
    for (const { lineInfo, coreRelocations } of all) {
      sortByOffset(lineInfo);
      sortByOffset(coreRelocations);
    }
  }
}

function assign<R extends { readonly insnOffset: number }>(
  elf: ElfFile,
  parts: readonly BtfExtSection<R>[],
  functions: ObjectFunctions,
  give: (target: FunctionDraft, record: R) => void,
): void {
  for (const { sectionName, records } of parts) {
    const code = codeSection(elf, functions, sectionName);
    let dropped = 0;
    for (const record of records) {
      const target = code && functionAt(code.functions, record.insnOffset);
      if (target === undefined) dropped++;
      else give(target, record);
    }
    if (dropped > 0) log.debug(() => `.BTF.ext: ${dropped} records for section ${sectionName} belong to no function`);
  }
}

function codeSection(elf: ElfFile, functions: ObjectFunctions, name: string): CodeSection | undefined {
  const section = elf.section(name);
  return section && functions.sections.get(section.index);
}

/** Compilers write records in order; the check costs nothing beside the sort that it saves. */
function sortByOffset(records: { readonly insnOffset: number }[]): void {
  if (records.some((record, i) => i > 0 && record.insnOffset < records[i - 1]!.insnOffset)) {
    records.sort((a, b) => a.insnOffset - b.insnOffset);
  }
}
