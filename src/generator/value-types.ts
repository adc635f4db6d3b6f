// BTF types as TypeScript types: what decoding a value gives, member by member as codec-plan.ts plans it (the table is at
// compileCodec). Structs, unions and enums that have a name in C are declared once and referred to. Those that global
// variables lead to are declared a second time, as live views: setting a member takes more than reading it gives.

import {
  arrayForm,
  type Btf,
  type BtfComposite,
  type BtfEnum,
  type BtfEnum64,
  type BtfMember,
  type BtfType,
  compileCodec,
  findByCName,
  memberBits,
} from "../btf/index.js";
import { BpfkitError, BtfError } from "../errors.js";
import { cDeclaration } from "./c-type.js";
import { identifier, literalKey, type Names, pascalCase, propertyName, quote } from "./names.js";
import { accessorLines, docComment, indentRest } from "./writer.js";

/** How code is written: a module of TypeScript, one of JavaScript, or declarations for the latter. */
export type Language = "ts" | "js" | "dts";

/** What 64-bit integers are. */
export type Int64 = "bigint" | "number";

/** A type with a name of its own. */
export interface Declaration {
  readonly typeId: number;
  readonly identifier: string;
  /** As C names it: `struct event`, `color_t`. */
  readonly cName: string;
  readonly isEnum: boolean;
}

type Enumeration = BtfEnum | BtfEnum64;

/** How a member is written. @param at bits from the start of the outermost struct */
type MemberWriter = (member: BtfMember, resolved: BtfType, at: number) => string;

/** Members written at most: types without names are written where they are used, and a damaged file may nest them. */
const MAX_MEMBERS = 0x20000;

/** Translates the types of one object, and collects the declarations that the translations refer to. */
export class ValueTypes {
  readonly #btf: Btf;
  readonly #names: Names;
  readonly #int64: Int64;
  readonly #declarations = new Map<number, Declaration>();
  /** Identifiers of the structs and unions that are declared as live views, too. */
  readonly #live = new Map<number, string>();
  /** Declared aliases: typedefs that were asked for. */
  readonly #aliases = new Map<string, number>();
  #members = 0;

  constructor(btf: Btf, names: Names, int64: Int64 = "bigint") {
    this.#btf = btf;
    this.#names = names;
    this.#int64 = int64;
  }

