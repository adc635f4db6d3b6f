// A BTF type as C would declare it, for comments: `char comm[16]`, `int (*callback)(void *)`.

import { type Btf, BtfKind } from "../btf/index.js";

/** Links that are followed at most; types of a damaged file may be circles. */
const MAX_LINKS = 32;

/** The declaration of `name` with the type `typeId`; without a name the type alone. */
export function cDeclaration(btf: Btf, typeId: number, name = ""): string {
  let declarator = name;
  let id = typeId;
  // Qualifiers that belong to what comes next to the left.
  let qualifiers = "";
  for (let links = 0; links < MAX_LINKS; links++) {
    const type = btf.type(id);
    switch (type.kind) {
      case "const":
      case "volatile":
      case "restrict":
        qualifiers = `${type.kind} ${qualifiers}`;
        id = type.type;
        break;
      case "typeTag":
        id = type.type;
        break;
      case "ptr": {
        declarator = `*${qualifiers}${declarator}`;
        qualifiers = "";
        const target = btf.kindOf(btf.skipModifiers(type.type));
        if (target === BtfKind.Array || target === BtfKind.FuncProto) declarator = `(${declarator})`;
        id = type.type;
        break;
      }
      case "array":
        declarator += `[${type.count}]`;
        id = type.elementType;
        break;
      case "funcProto": {
        const params = type.params.map((param) => (param.type === 0 ? "..." : parameterType(btf, param.type)));
        declarator += `(${params.length === 0 ? "void" : params.join(", ")})`;
        id = type.returnType;
        break;
      }
      default: {
        const tag =
          type.kind === "enum64" ? "enum" : type.kind === "fwd" ? (type.union ? "union" : "struct") : type.kind;
        const tagged = ["enum", "struct", "union"].includes(tag);
        const base = tagged ? `${tag} ${type.name || "{…}"}` : type.name || tag;
        return `${qualifiers}${base} ${declarator}`
          .replace(/\s+/g, " ")
          .replace(/\* (?=[*\w])/g, "*")
          .trim();
      }
    }
  }
  return `… ${declarator}`.trim();
}

/** The type of a parameter; functions that take functions are cut short. */
function parameterType(btf: Btf, id: number): string {
  const pointer = btf.type(btf.skipModifiers(id));
  const isFunction = pointer.kind === "ptr" && btf.kindOf(btf.skipModifiers(pointer.type)) === BtfKind.FuncProto;
  return isFunction ? "(*)(…)" : cDeclaration(btf, id);
}
