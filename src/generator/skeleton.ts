// The entry of the generator: an object's bytes in, the text of a module out. Pure, and the same bytes and options give the
// same text on every machine.

import { type Btf, Btf as BtfClass, BtfKind } from "../btf/index.js";
import { parseElf } from "../elf/index.js";
import { ArgumentError, BtfError } from "../errors.js";
import { openObject } from "../object/index.js";
import { encodeBase64 } from "./base64.js";
import { describeObject, layoutOf, type ObjectModel, sectionProperties } from "./model.js";
import { head, imports, interfaces, layoutCode, type ModuleNames, runtimeNames } from "./module.js";
import { Names, pascalCase, quote } from "./names.js";
import { type Declaration, type Int64, type Language, ValueTypes } from "./value-types.js";
import { Writer } from "./writer.js";

/** Where a skeleton has its object from. */
export type ObjectPlace =
  /** In the module itself. */
  | "embed"
  /** A file, by its URL relative to the module, such as `./minimal.bpf.o`. */
  | { readonly external: string }
  /** A file, by a JavaScript expression of its URL that a bundler understands. */
  | { readonly expression: string };

/** Options of {@link generateSkeleton}. */
export interface GenerateOptions {
  /** Name of the object, used in the names of data maps; the class is called after it: `minimal` → `MinimalBpf`. */
  readonly name: string;
  /** The file's name for the comment at the top; by default NAME.bpf.o. */
  readonly source?: string | undefined;
  /** Where the skeleton has its object from; by default it is embedded. */
  readonly object?: ObjectPlace | undefined;
  /** C names of types to declare besides those that maps and variables use: `event`, `struct event`. */
  readonly types?: readonly string[] | undefined;
  /** The same, where what the object does not have is left out. */
  readonly optionalTypes?: readonly string[] | undefined;
  /**
   * What 64-bit integers are: `"bigint"` (default), or `"number"`, exact up to 2^53 and rounded beyond. The skeleton opens
   * its object accordingly.
   */
  readonly int64?: Int64 | undefined;
  /** TypeScript (default), or JavaScript with the class as default export besides. */
  readonly language?: "ts" | "js" | undefined;
  /** The module that the runtime comes from; by default `bpfkit/skeleton`. */
  readonly runtime?: string | undefined;
}

/** Put together, for tools that replace these words wherever they stand, as bundlers do. */
const ownUrl = ["import", "meta", "url"].join(".");

/** A module under construction. */
interface Parts {
  readonly className: string;
  readonly model: ObjectModel;
  readonly types: ValueTypes | undefined;
  readonly names: ModuleNames;
  readonly declarations: readonly Declaration[];
  readonly requested: readonly string[];
  readonly int64: Int64;
}

/**
 * Writes the module of a typed skeleton: a class with open, load, attach, detach and close, every map, program, link and
 * global variable with its type, and the types of all keys and values.
 *
 * libbpf: `bpftool gen skeleton`.
 *
 * @throws ElfError, BtfError, ObjectError for what is wrong with the object; BtfError for a type that it does not have
 */
export function generateSkeleton(bytes: Uint8Array, options: GenerateOptions): string {
  const { language = "ts", object = "embed" } = options;
  const parts = analyse(bytes, options, "Bpf", true);
  const layout = layoutCode(layoutOf(parts), placeCode(bytes, object), language);
  const code = [classCode(parts, language), ...typeCode(parts, language, true), layout];
  if (language === "js") code.push(`export default ${parts.className};`);
  return assemble("gen skeleton", options, language, code);
}

function placeCode(bytes: Uint8Array, object: ObjectPlace): string {
  if (object === "embed") return `\`\n${encodeBase64(bytes)}\``;
  return `() => ${"external" in object ? `new URL(${quote(object.external)}, ${ownUrl})` : object.expression}`;
}

/**
 * Writes the declarations (`.d.ts`) of what `generateSkeleton` writes as JavaScript, with the class as default export
 * besides: the types of `import skeleton from "./minimal.bpf.o"`.
 */
