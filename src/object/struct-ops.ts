// Variables in `.struct_ops` sections: tables of callbacks that programs of the object fill in (libbpf.md 3.6). Here they
// are read as declared; the running kernel's idea of the struct comes in at load.

import type { Btf, BtfComposite, BtfDataSecEntry, BtfMember } from "../btf/index.js";
import {
  type ElfFile,
  type ElfRelocation,
  type ElfSection,
  type ElfSymbol,
  parseRelocations,
  SectionType,
} from "../elf/index.js";
import { addLocation, ObjectError } from "../errors.js";
import type { ObjectFunctions } from "./functions.js";
import type { ObjectSections } from "./section-walk.js";
import type { MapSpec, ProgramSpec, StructOpsSpec } from "./spec.js";
import { MapFlag, MapPinning, MapType, ProgramType } from "./uapi.js";

/** Variables of these sections make links when they are attached (Linux 6.4). */
const LINK_SECTION = ".struct_ops.link";

interface Variable {
  readonly spec: MapSpec;
  readonly structOps: StructOpsSpec;
  /** What {@link StructOpsSpec.declared} is filled through. */
  readonly declared: Map<number, ProgramSpec>;
  readonly struct: BtfComposite;
  readonly offset: number;
}

/**
 * Makes a map of every struct_ops variable, in the order of sections and of variables, with the programs that the
 * object puts into their members.
 *
 * @param btf after {@link fixBtf}, so that the variables' offsets are known
 * @throws ObjectError for variables that are no named struct, and for relocations that put no struct_ops program into a
 *   member that points to a function
 */
export function structOpsMaps(elf: ElfFile, sections: ObjectSections, functions: ObjectFunctions, btf: Btf): MapSpec[] {
  const reader = new CallbackReader(elf, btf, functions);
  return sections.structOps.flatMap((section) => {
    try {
      const variables = readVariables(btf, section);
      for (const relocations of sections.structOpsRelocations) {
        if (relocations.info !== section.index) continue;
        if (relocations.type === SectionType.RELA) {
          throw new ObjectError("OBJECT_UNSUPPORTED", "relocations with addends (SHT_RELA)");
        }
        for (const relocation of parseRelocations(elf, relocations)) {
          reader.place(variables, relocation);
        }
      }
      return variables.map(({ spec }) => spec);
    } catch (error) {
      throw addLocation(error, { section: section.name });
    }
  });
}

function readVariables(btf: Btf, section: ElfSection): Variable[] {
  const datasec = btf.type(btf.findByName(section.name, "datasec") ?? 0);
  if (datasec.kind !== "datasec") throw invalid("the type information does not describe it");
  let end = 0;
  return datasec.variables.map((entry) => {
    try {
      const variable = readVariable(btf, section, entry);
      // Each has a copy of its bytes: together they may not be more than the section.
      if (entry.offset < end) throw invalid("the variable overlaps the one before it");
      end = entry.offset + variable.struct.size;
      return variable;
    } catch (error) {
      throw addLocation(error, { offset: entry.offset, map: btf.nameOf(entry.type) });
    }
  });
}

function readVariable(btf: Btf, section: ElfSection, { type, offset }: BtfDataSecEntry): Variable {
  const variable = btf.type(type);
  if (variable.kind !== "var" || variable.name === "") throw invalid(`a ${variable.kind} where a variable should be`);
  const struct = btf.type(btf.resolve(variable.type));
  if (struct.kind !== "struct") throw invalid(`the variable is no struct but of kind ${struct.kind}`);
  if (struct.name === "") throw invalid("the variable's struct has no name, so that the kernel's cannot be found");
  if (offset + struct.size > section.size)
    throw invalid(`the variable (${struct.size} bytes) reaches beyond the section`);
  const sectionName = section.name.replace(/^\?/, "");
  const declared = new Map<number, ProgramSpec>();
  const structOps: StructOpsSpec = {
    typeId: struct.id,
    image: section.data.slice(offset, offset + struct.size),
    declared,
    programs: new Map(),
  };
  const spec: MapSpec = {
    name: variable.name,
    sectionName,
    dataKind: undefined,
    type: MapType.struct_ops,
    keySize: 4,
    valueSize: struct.size,
    maxEntries: 1,
    flags: sectionName === LINK_SECTION ? MapFlag.LINK : 0,
    mapExtra: 0n,
    numaNode: 0,
    pinning: MapPinning.none,
    keyTypeId: 0,
    valueTypeId: struct.id,
    inner: undefined,
    slots: [],
    initialValue: undefined,
    autocreate: !section.name.startsWith("?"),
    structOps,
  };
  return { spec, structOps, declared, struct, offset };
}

