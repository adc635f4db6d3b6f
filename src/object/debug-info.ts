// Hands the records of .BTF.ext to the functions whose instructions they speak of, and counts their offsets from the
// function's start (libbpf.md 3.1 step 4).

import type { BtfExt, BtfExtSection, RecordList } from "../btf/index.js";
import type { ElfFile } from "../elf/index.js";
import { ObjectError } from "../errors.js";
import { INSN_SIZE } from "../insn/index.js";
import { log } from "../log.js";
import type { FunctionDraft, ObjectFunctions } from "./functions.js";

/**
 * Distributes func_info, line_info and CO-RE records, sorted by offset.
 *
 * Records that belong to no function are dropped: a linker leaves them behind for a weak function that it overrode.
 * @throws ObjectError for a CO-RE record between instructions
 */
export function assignDebugInfo(elf: ElfFile, ext: BtfExt, functions: ObjectFunctions): void {
  assign(elf, ext.funcInfo, functions, (target, records) => {
    // The kernel takes one record per function, for its first instruction.
    for (const { insnOffset, typeId } of records) if (insnOffset === 0) target.funcTypeId = typeId;
  });
  assign(elf, ext.lineInfo, functions, (target, records) => {
    target.lineInfo = records;
  });
  assign(elf, ext.coreRelocations, functions, (target, records) => {
    refuseBetween(target, records);
    target.coreRelocations = records;
  });
}

function assign<R>(
  elf: ElfFile,
  parts: readonly BtfExtSection<R>[],
  functions: ObjectFunctions,
  give: (target: FunctionDraft, records: RecordList<R>) => void,
): void {
  for (const [sectionName, records] of bySection(parts)) {
    const section = elf.section(sectionName);
    const inSection = (section && functions.sections.get(section.index)?.functions) ?? [];
    const sorted = records.sorted();
    let dropped = sorted.length;
    let next = 0;
    for (const target of inSection) {
      const end = target.sectionOffset + target.insns.length;
      const first = indexFrom(sorted, next, target.sectionOffset);
      next = indexFrom(sorted, first, end);
      dropped -= next - first;
      if (next > first) give(target, sorted.slice(first, next, target.sectionOffset));
    }
    if (dropped > 0) log.debug(() => `.BTF.ext: ${dropped} records for section ${sectionName} belong to no function`);
  }
}

/** The records of each section; the parts of .BTF.ext name a section once, as a rule. */
function bySection<R>(parts: readonly BtfExtSection<R>[]): Map<string, RecordList<R>> {
  const lists = new Map<string, RecordList<R>[]>();
  for (const { sectionName, records } of parts) {
    const list = lists.get(sectionName);
    if (list === undefined) lists.set(sectionName, [records]);
    else list.push(records);
  }
  return new Map([...lists].map(([name, [first, ...rest]]) => [name, first!.concat(rest)]));
}

/** Index of the first record from `start` on whose offset is at least `offset`. */
function indexFrom<R>({ words, width, length }: RecordList<R>, start: number, offset: number): number {
  let index = start;
  while (index < length && words[index * width]! < offset) index++;
  return index;
}

function refuseBetween<R>(target: FunctionDraft, { words, width }: RecordList<R>): void {
  for (let at = 0; at < words.length; at += width) {
    if (words[at]! % INSN_SIZE === 0) continue;
    throw new ObjectError("OBJECT_INVALID", "a CO-RE record for a place between two instructions", {
      section: target.sectionName,
      offset: target.sectionOffset + words[at]!,
      program: target.name,
    });
  }
}