  /** What values of the type decode to; undefined when they cannot be decoded. */
  decodable(typeId: number): string | undefined {
    try {
      compileCodec(this.#btf, typeId, { codegen: false });
    } catch (error) {
      if (BpfkitError.isBpfkitError(error)) return undefined;
      throw error;
    }
    return this.typeOf(typeId);
  }

  /** What values of the type decode to. The type is known to have a codec. */
  typeOf(typeId: number, typedefName = ""): string {
    const type = this.#btf.type(typeId);
    switch (type.kind) {
      case "typedef":
        return this.typeOf(type.type, type.name);
      case "var":
      case "const":
      case "volatile":
      case "restrict":
      case "typeTag":
        return this.typeOf(type.type, typedefName);
      case "int":
        if (type.bool && type.size <= 4) return "boolean";
        return this.#numeric(type.size);
      case "ptr":
        return "bigint";
      case "float":
        return type.size === 4 || type.size === 8 ? "number" : "Uint8Array";
      case "enum":
      case "enum64": {
        const name = type.name || typedefName;
        if (name === "") return this.#numeric(type.size);
        return this.#declare(type, name).identifier;
      }
      case "array":
        return this.#array(type.elementType);
      case "struct":
      case "union": {
        const name = type.name || typedefName;
        return name === "" ? this.#literal(type) : this.#declare(type, name).identifier;
      }
      default:
        throw new BtfError("BTF_INVALID", `a ${type.kind} has no values`);
    }
  }

  /** What reading a global variable gives: structs, unions and arrays are live views. */
  liveOf(typeId: number, typedefName = ""): string {
    const type = this.#btf.type(typeId);
    switch (type.kind) {
      case "typedef":
        return this.liveOf(type.type, type.name);
      case "var":
      case "const":
      case "volatile":
      case "restrict":
      case "typeTag":
        return this.liveOf(type.type, typedefName);
      case "array": {
        const element = this.#btf.type(this.#btf.resolve(type.elementType));
        return arrayForm(element) === "values" ? `${this.liveOf(type.elementType)}[]` : this.typeOf(typeId);
      }
      case "struct":
      case "union":
        return this.#liveComposite(type, typedefName);
      default:
        return this.typeOf(typeId, typedefName);
    }
  }

  /** `Live<T>` says everything unless a member takes more than reading it gives: no mapped type can say that. */
  #liveComposite(type: BtfComposite, typedefName: string): string {
    const declared = this.#live.get(type.id);
    if (declared !== undefined) return declared;
    if (!this.#takesMore(type)) return `Live<${this.typeOf(type.id, typedefName)}>`;
    const name = type.name || typedefName;
    if (name === "") return this.#liveLiteral(type, undefined);
    const own = this.typeOf(type.id, typedefName);
    const live = this.#names.take(`Live${pascalCase(name)}`);
    this.#live.set(type.id, live);
    // Declares what the members refer to.
    this.#liveLiteral(type, own);
    return live;
  }

  #takesMore(type: BtfComposite): boolean {
    return type.members.some((member) => {
      const resolved = this.#btf.type(this.#btf.resolve(member.type));
      const isComposite = resolved.kind === "struct" || resolved.kind === "union";
      if (member.name === "") return isComposite && this.#takesMore(resolved);
      return isComposite || this.#memberType(member, resolved) !== this.#memberInput(member, resolved, undefined);
    });
  }

