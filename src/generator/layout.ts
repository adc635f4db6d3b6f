// What generated code relies on, as a table that it carries: names, kinds of maps, shapes of values. The same functions
// describe an object when code is generated from it and when the code is given an object to work with.

import { type Btf, type BtfEnum, type BtfEnum64, BtfLinkage, textHash, valueShape } from "../btf/index.js";
import { BpfkitError } from "../errors.js";
import { type MapSpec, mapTypeName } from "../object/index.js";
import { findType } from "./value-types.js";

/** Version of the tables in generated code, raised when older code cannot be used any more. */
export const LAYOUT_VERSION = 1;

/** What generated code says about the object that it was made from. Every list is `[property, …]` or `[name, …]`. */
export interface Layout {
  readonly version: number;
  /** Name of the object. */
  readonly name: string;
  /** What 64-bit integers are; `"bigint"` when it says nothing. */
  readonly int64?: "number";
  /** Property, name of the map (of the section where it begins with a dot), type, shapes of key and value. */
  readonly maps: readonly (readonly [property: string, name: string, type: string, key: string, value: string])[];
  /** Property, name of the program. */
  readonly programs: readonly (readonly [property: string, name: string])[];
  /** Name of the section, its variables with the shapes of their values. */
  readonly sections: readonly (readonly [
    section: string,
    variables: readonly (readonly [name: string, shape: string])[],
  ])[];
  /** Property, name of the map, shape of the struct. */
  readonly structOps: readonly (readonly [property: string, name: string, shape: string])[];
  /** C name, shape; for enums a hash of names and values. */
  readonly types: readonly (readonly [name: string, shape: string])[];
}

/** Type, key and value of a map. */
export function mapShape(spec: MapSpec, btf: Btf | undefined): [type: string, key: string, value: string] {
  const { type, keyTypeId, keySize, valueTypeId, valueSize, dataKind } = spec;
  const isTable = dataKind !== undefined || spec.structOps !== undefined;
  return [
    mapTypeName(type) ?? String(type),
    elementShape(btf, keyTypeId, keySize),
    // Variables are told one by one; those of a section may become more, and the kernel says how long a table is.
    isTable ? "" : elementShape(btf, valueTypeId, valueSize),
  ];
}

function elementShape(btf: Btf | undefined, typeId: number, size: number): string {
  const shape = btf === undefined || typeId === 0 ? "" : typeShape(btf, typeId);
  return shape === "" ? `bytes[${size}]` : shape;
}

/** Shape of the values of a type; for enums the names as well. "" when there are no values. */
export function typeShape(btf: Btf, typeId: number): string {
  try {
    return valueShape(btf, typeId);
  } catch (error) {
    if (BpfkitError.isBpfkitError(error)) return "";
    throw error;
  }
}

/** Shape of a type by its C name, with the values of an enum. @throws BtfError when there is none */
export function namedShape(btf: Btf, cName: string): string {
  const id = findType(btf, cName);
  const type = btf.type(btf.resolve(id));
  return type.kind === "enum" || type.kind === "enum64" ? enumShape(type) : typeShape(btf, id);
}

function enumShape(type: BtfEnum | BtfEnum64): string {
  return `enum#${textHash([type.size, ...type.values.map(({ name, value }) => `${name}=${value}`)].join(";"))}`;
}

/** A global variable with a name outside its file. */
export interface GlobalVariable {
  readonly name: string;
  readonly typeId: number;
  readonly offset: number;
}

/** The variables of a map that holds a data section or an arena. */
export function globalVariables(spec: MapSpec, btf: Btf | undefined): GlobalVariable[] {
  const typeId = spec.arena?.typeId ?? (spec.dataKind === undefined ? 0 : spec.valueTypeId);
  const datasec = btf?.type(typeId);
  if (btf === undefined || datasec?.kind !== "datasec") return [];
  const variables = new Map<string, GlobalVariable>();
  for (const entry of datasec.variables) {
    const variable = btf.type(entry.type);
    if (variable.kind !== "var" || variable.linkage === BtfLinkage.Static || variables.has(variable.name)) continue;
    variables.set(variable.name, { name: variable.name, typeId: variable.type, offset: entry.offset });
  }
  return [...variables.values()];
}

/** The section whose variables a map holds; undefined for other maps. */
export function dataSectionName(spec: MapSpec): string | undefined {
  return spec.dataKind === undefined ? spec.arena?.sectionName : spec.sectionName;
}
