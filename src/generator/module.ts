// What all generated modules have in common: the head, the interfaces of maps, programs and variables, the table.

import { type MapSpec, mapTypeName, mapTypeRule } from "../object/index.js";
import type { Layout } from "./layout.js";
import type { FieldModel, ObjectModel } from "./model.js";
import { commentText, literalKey, propertyName, quote } from "./names.js";
import { bytes, type Language } from "./value-types.js";
import { accessorLines, Writer } from "./writer.js";

/** Names that generated code may import: none of the object's types may have them. */
export const runtimeNames = {
  BpfLink: "type",
  BpfMap: "type",
  BpfObject: "type",
  BpfProgram: "type",
  Descriptor: "type",
  Live: "type",
  Skeleton: "value",
  SkeletonLayout: "type",
  SkeletonOptions: "type",
  Subskeleton: "value",
  ValueInput: "type",
} as const;
type RuntimeName = keyof typeof runtimeNames;

/** The comment at the top. */
export function head(command: string, source: string): string {
  return [
    `// Made by \`bpfkit ${commentText(command)}\` from ${commentText(source)}. Do not edit: make it again when the object changes.`,
    "/* eslint-disable */",
    "// biome-ignore-all lint: generated",
  ].join("\n");
}

/** The import of those names that `body` uses. */
export function imports(body: string, from: string, language: Language): string {
  const used = (Object.keys(runtimeNames) as RuntimeName[]).filter((name) => new RegExp(`\\b${name}\\b`).test(body));
  const isType = (name: RuntimeName): boolean => runtimeNames[name] === "type";
  const names = language === "js" ? used.filter((name) => !isType(name)) : used;
  if (names.length === 0) return "";
  if (names.every(isType)) return importLine("import type", names, from);
  return importLine(
    "import",
    names.map((name) => (isType(name) ? `type ${name}` : name)),
    from,
  );
}

function importLine(keyword: string, names: readonly string[], from: string): string {
  const line = `${keyword} { ${names.join(", ")} } from ${quote(from)};`;
  return line.length <= 120
    ? line
    : `${keyword} {\n${names.map((name) => `  ${name},\n`).join("")}} from ${quote(from)};`;
}

/** The interfaces of what an object has, each `PREFIX` + `Maps` and so on. Without programs no links. */
export function interfaces(model: ObjectModel, prefix: string, names: ModuleNames, withLinks: boolean): string[] {
  const text = (doc: string, name: string, body: (writer: Writer) => void): string => {
    const writer = new Writer();
    writer.doc(doc).block(`export interface ${name} {`, "}", () => body(writer));
    return writer.toString().trimEnd();
  };
  const result = [
    text(`The maps of ${prefix}.`, names.maps, (writer) => {
      for (const { property, spec, type, key, value, input } of model.maps) {
        writer.doc(mapText(type, spec));
        writer.line(`readonly ${propertyName(property)}: BpfMap<${[key, value, input ?? []].flat().join(", ")}>;`);
      }
    }),
    text(`The programs of ${prefix}.`, names.progs, (writer) => {
      for (const { property, spec } of model.programs) {
        writer.doc(`SEC(${JSON.stringify(spec.sectionName)})`);
        writer.line(`readonly ${propertyName(property)}: BpfProgram;`);
      }
    }),
  ];
  if (withLinks) {
    result.push(
      text(`What keeps the programs of ${prefix} attached; undefined for what is not.`, names.links, (writer) => {
        for (const { property } of [...model.programs, ...linkedTables(model)]) {
          writer.line(`${propertyName(property)}: BpfLink | undefined;`);
        }
      }),
    );
  }
  if (model.structOps.length > 0) {
    result.push(
      text(`The struct_ops variables of ${prefix}, settable until load.`, names.structOps, (writer) => {
        for (const { property, cName, fields } of model.structOps) {
          writer.doc(`\`${cName}\``);
          writer.block(`readonly ${propertyName(property)}: {`, "};", () => writeFields(writer, fields));
        }
      }),
    );
  }
  for (const section of model.sections) {
    result.push(
      text(`Global variables in ${section.name}.`, names.sections.get(section.property) ?? "", (writer) =>
        writeFields(writer, section.fields),
      ),
    );
  }
  return result;
}

/** struct_ops variables whose links have a property: those that no program's has. */
function linkedTables(model: ObjectModel): ObjectModel["structOps"] {
  return model.structOps.filter(({ property }) => !model.programs.some((program) => program.property === property));
}

/** Names of the interfaces of one module. */
export interface ModuleNames {
  readonly maps: string;
  readonly progs: string;
  readonly links: string;
  readonly structOps: string;
  /** By the section's property. */
  readonly sections: ReadonlyMap<string, string>;
}

function mapText(type: string, spec: MapSpec): string {
  const { keySize, valueSize, maxEntries, dataKind, sectionName, structOps } = spec;
  if (dataKind !== undefined) return `The section ${sectionName}, ${bytes(valueSize)}`;
  if (structOps !== undefined) return `A variable in ${sectionName}`;
  if (type === "ringbuf" || type === "user_ringbuf") return `${type}, ${bytes(maxEntries)}`;
  const entries = maxEntries === 1 ? "1 entry" : `${maxEntries} entries`;
  const { holds, valueIsFd } = mapTypeRule(mapTypeName(spec.type) ?? spec.type);
  const note =
    holds !== undefined ? "; written as descriptors, read as ids" : valueIsFd ? "; written as descriptors" : "";
  const keys = keySize === 0 ? "" : `keys of ${bytes(keySize)}, `;
  return `${type}: ${keys}values of ${bytes(valueSize)}, ${entries}${note}`;
}

function writeFields(writer: Writer, fields: readonly FieldModel[]): void {
  for (const { name, offset, size, cText, type, input } of fields) {
    const property = propertyName(name);
    writer.doc(`Offset ${offset}, ${bytes(size)}: \`${cText}\``);
    if (input === undefined) writer.line(`readonly ${property}: ${type};`);
    else writer.line(...accessorLines(property, type, input));
  }
}

/** The table as an object literal. `object` is an expression: where the object's bytes are. */
export function layoutCode(layout: Layout, object: string | undefined, language: Language): string {
  const writer = new Writer();
  const list = (name: string, rows: readonly (readonly unknown[])[]): void => {
    if (rows.length === 0) writer.line(`${name}: [],`);
    else writer.block(`${name}: [`, "],", () => writer.line(...rows.map((row) => `${rowCode(row)},`)));
  };
  writer.line("// What the code above relies on; open() compares it with the object.");
  writer.block(`const layout${language === "ts" ? ": SkeletonLayout" : ""} = {`, "};", () => {
    writer.line(`version: ${layout.version},`, `name: ${quote(layout.name)},`);
    if (layout.int64 !== undefined) writer.line(`int64: ${quote(layout.int64)},`);
    list("maps", layout.maps);
    list("programs", layout.programs);
    list("sections", layout.sections);
    list("structOps", layout.structOps);
    list("types", layout.types);
    if (object !== undefined) writer.line(`${literalKey("object")}: ${object},`);
  });
  return writer.toString().trimEnd();
}

function rowCode(row: readonly unknown[]): string {
  return `[${row.map((cell) => (Array.isArray(cell) ? rowCode(cell) : quote(String(cell)))).join(", ")}]`;
}
