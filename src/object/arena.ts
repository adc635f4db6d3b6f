// Global variables in an arena: the contents of section `.addr_space.1` belong to the one arena map that the object
// declares (libbpf.md 3.1 point 7, 3.3).

import type { Btf } from "../btf/index.js";
import type { ElfSection } from "../elf/index.js";
import { ObjectError } from "../errors.js";
import type { MapSpec } from "./spec.js";
import { MapType } from "./uapi.js";

/**
 * Gives the arena among `maps` the section's contents.
 *
 * @returns the arena, when it has variables
 * @throws ObjectError for a second arena, and for variables without any
 */
export function addArenaData(
  maps: readonly MapSpec[],
  section: ElfSection | undefined,
  btf: Btf | undefined,
): MapSpec | undefined {
  const [arena, second] = maps.filter(({ type }) => type === MapType.arena);
  if (second !== undefined) {
    throw new ObjectError("OBJECT_UNSUPPORTED", `an object can have one arena, and ${arena!.name} is one already`, {
      section: second.sectionName,
      map: second.name,
    });
  }
  if (section === undefined) return undefined;
  if (arena === undefined) {
    throw new ObjectError("OBJECT_INVALID", "variables of an arena, but no map of type arena", {
      section: section.name,
      hint: 'declare the arena in SEC(".maps")',
    });
  }
  const typeId = btf?.findByName(section.name, "datasec") ?? 0;
  // In place: other parts of the object refer to this very map.
  return Object.assign(arena, { initialValue: section.data.slice(), arena: { sectionName: section.name, typeId } });
}
