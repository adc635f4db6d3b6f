// Maps whose slots the object fills itself (`.values = { [1] = &inner }`): relocations of section `.maps` say which map or
// program belongs into which slot (libbpf.md 3.3). Read here, written at load.

import { type ElfFile, type ElfRelocation, type ElfSymbol, parseRelocations, SectionType } from "../elf/index.js";
import { addLocation, ObjectError } from "../errors.js";
import type { ObjectFunctions } from "./functions.js";
import type { DeclaredMap } from "./map-definitions.js";
import type { ObjectSections } from "./section-walk.js";
import type { MapSlot } from "./spec.js";
import { MapType } from "./uapi.js";

/** A slot is a pointer in the object, whatever it is in the kernel. */
const SLOT_SIZE = 8;

/**
 * Fills in `slots` of every declared map, in ascending order.
 *
 * @throws ObjectError for relocations that belong to no slot, and for symbols that are neither a map nor an entry program
 */
export function readInitialSlots(
  elf: ElfFile,
  { mapRelocations, maps }: ObjectSections,
  declared: readonly DeclaredMap[],
  { programs }: ObjectFunctions,
): void {
  if (mapRelocations.length === 0) return;
  const byOffset = declared.toSorted((a, b) => a.offset - b.offset);
  const mapAt = new Map(declared.map((map) => [map.offset, map.spec]));
  const programAt = new Map(programs.map((program) => [placeOf(program.sectionIndex, program.sectionOffset), program]));
  const slots = new Map<DeclaredMap, Map<number, MapSlot>>();

  const target = (map: DeclaredMap, index: number, symbol: ElfSymbol): MapSlot => {
    const { sectionIndex, value } = symbol;
    if (map.spec.type === MapType.prog_array) {
      const program = programAt.get(placeOf(sectionIndex, value));
      if (program !== undefined) return { kind: "program", index, program };
      throw invalid(`slot ${index} holds \`${symbol.name}\`, which is no program that can be loaded by itself`);
    }
    const other = sectionIndex === maps?.index ? mapAt.get(value) : undefined;
    if (other !== undefined) return { kind: "map", index, map: other };
    throw invalid(`slot ${index} holds \`${symbol.name}\`, which is no map`);
  };

  for (const section of mapRelocations) {
    if (section.type === SectionType.RELA) {
      throw new ObjectError("OBJECT_UNSUPPORTED", "relocations with addends (SHT_RELA)", { section: section.name });
    }
    for (const relocation of parseRelocations(elf, section)) {
      const map = ownerOf(byOffset, relocation);
      try {
        const index = slotIndex(map, relocation);
        const slot = target(map, index, elf.symbols[relocation.symbolIndex]!);
        const known = slots.get(map) ?? new Map<number, MapSlot>();
        if (known.has(index)) throw invalid(`slot ${index} is filled twice`);
        slots.set(map, known.set(index, slot));
      } catch (error) {
        throw addLocation(error, { section: maps?.name, offset: relocation.offset, map: map.spec.name });
      }
    }
  }
  for (const [map, known] of slots) for (const slot of known.values()) map.slots.push(slot);
  for (const map of slots.keys()) map.slots.sort((a, b) => a.index - b.index);
}

/** The map whose variable holds the relocated pointer. Variables may not overlap: the first one at or below wins. */
function ownerOf(byOffset: readonly DeclaredMap[], { offset }: ElfRelocation): DeclaredMap {
  let low = 0;
  let high = byOffset.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (byOffset[middle]!.offset <= offset) low = middle + 1;
    else high = middle;
  }
  const map = byOffset[low - 1];
  if (map !== undefined && offset + SLOT_SIZE <= map.offset + map.size) return map;
  throw new ObjectError("OBJECT_INVALID", "a relocation that belongs to no map", { section: ".maps", offset });
}

function slotIndex({ spec, offset, slotsOffset }: DeclaredMap, relocation: ElfRelocation): number {
  const { type, keySize } = spec;
  if (type !== MapType.array_of_maps && type !== MapType.hash_of_maps && type !== MapType.prog_array) {
    throw invalid("only maps of maps and program arrays have initial contents");
  }
  if (type === MapType.hash_of_maps && keySize !== 4) {
    throw invalid(`a hash of maps with initial contents needs keys of 4 bytes, these have ${keySize}`);
  }
  const at = relocation.offset - offset;
  if (slotsOffset === undefined || at < slotsOffset || (at - slotsOffset) % SLOT_SIZE !== 0) {
    throw invalid("a relocation outside the slots of `values`");
  }
  return (at - slotsOffset) / SLOT_SIZE;
}

function placeOf(sectionIndex: number, offset: number): string {
  return `${sectionIndex}:${offset}`;
}

function invalid(reason: string): ObjectError {
  return new ObjectError("OBJECT_INVALID", reason);
}