export function generateDeclarations(bytes: Uint8Array, options: GenerateOptions): string {
  const parts = analyse(bytes, options, "Bpf", true);
  const code = [classCode(parts, "dts"), ...typeCode(parts, "dts", true), `export default ${parts.className};`];
  return assemble("gen skeleton", options, "dts", code);
}

/**
 * Writes the module of a typed subskeleton: a class that binds to the maps, programs and variables of a library's object
 * inside an object that somebody else opened.
 *
 * libbpf: `bpftool gen subskeleton`.
 */
export function generateSubskeleton(bytes: Uint8Array, options: GenerateOptions): string {
  const { language = "ts" } = options;
  const parts = analyse(bytes, options, "Subskeleton", false);
  const { className, names, model } = parts;
  const typed =
    language === "js"
      ? ""
      : `<${names.maps}, ${names.progs}${model.structOps.length > 0 ? `, ${names.structOps}` : ""}>`;
  const writer = new Writer();
  writer.doc(`The maps, programs and variables of ${options.name} inside an object that was opened by somebody else.`);
  writer.block(`export class ${className} extends Subskeleton${typed} {`, "}", () => {
    writer.doc(
      "Binds to an object that contains all of it, linked in. @throws NotFoundError, ObjectError naming what differs",
    );
    const [signature, result] = language === "js" ? ["object", ""] : ["object: BpfObject", `: ${className}`];
    writer.block(`static open(${signature})${result} {`, "}", () =>
      writer.line(`return new ${className}(layout, object);`),
    );
    writeSections(writer, parts, language);
  });
  const layout = layoutCode(layoutOf(parts), undefined, language);
  const code = [writer.toString().trimEnd(), ...typeCode(parts, language, false), layout];
  if (language === "js") code.push(`export default ${className};`);
  return assemble("gen subskeleton", options, language, code);
}

/** Options of {@link generateTypes}. */
export interface GenerateTypesOptions {
  /** The file's name for the comment at the top. */
  readonly source: string;
  /** C names of the types to declare, with what they refer to; by default all that have a name and values. */
  readonly types?: readonly string[] | undefined;
  /** What 64-bit integers are, `"bigint"` unless told otherwise: as the readers of the values are told. */
  readonly int64?: Int64 | undefined;
}

/**
 * Writes a module with nothing but types: those of an object or of raw BTF.
 *
 * @throws BtfError for damaged type information, or a type that is not there
 */
export function generateTypes(bytes: Uint8Array, { source, types: wanted, int64 }: GenerateTypesOptions): string {
  const btf = readBtf(bytes);
  const types = new ValueTypes(btf, new Names(Object.keys(runtimeNames)), checkInt64(int64));
  for (const name of wanted ?? []) types.request(name);
  if (wanted === undefined) {
    for (let id = 1; id < btf.typeCount; id++) {
      if (btf.nameOf(id) !== "" && declared.has(btf.kindOf(id)) && types.decodable(id) !== undefined)
        types.requestId(id);
    }
  }
  return assemble("gen types", { source, name: source }, "ts", types.code("ts"));
}

const declared: ReadonlySet<number> = new Set([
  BtfKind.Struct,
  BtfKind.Union,
  BtfKind.Enum,
  BtfKind.Enum64,
  BtfKind.Typedef,
]);

function checkInt64(int64: Int64 = "bigint"): Int64 {
  if (int64 === "bigint" || int64 === "number") return int64;
  throw new ArgumentError(`int64 is "bigint" or "number", not ${JSON.stringify(int64)}`);
}

function readBtf(bytes: Uint8Array): Btf {
  if (bytes[0] !== 0x7f || bytes[1] !== 0x45) return BtfClass.parse(bytes);
  const section = parseElf(bytes).section(".BTF");
  if (section === undefined) throw new BtfError("BTF_MISSING", "the object has no type information");
  return BtfClass.parse(section.data);
}

