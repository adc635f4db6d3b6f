// An opened object as generated code presents it: every map, program, section and struct_ops variable with the property
// that it becomes and the TypeScript types of what is in it.

import { type Btf, BtfKind } from "../btf/index.js";
import {
  isFunctionPointer,
  type MapSpec,
  mapTypeName,
  mapTypeRule,
  type ObjectSpec,
  type ProgramSpec,
} from "../object/index.js";
import { cDeclaration } from "./c-type.js";
import {
  dataSectionName,
  type GlobalVariable,
  globalVariables,
  LAYOUT_VERSION,
  type Layout,
  mapShape,
  namedShape,
  typeShape,
} from "./layout.js";
import { identifier, Names } from "./names.js";
import { arrayOf, type Declaration, type Int64, type ValueTypes } from "./value-types.js";

/** A map. */
export interface MapModel {
  readonly property: string;
  /** Name that finds it: of the section for data maps. */
  readonly name: string;
  readonly spec: MapSpec;
  readonly type: string;
  /** TypeScript types. */
  readonly key: string;
  readonly value: string;
  /** What values are written as, where reading gives something else: descriptors. */
  readonly input?: string;
}

/** A variable or a member that can be read and written. */
export interface FieldModel {
  readonly name: string;
  /** Bytes from the beginning of section or struct. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  readonly cText: string;
  /** In the object's BTF. */
  readonly typeId: number;
  /** What reading gives. */
  readonly type: string;
  /** What can be written; undefined when nothing can. */
  readonly input: string | undefined;
}

/** The variables of a section. */
export interface SectionModel {
  readonly property: string;
  /** Section name. */
  readonly name: string;
  readonly fields: readonly FieldModel[];
}

/** A struct_ops variable. */
export interface StructOpsModel {
  readonly property: string;
  readonly name: string;
  readonly cName: string;
  readonly spec: MapSpec;
  readonly fields: readonly FieldModel[];
}

/** A program. */
export interface ProgramModel {
  readonly property: string;
  readonly name: string;
  readonly spec: ProgramSpec;
}

/** All of it. */
export interface ObjectModel {
  readonly spec: ObjectSpec;
  readonly maps: readonly MapModel[];
  readonly programs: readonly ProgramModel[];
  readonly sections: readonly SectionModel[];
  readonly structOps: readonly StructOpsModel[];
}

/** Property of a data section: `.data.custom` → `data_custom`, as in libbpf's skeletons. */
function sectionProperty(section: string): string {
  return section === ".addr_space.1" ? "arena" : identifier(section.replace(/^\./, ""));
}

/** The properties of all data sections, by the map that holds them. */
export function sectionProperties(spec: ObjectSpec): Map<MapSpec, string> {
  const names = new Names();
  const properties = new Map<MapSpec, string>();
  for (const map of spec.maps) {
    const section = dataSectionName(map);
    if (section !== undefined) properties.set(map, names.take(sectionProperty(section)));
  }
  return properties;
}

/** Describes an object. The types that it needs are collected in `types`. */
export function describeObject(spec: ObjectSpec, types: ValueTypes | undefined): ObjectModel {
  const { btf } = spec;
  const mapNames = new Names(spec.maps.filter((map) => map.dataKind === undefined).map(({ name }) => name));
  const properties = sectionProperties(spec);
  const sections: SectionModel[] = [];
  const structOps: StructOpsModel[] = [];
  const maps: MapModel[] = [];
  for (const map of spec.maps) {
    const isData = map.dataKind !== undefined;
    maps.push({
      property: isData ? mapNames.take(sectionProperty(map.sectionName)) : map.name,
      name: isData ? map.sectionName : map.name,
      spec: map,
      type: mapTypeName(map.type) ?? String(map.type),
      ...elementTypes(map, btf, types),
    });
    if (btf === undefined || types === undefined) continue;
    const section = dataSectionName(map);
    const property = properties.get(map);
    const fields = globalVariables(map, btf).flatMap((variable) => variableField(variable, map, btf, types));
    if (section !== undefined && property !== undefined && fields.length > 0) {
      sections.push({ property, name: section, fields });
    }
    if (map.structOps !== undefined) structOps.push(structOpsModel(map, map.structOps.typeId, btf, types));
  }
  const programs = spec.programs.map((program) => ({ property: program.name, name: program.name, spec: program }));
  return { spec, maps, programs, sections, structOps };
}