  /** As the codecs' `resultOf`. */
  #numeric(size: number): "number" | "bigint" {
    return size <= 4 ? "number" : size === 8 ? this.#int64 : "bigint";
  }

  /**
   * What can be written where values of the type are read: the same, or more.
   * @param reference what to write for a type that would be written out
   */
  inputOf(typeId: number, reference?: string): string {
    const text = this.typeOf(typeId);
    const own = reference !== undefined && text.includes("{") ? reference : text;
    const type = this.#btf.type(this.#btf.resolve(typeId));
    if (own === "bigint" || (own === "number" && type.kind === "int" && type.size > 4)) return "bigint | number";
    if (own === "string") return "string | Uint8Array";
    const isWide = type.kind === "enum64";
    return isWide || this.#isCompound(typeId, own) ? `ValueInput<${own}>` : own;
  }

  #isCompound(typeId: number, text: string): boolean {
    const { kind } = this.#btf.type(this.#btf.resolve(typeId));
    return kind === "struct" || kind === "union" || (kind === "array" && text !== "string" && text !== "Uint8Array");
  }

  #array(elementType: number): string {
    const element = this.#btf.type(this.#btf.resolve(elementType));
    const form = arrayForm(element);
    if (form === "values") return arrayOf(this.typeOf(elementType));
    return form === "text" ? "string" : "Uint8Array";
  }

  #declare(type: BtfComposite | Enumeration, name: string): Declaration {
    let declaration = this.#declarations.get(type.id);
    if (declaration === undefined) {
      const tag = type.kind === "enum64" ? "enum" : type.kind;
      declaration = {
        typeId: type.id,
        identifier: this.#names.take(identifier(name)),
        cName: type.name === "" ? name : `${tag} ${name}`,
        isEnum: tag === "enum",
      };
      this.#declarations.set(type.id, declaration);
      // Declares what the members refer to.
      if (type.kind === "struct" || type.kind === "union") this.#literal(type);
    }
    return declaration;
  }

  /**
   * Declares a type by its C name: `event`, `struct event`, `color_t`. The name that TypeScript code uses is returned.
   *
   * @throws BtfError when there is no such type, or it has no values
   */
  request(cName: string): string {
    const id = findType(this.#btf, cName);
    compileCodec(this.#btf, id, { codegen: false });
    return this.requestId(id);
  }

  /** Whether {@link request} would find the type, and values of it. */
  has(cName: string): boolean {
    try {
      return this.decodable(findType(this.#btf, cName)) !== undefined;
    } catch (error) {
      if (BpfkitError.isBpfkitError(error)) return false;
      throw error;
    }
  }

  /** The same by id. The type is known to have a codec. */
  requestId(id: number): string {
    const text = this.typeOf(id);
    const type = this.#btf.type(id);
    if (type.kind !== "typedef") return text;
    const declared = this.#declarations.get(this.#btf.resolve(id));
    const alias = identifier(type.name);
    if (declared?.identifier === alias) return alias;
    for (const [name, known] of this.#aliases) if (known === id) return name;
    const name = this.#names.take(alias);
    this.#aliases.set(name, id);
    return name;
  }

  /** Everything that was referred to, in the order of the object's types. */
  get declarations(): readonly Declaration[] {
    return [...this.#declarations.values()].sort((a, b) => a.typeId - b.typeId);
  }

  /** The code that declares all of it, one declaration a string. */
  code(language: Language): string[] {
    const named = this.declarations.map((declaration) => this.#code(declaration, language));
    const aliases = [...this.#aliases].map(([name, id]) => {
      const { type } = this.#btf.type(id) as { readonly type: number };
      return language === "js"
        ? ""
        : `${docComment([`\`${cDeclaration(this.#btf, type)}\``])}\nexport type ${name} = ${this.typeOf(id)};`;
    });
    return [...named, ...aliases].filter((text) => text !== "");
  }

  #code({ typeId, identifier: name, cName }: Declaration, language: Language): string {
    const type = this.#btf.type(typeId);
    if (type.kind === "enum" || type.kind === "enum64") {
      return enumCode(type, name, cName, this.#numeric(type.size), language);
    }
    if (language === "js" || (type.kind !== "struct" && type.kind !== "union")) return "";
    const note = type.kind === "union" ? ": its bytes as each of the members" : "";
    const code = `${docComment([`\`${cName}\`, ${bytes(type.size)}${note}.`])}\nexport type ${name} = ${this.#literal(type)};`;
    const live = this.#live.get(typeId);
    if (live === undefined) return code;
    const doc = docComment([
      `\`${cName}\` as a live view. A member that is set is set as a whole: what is left out becomes zero.`,
    ]);
    return `${code}\n\n${doc}\nexport interface ${live} ${this.#liveLiteral(type, name)}`;
  }

  /** The type of a struct or union, written out. */
  #literal(type: BtfComposite): string {
    const members = this.#membersOf(type, 0, (member, resolved, at) => this.#member(member, resolved, at));
    return members.length === 0 ? "Record<string, never>" : braces(members);
  }

  /** The same as a live view. @param own the type's identifier */
  #liveLiteral(type: BtfComposite, own: string | undefined): string {
    return braces(this.#membersOf(type, 0, (member, resolved, at) => this.#liveMember(member, resolved, at, own)));
  }

  /** Members of anonymous structs and unions belong to the type around them. @param start bit offset */
  #membersOf(type: BtfComposite, start: number, write: MemberWriter): string[] {
    return type.members.flatMap((member) => {
      const inner = this.#btf.type(this.#btf.resolve(member.type));
      if (member.name !== "") {
        if (++this.#members > MAX_MEMBERS)
          throw new BtfError("BTF_INVALID", "the types have too many members to write out");
        return [write(member, inner, start + memberBits(member, inner).bitOffset)];
      }
      const isComposite = inner.kind === "struct" || inner.kind === "union";
      return isComposite ? this.#membersOf(inner, start + member.bitOffset, write) : [];
    });
  }

  #member(member: BtfMember, resolved: BtfType, at: number): string {
    const text = this.#memberType(member, resolved);
    return `${this.#memberDoc(member, resolved, at)}\nreadonly ${propertyName(member.name)}: ${text};`;
  }

  #liveMember(member: BtfMember, resolved: BtfType, at: number, own: string | undefined): string {
    const { name, type } = member;
    const live = isFlag(member, resolved) ? "boolean" : this.liveOf(type);
    const input = this.#memberInput(member, resolved, own && `${own}[${quote(name)}]`);
    return [this.#memberDoc(member, resolved, at), ...accessorLines(propertyName(name), live, input)].join("\n");
  }

  #memberType(member: BtfMember, resolved: BtfType): string {
    return isFlag(member, resolved) ? "boolean" : this.typeOf(member.type);
  }

  #memberInput(member: BtfMember, resolved: BtfType, reference: string | undefined): string {
    return isFlag(member, resolved) ? "boolean" : this.inputOf(member.type, reference);
  }

  #memberDoc(member: BtfMember, resolved: BtfType, at: number): string {
    const { name, type } = member;
    const { bitSize: bits } = memberBits(member, resolved);
    const offset = at % 8 === 0 ? `Offset ${at / 8}` : `Offset ${Math.floor(at / 8)} bit ${at % 8}`;
    const width = bits > 0 ? "" : `, ${bytes(this.#btf.sizeOf(type))}`;
    const declared = `${cDeclaration(this.#btf, type, name)}${bits > 0 ? ` : ${bits}` : ""}`;
    return docComment([`${offset}${width}: \`${declared}\``]);
  }
}