/** Notes which program a relocation puts into which member. */
class CallbackReader {
  readonly #btf: Btf;
  readonly #elf: ElfFile;
  /** By section index and byte offset. */
  readonly #programs: ReadonlyMap<string, ProgramSpec>;
  /** By struct: the first member at each bit offset. Many variables may share a large struct. */
  readonly #members = new Map<number, ReadonlyMap<number, number>>();

  constructor(elf: ElfFile, btf: Btf, functions: ObjectFunctions) {
    this.#elf = elf;
    this.#btf = btf;
    this.#programs = new Map(functions.programs.map((spec) => [`${spec.sectionIndex}:${spec.sectionOffset}`, spec]));
  }

  /** `variables` are sorted by offset. */
  place(variables: readonly Variable[], relocation: ElfRelocation): void {
    const variable = variableAt(variables, relocation.offset);
    if (variable === undefined) throw invalid("a relocation that belongs to no variable", relocation.offset);
    try {
      const index = this.#memberAt(variable.struct, (relocation.offset - variable.offset) * 8);
      const program = this.#program(variable.struct.members[index]!, this.#elf.symbols[relocation.symbolIndex]!);
      variable.declared.set(index, program);
      variable.structOps.programs.set(index, program);
    } catch (error) {
      throw addLocation(error, { offset: relocation.offset, map: variable.spec.name });
    }
  }

  #memberAt(struct: BtfComposite, bitOffset: number): number {
    let byOffset = this.#members.get(struct.id);
    if (byOffset === undefined) {
      byOffset = new Map(struct.members.map((member, i): [number, number] => [member.bitOffset, i]).reverse());
      this.#members.set(struct.id, byOffset);
    }
    const index = byOffset.get(bitOffset);
    if (index !== undefined) return index;
    throw invalid(`a relocation inside of a member of struct ${struct.name}`);
  }

  #program({ name, type }: BtfMember, symbol: ElfSymbol): ProgramSpec {
    if (!isFunctionPointer(this.#btf, type)) {
      throw invalid(`a relocation of \`${name}\`, which is no pointer to a function`);
    }
    const program = this.#programs.get(`${symbol.sectionIndex}:${symbol.value}`);
    if (program === undefined) {
      throw new ObjectError("OBJECT_INVALID", `\`${name}\` is set to \`${symbol.name}\`, which is no program`, {
        hint: 'give the function a section, SEC("struct_ops")',
      });
    }
    if (program.type === ProgramType.struct_ops) return program;
    throw new ObjectError("OBJECT_INVALID", `\`${name}\` is set to a program of section ${program.sectionName}`, {
      program: program.name,
      hint: 'callbacks belong into SEC("struct_ops") or SEC("struct_ops.s")',
    });
  }
}

function variableAt(variables: readonly Variable[], at: number): Variable | undefined {
  let low = 0;
  let high = variables.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (variables[middle]!.offset <= at) low = middle + 1;
    else high = middle;
  }
  const candidate = variables[low - 1];
  return candidate !== undefined && at - candidate.offset < candidate.struct.size ? candidate : undefined;
}

/** Whether a member of this type holds a callback. */
export function isFunctionPointer(btf: Btf, typeId: number): boolean {
  const pointer = btf.type(btf.resolve(typeId));
  return pointer.kind === "ptr" && btf.type(btf.resolve(pointer.type)).kind === "funcProto";
}

function invalid(reason: string, offset?: number): ObjectError {
  return new ObjectError("OBJECT_INVALID", reason, { offset });
}