/** What `map.get` and `map.set` take and give; mirrors the codecs of a live map. */
function elementTypes(
  map: MapSpec,
  btf: Btf | undefined,
  types: ValueTypes | undefined,
): Pick<MapModel, "key" | "value" | "input"> {
  const rule = mapTypeRule(mapTypeName(map.type) ?? map.type);
  const element = (typeId: number, size: number): string => {
    if (btf === undefined || types === undefined || typeId === 0 || btf.kindOf(typeId) === BtfKind.DataSec)
      return "Uint8Array";
    const type = types.decodable(typeId);
    return type !== undefined && btf.sizeOf(typeId) === size ? type : "Uint8Array";
  };
  if (rule.unreadable === true) return { key: "never", value: "never" };
  // A table of callbacks has the kernel's layout when it is loaded, not the object's.
  const one = map.structOps === undefined ? element(map.valueTypeId, map.valueSize) : "Uint8Array";
  // Written as a descriptor, read as an id, a cookie or not at all.
  const input = rule.holds !== undefined || rule.valueIsFd === true ? { input: "Descriptor" } : {};
  const value = rule.holds !== undefined ? "number" : rule.perCpu === true ? arrayOf(one) : one;
  // A filter is asked for values, a queue has no keys.
  if (rule.keyless !== undefined) return { key: rule.keyless === "filter" ? value : "never", value };
  const key = rule.keyIsFd === true ? "Descriptor" : element(map.keyTypeId, map.keySize);
  return { key, value, ...input };
}

function variableField(
  { name, typeId, offset }: GlobalVariable,
  map: MapSpec,
  btf: Btf,
  types: ValueTypes,
): FieldModel[] {
  if (types.decodable(typeId) === undefined) return [];
  const common = { name, offset, size: btf.sizeOf(typeId), typeId, cText: cDeclaration(btf, typeId, name) };
  // What the kernel's configuration gives cannot be written.
  if (map.dataKind === "kconfig") return [{ ...common, type: types.typeOf(typeId), input: undefined }];
  return [{ ...common, type: types.liveOf(typeId), input: types.inputOf(typeId) }];
}

/** The members that `map.structOps` has: callbacks and plain values; no bitfields and no other pointers. */
function structOpsModel(map: MapSpec, typeId: number, btf: Btf, types: ValueTypes): StructOpsModel {
  const struct = btf.type(typeId);
  const fields: FieldModel[] = [];
  const seen = new Set<string>();
  for (const { name, type, bitOffset, bitSize } of struct.kind === "struct" ? struct.members : []) {
    if (name === "" || bitSize !== 0 || seen.has(name)) continue;
    seen.add(name);
    const common = {
      name,
      offset: bitOffset / 8,
      size: btf.sizeOf(type),
      typeId: type,
      cText: cDeclaration(btf, type, name),
    };
    if (isFunctionPointer(btf, type)) {
      fields.push({ ...common, type: "BpfProgram | null", input: "BpfProgram | null" });
    } else if (btf.kindOf(btf.resolve(type)) !== BtfKind.Ptr) {
      const value = types.decodable(type);
      if (value !== undefined) fields.push({ ...common, type: value, input: types.inputOf(type) });
    }
  }
  return { property: map.name, name: map.name, cName: `struct ${struct.name}`, spec: map, fields };
}

/** What a table is made of. */
interface LayoutSource {
  readonly model: ObjectModel;
  readonly declarations: readonly Declaration[];
  /** C names of types that were asked for. */
  readonly requested: readonly string[];
  readonly int64: Int64;
}

/** The table that code generated for `model` carries. */
export function layoutOf({ model, declarations, requested, int64 }: LayoutSource): Layout {
  const { spec, maps, programs, sections, structOps } = model;
  const { btf } = spec;
  // Shapes of members are part of the shape of what uses them; values of enums are not.
  const named = new Set([...declarations.filter(({ isEnum }) => isEnum).map(({ cName }) => cName), ...requested]);
  return {
    version: LAYOUT_VERSION,
    name: spec.name,
    ...(int64 === "number" && { int64 }),
    maps: maps.map((map) => [map.property, map.name, ...mapShape(map.spec, btf)]),
    programs: programs.map(({ property, name }) => [property, name]),
    sections: sections.map(({ name, fields }) => [
      name,
      fields.map((field) => [field.name, shapeIn(btf, field.typeId)]),
    ]),
    structOps: structOps.map(({ property, name, spec: map }) => [
      property,
      name,
      shapeIn(btf, map.structOps?.typeId ?? 0),
    ]),
    types: btf === undefined ? [] : [...named].map((cName) => [cName, namedShape(btf, cName)]),
  };
}

function shapeIn(btf: Btf | undefined, typeId: number): string {
  return btf === undefined ? "" : typeShape(btf, typeId);
}