/** A bitfield of a bool is a boolean whatever its declared size. */
function isFlag(member: BtfMember, resolved: BtfType): boolean {
  return resolved.kind === "int" && resolved.bool && memberBits(member, resolved).bitSize > 0;
}

function braces(members: readonly string[]): string {
  return `{\n  ${members.map(indentRest).join("\n  ")}\n}`;
}

/** `readonly T[]`. */
export function arrayOf(element: string): string {
  return element.startsWith("readonly ") ? `readonly (${element})[]` : `readonly ${element}[]`;
}

/** `1 byte`, `16 bytes`. */
export function bytes(count: number): string {
  return count === 1 ? "1 byte" : `${count} bytes`;
}

/**
 * The id of a type by its C name, with or without `struct`, `union` or `enum`.
 *
 * @throws BtfError `BTF_TYPE_NOT_FOUND`
 */
export function findType(btf: Btf, cName: string): number {
  const id = findByCName(btf, cName);
  if (id !== undefined) return id;
  throw new BtfError("BTF_TYPE_NOT_FOUND", `the object has no type ${cName}`, {
    hint: "compilers leave types out that nothing in the object uses",
  });
}

/** @param any what values are: one that is none of the enumerators is possible too, for C does not check */
function enumCode(type: Enumeration, name: string, cName: string, any: Int64, language: Language): string {
  // No compiler writes two of one name; a damaged file may, and then the first one counts.
  const values = new Map([...type.values].reverse().map((entry) => [entry.name, entry.value]));
  const entries = [...values].reverse();
  const isDeclaration = language === "dts";
  const list = entries.map(([key, value]) => {
    const text = any === "number" ? String(Number(value)) : `${value}n`;
    return isDeclaration ? `  readonly ${propertyName(key)}: ${text};` : `  ${literalKey(key)}: ${text},`;
  });
  const head = docComment([`\`${cName}\`, ${bytes(type.size)}. A value may be any ${any}: C does not check.`]);
  if (language === "js") return `${head}\nexport const ${name} = {\n${list.join("\n")}\n};`;
  const constant = isDeclaration
    ? `export declare const ${name}: {\n${list.join("\n")}\n};`
    : `export const ${name} = {\n${list.join("\n")}\n} as const;`;
  const alias = entries.length === 0 ? any : `(typeof ${name})[keyof typeof ${name}] | (${any} & {})`;
  return `${head}\n${constant}\nexport type ${name} = ${alias};`;
}
