// Initial slots into the kernel: inner maps right after the map around them was created, programs of a program array when
// all programs exist (libbpf.md 3.2 steps 10 and 13, 3.3).

import { addLocation, StateError, SystemCallError } from "../errors.js";
import type { BpfMap } from "../map/index.js";
import type { MapSlot, MapSpec, ProgramSpec } from "../object/index.js";
import { type FileDescriptor, mapUpdate, systemCallError } from "../syscall/index.js";
import type { BpfProgram } from "./bpf-program.js";

/** @throws StateError when an inner map was not created, SystemCallError when it is not like the outer map says */
export function fillMapSlots(map: BpfMap, bySpec: ReadonlyMap<MapSpec, BpfMap>): void {
  for (const slot of map.spec.slots) {
    if (slot.kind !== "map") continue;
    const inner = bySpec.get(slot.map);
    if (inner?.loaded !== true) {
      throw missing(slot, `map ${slot.map.name}, which was not created`, "switch its autocreate on");
    }
    fill(map, slot, inner.descriptor, `map ${inner.name}`);
  }
}

/**
 * Fills the program arrays among `maps`, also those that existed before.
 *
 * @throws StateError when a program was not loaded, SystemCallError when it cannot be called by the others of the array
 */
export function fillProgramSlots(maps: readonly BpfMap[], programs: readonly BpfProgram[]): void {
  const bySpec = new Map<ProgramSpec, BpfProgram>(programs.map((program) => [program.spec, program]));
  for (const map of maps) {
    if (!map.loaded) continue;
    try {
      for (const slot of map.spec.slots) {
        if (slot.kind !== "program") continue;
        const program = bySpec.get(slot.program);
        if (program?.loaded !== true) {
          throw missing(slot, `program ${slot.program.name}, which was not loaded`, "switch its autoload on");
        }
        fill(map, slot, program.descriptor, `program ${program.name}`);
      }
    } catch (error) {
      throw addLocation(error, { map: map.name, section: map.sectionName });
    }
  }
}

function fill(map: BpfMap, { index }: MapSlot, value: FileDescriptor, what: string): void {
  const words = new DataView(new ArrayBuffer(8));
  words.setUint32(0, index, true);
  words.setUint32(4, value.number, true);
  try {
    mapUpdate({ map: map.descriptor, key: new Uint8Array(words.buffer, 0, 4), value: new Uint8Array(words.buffer, 4) });
  } catch (cause) {
    if (!(cause instanceof SystemCallError)) throw cause;
    throw systemCallError(cause.operation, cause.errno, { about: `${what} into slot ${index}`, cause });
  }
}

function missing({ index }: MapSlot, what: string, remedy: string): StateError {
  return new StateError(`slot ${index} is to hold ${what}`, { hint: `${remedy}, or the autocreate of this map off` });
}
