// C's names of types.

import type { Btf } from "./btf.js";
import type { BtfType } from "./types.js";
import type { PrintableTypes } from "./value-reader.js";

const MAX_LINKS = 64;

/** What a name without `struct`, `union` or `enum` may be, in the order in which it is looked for. */
const namedKinds = ["struct", "union", "typedef", "enum", "enum64", "int", "float"] as const;

/** The id of the type that C calls so, `event` or `struct event`; undefined when there is none. */
export function findByCName(btf: Btf, cName: string): number | undefined {
  const [, tag, name] = /^\s*(?:(struct|union|enum)\s+)?(\S+)\s*$/.exec(cName) ?? [];
  if (name === undefined) return undefined;
  for (const kind of namedKinds) {
    if (tag !== undefined && kind.replace("64", "") !== tag) continue;
    const id = btf.findByName(name, kind);
    if (id !== undefined) return id;
  }
  return undefined;
}

/**
 * How C writes a type without a name for what has it, and without qualifiers of its own: `struct point *`, `char[16]`,
 * `int (*)(void *)`.
 */
export function typeName(btf: PrintableTypes, id: number): string {
  let inner = "";
  let bare = withoutQualifiers(btf, id);
  for (let type = btf.type(bare); type.kind === "array"; type = btf.type(bare)) {
    inner += `[${type.count}]`;
    bare = withoutQualifiers(btf, type.elementType);
  }
  return declare(btf, bare, inner, 0);
}

/** The type around a declarator: what stands for the name, with what binds to it. */
function declare(btf: PrintableTypes, id: number, inner: string, depth: number): string {
  const type = btf.type(id);
  if (depth > MAX_LINKS) return "…";
  switch (type.kind) {
    case "ptr": {
      const target = btf.type(withoutQualifiers(btf, type.type));
      const pointer = `*${inner}`;
      const needsParentheses = target.kind === "array" || target.kind === "funcProto";
      return declare(btf, type.type, needsParentheses ? `(${pointer})` : pointer, depth + 1);
    }
    case "array":
      return declare(btf, type.elementType, `${inner}[${type.count}]`, depth + 1);
    case "funcProto": {
      const params = type.params.map((param) => (param.type === 0 ? "..." : declare(btf, param.type, "", depth + 1)));
      return declare(btf, type.returnType, `${inner}(${params.length === 0 ? "void" : params.join(", ")})`, depth + 1);
    }
    case "const":
    case "volatile":
    case "restrict": {
      const of = btf.type(type.type);
      if (of.kind === "ptr")
        return declare(btf, type.type, ` ${type.kind}${inner === "" ? "" : ` ${inner}`}`, depth + 1);
      return `${type.kind} ${declare(btf, type.type, inner, depth + 1)}`;
    }
    case "typeTag":
      return declare(btf, type.type, inner, depth + 1);
    default:
      return `${baseName(type)}${inner === "" || inner.startsWith("[") ? "" : " "}${inner}`;
  }
}

function baseName(type: BtfType): string {
  switch (type.kind) {
    case "void":
      return "void";
    case "struct":
    case "union":
      return type.name === "" ? type.kind : `${type.kind} ${type.name}`;
    case "enum":
    case "enum64":
      return type.name === "" ? "enum" : `enum ${type.name}`;
    case "fwd":
      return `${type.union ? "union" : "struct"} ${type.name}`;
    default:
      return type.name;
  }
}

/** The same type without `const`, `volatile` and so on at its outside. */
function withoutQualifiers(btf: PrintableTypes, id: number): number {
  let result = id;
  for (let i = 0; i < MAX_LINKS; i++) {
    const type = btf.type(result);
    if (type.kind !== "const" && type.kind !== "volatile" && type.kind !== "restrict" && type.kind !== "typeTag") break;
    result = type.type;
  }
  return result;
}