function analyse(bytes: Uint8Array, options: GenerateOptions, suffix: string, withLinks: boolean): Parts {
  const { name, types: wanted = [] } = options;
  const int64 = checkInt64(options.int64);
  if (typeof name !== "string" || name === "") throw new ArgumentError("the name of a skeleton cannot be empty");
  const spec = openObject(bytes, { name });
  const className = `${pascalCase(name)}${suffix}`;
  const taken = new Names([...Object.keys(runtimeNames), className, "layout"]);
  const sectionNames = new Map<string, string>();
  // The object's types give way to the module's own names, so all of these are taken first.
  const names: ModuleNames = {
    maps: taken.take(`${className}Maps`),
    progs: taken.take(`${className}Progs`),
    links: withLinks ? taken.take(`${className}Links`) : "",
    structOps: taken.take(`${className}StructOps`),
    sections: sectionNames,
  };
  for (const property of sectionProperties(spec).values()) {
    sectionNames.set(property, taken.take(`${className}${pascalCase(property)}`));
  }
  const types = spec.btf === undefined ? undefined : new ValueTypes(spec.btf, taken, int64);
  const model = describeObject(spec, types);
  if (types === undefined && wanted.length > 0) throw new BtfError("BTF_MISSING", "the object has no type information");
  const more = (options.optionalTypes ?? []).filter((cName) => types?.has(cName) === true);
  const requested = [...new Set([...wanted, ...more])];
  for (const cName of requested) types?.request(cName);
  return { className, model, types, names, declarations: types?.declarations ?? [], requested, int64 };
}

function classCode(parts: Parts, language: Language): string {
  const { className, names, model } = parts;
  const { spec } = model;
  const typed =
    language === "js"
      ? ""
      : `<${[names.maps, names.progs, names.links, ...(model.structOps.length > 0 ? [names.structOps] : [])].join(", ")}>`;
  const writer = new Writer();
  const isDeclaration = language === "dts";
  const method = (signature: string, body: string): void => {
    if (isDeclaration) writer.line(`${signature};`);
    else writer.block(`${signature} {`, "}", () => writer.line(body));
  };
  writer.doc(
    `The BPF object ${spec.name}: open, edit, load, attach, close.`,
    "",
    `License ${spec.license === "" ? "none" : JSON.stringify(spec.license)}.`,
  );
  writer.block(`export ${isDeclaration ? "declare " : ""}class ${className} extends Skeleton${typed} {`, "}", () => {
    writer.doc(
      "Opens the object, without privileges and on any platform, and checks that it is what this code was made from.",
      "",
      "@throws ObjectError naming what differs",
    );
    method(
      language === "js" ? "static open(options)" : `static open(options?: SkeletonOptions): ${className}`,
      `return new ${className}(layout, options);`,
    );
    writer.line("").doc("The object's bytes, a copy.");
    method(`static elfBytes()${language === "js" ? "" : ": Uint8Array"}`, "return Skeleton.bytesOf(layout);");
    writeSections(writer, parts, language);
  });
  return writer.toString().trimEnd();
}

function writeSections(writer: Writer, { model, names }: Parts, language: Language): void {
  for (const { property, name } of model.sections) {
    const type = language === "js" ? "" : `: ${names.sections.get(property)}`;
    writer.line("").doc(sectionTexts[property] ?? `Variables in section ${name}.`);
    if (language === "dts") writer.line(`get ${property}()${type};`);
    else writer.block(`get ${property}()${type} {`, "}", () => writer.line(`return this.section(${quote(name)});`));
  }
}

const sectionTexts: Readonly<Record<string, string>> = {
  bss: "Variables that begin as zero; shared with the running programs after load.",
  data: "Variables with an initial value; shared with the running programs after load.",
  rodata: "Constants; settable until load.",
  kconfig: "What the kernel's configuration gave, after load.",
  arena: "Variables in the arena; shared with the running programs after load.",
};

function typeCode({ model, className, names, types }: Parts, language: Language, withLinks: boolean): string[] {
  const own = language === "js" ? [] : interfaces(model, className, names, withLinks);
  return [...own, ...(types?.code(language) ?? [])];
}

function assemble(
  command: string,
  options: Pick<GenerateOptions, "name" | "source" | "runtime">,
  language: Language,
  code: readonly string[],
): string {
  const body = code.join("\n\n");
  const from = imports(body, options.runtime ?? "bpfkit/skeleton", language);
  const parts = [head(command, options.source ?? `${options.name}.bpf.o`), from, body === "" ? "export {};" : body];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}
