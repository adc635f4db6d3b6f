// Maps made from the object's global variables: one array of a single value for each data section (libbpf.md 3.4).

import { type Btf, BtfLinkage } from "../btf/index.js";
import { SectionType } from "../elf/index.js";
import { ObjectError } from "../errors.js";
import { dataMapName } from "./names.js";
import type { DataSection } from "./section-walk.js";
import type { MapSpec } from "./spec.js";
import { MapFlag, MapPinning, MapType } from "./uapi.js";

/**
 * Makes the map of one data section.
 *
 * @throws ObjectError when a variable of the section's DATASEC lies outside the section
 */
export function dataMap(objectName: string, { section, kind }: DataSection, btf: Btf | undefined): MapSpec {
  const valueTypeId = btf?.findByName(section.name, "datasec") ?? 0;
  const isMmapable = btf !== undefined && valueTypeId !== 0 && checkVariables(btf, valueTypeId, section);
  // A copy, because users write into it. The zeros of .bss exist nowhere else, and are made only when asked for.
  const copy = section.type === SectionType.NOBITS ? undefined : section.data.slice();
  return {
    name: dataMapName(objectName, section.name),
    sectionName: section.name,
    dataKind: kind,
    type: MapType.array,
    keySize: 4,
    valueSize: section.size,
    maxEntries: 1,
    flags: (kind === "rodata" ? MapFlag.RDONLY_PROG : 0) | (isMmapable ? MapFlag.MMAPABLE : 0),
    mapExtra: 0n,
    numaNode: 0,
    pinning: MapPinning.none,
    keyTypeId: 0,
    valueTypeId,
    inner: undefined,
    get initialValue() {
      return copy ?? section.data;
    },
    autocreate: true,
  };
}

/** True when at least one variable is visible outside its file (so string literals alone are not worth a mapping). */
function checkVariables(btf: Btf, typeId: number, section: { readonly name: string; readonly size: number }): boolean {
  const datasec = btf.type(typeId);
  if (datasec.kind !== "datasec") return false;
  let visible = false;
  for (const { type, offset, size } of datasec.variables) {
    if (offset + size > section.size) {
      const reason = `variable ${btf.nameOf(type)} (${size} bytes) reaches beyond the end at 0x${section.size.toString(16)}`;
      throw new ObjectError("OBJECT_INVALID", reason, { section: section.name, offset });
    }
    const variable = btf.type(type);
    visible ||= variable.kind === "var" && variable.linkage !== BtfLinkage.Static;
  }
  return visible;
}
