// Scalars in memory as text, and C's names of types: what both printers of values (format-value.ts, format-json.ts) need.

import type { Btf } from "./btf.js";
import { bitSlot, readWideBits } from "./codec-bits.js";
import type { BtfEnum, BtfEnum64, BtfInt, BtfType } from "./types.js";

/** What printers need of a {@link Btf}. */
export type PrintableTypes = Pick<Btf, "littleEndian" | "type" | "resolve">;

/** One value in memory. */
export interface Bits {
  /** From the beginning of the view. */
  readonly bitOffset: number;
  /** Width of a bitfield; 0 when the value is none. */
  readonly bitSize: number;
}

/** An integer, enum or pointer. @param signed by default as the type says */
export function readInteger(
  view: DataView,
  littleEndian: boolean,
  type: BtfType,
  { bitOffset, bitSize }: Bits,
  signed = "signed" in type && type.signed,
): bigint {
  const bits = bitSize > 0 ? bitSize : sizeOfScalar(type) * 8;
  return readWideBits(view, Math.floor(bitOffset / 8), bitSlot(bitOffset % 8, bits, littleEndian), signed);
}

function sizeOfScalar(type: BtfType): number {
  return type.kind === "ptr" ? 8 : "size" in type ? type.size : 0;
}

/** A floating-point number; undefined for sizes that JavaScript has no type for. */
export function readFloat(view: DataView, littleEndian: boolean, size: number, offset: number): number | undefined {
  if (size === 4) return view.getFloat32(offset, littleEndian);
  return size === 8 ? view.getFloat64(offset, littleEndian) : undefined;
}

/** The first enumerator of this value. */
export function enumeratorOf(type: BtfEnum | BtfEnum64, value: bigint): string | undefined {
  for (const { name, value: candidate } of type.values) if (BigInt(candidate) === value) return name;
  return undefined;
}

/** `char`, whatever the compiler calls it: text in arrays. `unsigned char` and `signed char` are numbers. */
export function isText(type: BtfType): type is BtfInt {
  return (
    type.kind === "int" &&
    type.size === 1 &&
    !type.bool &&
    (type.name === "char" || (type.char && !/\bun|\bsigned/.test(type.name)))
  );
}

/** The bytes of a value as text in hexadecimal digits, as memory has them. */
export function hexBytes(view: DataView, offset: number, size: number): string {
  let text = "";
  for (let i = 0; i < size; i++)
    text += view
      .getUint8(offset + i)
      .toString(16)
      .padStart(2, "0");
  return text;
}

const MAX_LINKS = 64;

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
