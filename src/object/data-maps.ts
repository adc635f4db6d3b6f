// Maps made from the object's global variables: one array of a single value for each data section (libbpf.md 3.4).

import { type Btf, BtfLinkage } from "../btf/index.js";
import { SectionType } from "../elf/index.js";
import { ObjectError } from "../errors.js";
import { dataMapName } from "./names.js";
import type { DataSection } from "./section-walk.js";
import type { MapSpec } from "./spec.js";
import { MapFlag, MapPinning, MapType } from "./uapi.js";

/**
 * Makes the maps of all data sections, in their order.
 *
 * @throws ObjectError when a variable of a section's DATASEC lies outside the section
 */
export function dataMaps(objectName: string, sections: readonly DataSection[], btf: Btf | undefined): MapSpec[] {
  const summaries = new Map<string, Variables>();
  return sections.map((data) => {
    const { name } = data.section;
    const variables = summaries.get(name) ?? summarise(btf, name);
    summaries.set(name, variables);
    return dataMap(objectName, data, variables);
  });
}

function dataMap(objectName: string, { section, kind }: DataSection, variables: Variables): MapSpec {
  const { last } = variables;
  if (last !== undefined && last.end > section.size) {
    const reason = `variable ${last.name} ends beyond the section, at 0x${last.end.toString(16)}`;
    throw new ObjectError("OBJECT_INVALID", reason, { section: section.name, offset: section.size });
  }
  // A copy, because users write into it. The zeros of .bss exist nowhere else, and are made only when asked for.
  let copy: Uint8Array | undefined = section.type === SectionType.NOBITS ? undefined : section.data.slice();
  return {
    name: dataMapName(objectName, section.name),
    sectionName: section.name,
    dataKind: kind,
    type: MapType.array,
    keySize: 4,
    valueSize: section.size,
    maxEntries: 1,
    flags: (kind === "rodata" ? MapFlag.RDONLY_PROG : 0) | (variables.visible ? MapFlag.MMAPABLE : 0),
    mapExtra: 0n,
    numaNode: 0,
    pinning: MapPinning.none,
    keyTypeId: 0,
    valueTypeId: variables.typeId,
    inner: undefined,
    slots: [],
    get initialValue() {
      return copy ?? section.data;
    },
    set initialValue(bytes) {
      copy = bytes;
    },
    autocreate: true,
  };
}

/** What the type information says about the variables of a section. */
interface Variables {
  /** Of the DATASEC; 0 when there is none. */
  readonly typeId: number;
  /** At least one is seen outside its file. A section without (string literals, say) is not worth a mapping. */
  readonly visible: boolean;
  /** The one that ends last. */
  readonly last: { readonly name: string; readonly end: number } | undefined;
}

function summarise(btf: Btf | undefined, sectionName: string): Variables {
  const typeId = btf?.findByName(sectionName, "datasec") ?? 0;
  const datasec = btf?.type(typeId);
  if (btf === undefined || datasec?.kind !== "datasec") return { typeId: 0, visible: false, last: undefined };
  let visible = false;
  let end = 0;
  let lastId = 0;
  for (const { type, offset, size } of datasec.variables) {
    const variable = btf.type(type);
    visible ||= variable.kind === "var" && variable.linkage !== BtfLinkage.Static;
    if (offset + size <= end) continue;
    end = offset + size;
    lastId = type;
  }
  return { typeId, visible, last: end === 0 ? undefined : { name: btf.nameOf(lastId), end } };
}
