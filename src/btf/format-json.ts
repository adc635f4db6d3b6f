// Values as JSON, from bytes and a type: every integer with all its digits, enumerators by name.

import { ValueError } from "../errors.js";
import { planType } from "./codec-plan.js";
import { readText } from "./codec-strings.js";
import {
  type Bits,
  enumeratorOf,
  hexBytes,
  isText,
  type PrintableTypes,
  readFloat,
  readInteger,
} from "./scalar-text.js";
import type { BtfType } from "./types.js";

/** How to print. */
export interface JsonOptions {
  /** What one level is indented by; `""`, the default, puts all into one line. */
  readonly indent?: string;
  /** Levels that everything but the first line is indented by; 0 by default. */
  readonly level?: number;
}

/**
 * Prints the value of a BTF type at the beginning of `bytes`, in the byte order of the BTF, as JSON.
 *
 * Integers are numbers with all their digits (JavaScript's own JSON.parse rounds beyond 2^53, others need not), enums the
 * names of their values as bpftool has them, or numbers where there is none, pointers strings like `"0xffff8880"`,
 * `char[N]` a string, floats that JSON cannot write (NaN, infinities) null. Members of anonymous structs and unions are
 * members of their parent.
 *
 * @throws BtfError as {@link compileCodec}, ValueError when there are fewer bytes than a value has
 */
export function formatJson(
  btf: PrintableTypes,
  typeId: number,
  bytes: Uint8Array,
  { indent = "", level = 0 }: JsonOptions = {},
): string {
  const { size } = planType(btf, typeId, {});
  if (bytes.length < size) throw new ValueError("VALUE", `a value has ${size} bytes, there are only ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const type = btf.type(typeId);
  const id = type.kind === "var" ? type.type : typeId;
  return new JsonPrinter(btf, view, indent).value(id, { bitOffset: 0, bitSize: 0 }, level);
}

/** Elements of a JSON array or object between brackets, in one line or in one each. */
export function jsonLines(
  open: string,
  items: readonly string[],
  close: string,
  indent: string,
  level: number,
): string {
  if (items.length === 0) return open + close;
  if (indent === "") return `${open}${items.join(",")}${close}`;
  const newline = `\n${indent.repeat(level)}`;
  return `${open}${items.map((item) => newline + indent + item).join(",")}${newline}${close}`;
}

class JsonPrinter {
  readonly #btf: PrintableTypes;
  readonly #view: DataView;
  readonly #indent: string;
  readonly #colon: string;

  constructor(btf: PrintableTypes, view: DataView, indent: string) {
    this.#btf = btf;
    this.#view = view;
    this.#indent = indent;
    this.#colon = indent === "" ? ":" : ": ";
  }

  value(id: number, at: Bits, level: number): string {
    const type = this.#btf.type(this.#btf.resolve(id));
    switch (type.kind) {
      case "struct":
      case "union":
        return jsonLines("{", this.#members(type, at.bitOffset, level + 1), "}", this.#indent, level);
      case "array":
        return this.#array(type.elementType, type.count, at.bitOffset, level);
      case "float": {
        const value = readFloat(this.#view, this.#btf.littleEndian, type.size, at.bitOffset / 8);
        if (value !== undefined) return JSON.stringify(value);
        return JSON.stringify(`0x${hexBytes(this.#view, at.bitOffset / 8, type.size)}`);
      }
      default:
        return this.#scalar(type, at);
    }
  }

  #scalar(type: BtfType, at: Bits): string {
    const value = readInteger(this.#view, this.#btf.littleEndian, type, at);
    if (type.kind === "ptr") return `"0x${value.toString(16)}"`;
    if (type.kind === "int" && type.bool) return String(value !== 0n);
    const name = type.kind === "enum" || type.kind === "enum64" ? enumeratorOf(type, value) : undefined;
    return name === undefined ? String(value) : JSON.stringify(name);
  }

  #members(type: BtfType & { readonly kind: "struct" | "union" }, start: number, level: number): string[] {
    return type.members.flatMap(({ name, type: id, bitOffset, bitSize }) => {
      const member = this.#btf.type(this.#btf.resolve(id));
      if (name === "") {
        const anonymous = member.kind === "struct" || member.kind === "union";
        return anonymous ? this.#members(member, start + bitOffset, level) : [];
      }
      const old = bitSize === 0 && member.kind === "int" && member.bits !== member.size * 8;
      const at = old
        ? { bitOffset: start + bitOffset + member.bitOffset, bitSize: member.bits }
        : { bitOffset: start + bitOffset, bitSize };
      return `${JSON.stringify(name)}${this.#colon}${this.value(id, at, level)}`;
    });
  }

  #array(elementType: number, count: number, start: number, level: number): string {
    if (isText(this.#btf.type(this.#btf.resolve(elementType)))) {
      return JSON.stringify(readText(this.#view, start / 8, count));
    }
    const { size, kind } = planType(this.#btf, elementType, {});
    const items = Array.from({ length: count }, (_, i) =>
      this.value(elementType, { bitOffset: start + i * size * 8, bitSize: 0 }, level + 1),
    );
    // Scalars stand in one line, or long arrays would fill the screen.
    const inLine = kind !== "struct" && kind !== "union" && kind !== "array";
    if (inLine && this.#indent !== "") return `[${items.join(", ")}]`;
    return jsonLines("[", items, "]", this.#indent, level);
  }
}
