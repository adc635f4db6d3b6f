// Values as JSON, from bytes and a type: every integer with all its digits, enumerators by name.

import { readText } from "./codec-strings.js";
import { arrayForm, type Bits } from "./conventions.js";
import type { BtfArray, BtfComposite, BtfType } from "./types.js";
import { enumeratorOf, type PrintableTypes, ValueReader } from "./value-reader.js";

/** How to print. */
export interface JsonOptions {
  /** What one level is indented by; `""`, the default, puts all into one line. */
  readonly indent?: string | undefined;
  /** Levels that everything but the first line is indented by; 0 by default. */
  readonly level?: number | undefined;
  /**
   * Bytes of the value, where they may be more than its type has: those behind it are the elements of a flexible array
   * at its end. Without it that array is empty.
   */
  readonly length?: number | undefined;
}

/**
 * Prints the value of a BTF type at the beginning of `bytes`, in the byte order of the BTF, as JSON.
 *
 * Integers are numbers with all their digits (JavaScript's own JSON.parse rounds beyond 2^53, others need not), enums the
 * names of their values as bpftool has them, or numbers where there is none, pointers strings like `"0xffff8880"`,
 * `char[N]` a string, or numbers where its bytes are no UTF-8, floats that JSON cannot write (NaN, infinities) null. Members of anonymous structs and unions are
 * members of their parent.
 *
 * @throws BtfError as {@link compileCodec}, ValueError when there are fewer bytes than a value has
 */
export function formatJson(
  btf: PrintableTypes,
  typeId: number,
  bytes: Uint8Array,
  { indent = "", level = 0, length }: JsonOptions = {},
): string {
  const value = new ValueReader(btf, typeId, bytes, length);
  return new JsonPrinter(value, indent).print(value.type(value.id), { bitOffset: 0, bitSize: 0 }, level);
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
  readonly #value: ValueReader;
  readonly #indent: string;
  readonly #colon: string;

  constructor(value: ValueReader, indent: string) {
    this.#value = value;
    this.#indent = indent;
    this.#colon = indent === "" ? ":" : ": ";
  }

  print(type: BtfType, at: Bits, level: number): string {
    switch (type.kind) {
      case "struct":
      case "union":
        return jsonLines("{", this.#members(type, at.bitOffset, level + 1), "}", this.#indent, level);
      case "array":
        return this.#array(type, at.bitOffset, level);
      case "float":
        return JSON.stringify(this.#value.float(type, at));
      default:
        return this.#scalar(type, at);
    }
  }

  #scalar(type: BtfType, at: Bits): string {
    const value = this.#value.integer(type, at);
    if (type.kind === "ptr") return `"0x${value.toString(16)}"`;
    if (type.kind === "int" && type.bool) return String(value !== 0n);
    const name = type.kind === "enum" || type.kind === "enum64" ? enumeratorOf(type, value) : undefined;
    return name === undefined ? String(value) : JSON.stringify(name);
  }

  #members(composite: BtfComposite, start: number, level: number): string[] {
    const lines: string[] = [];
    for (const { name, type, at } of this.#value.members(composite, start)) {
      if (name === "") lines.push(...this.#members(type as BtfComposite, at.bitOffset, level));
      else lines.push(`${JSON.stringify(name)}${this.#colon}${this.print(type, at, level)}`);
    }
    return lines;
  }

  #array(array: BtfArray, start: number, level: number): string {
    const element = this.#value.type(array.elementType);
    if (arrayForm(element) === "text") {
      const text = readText(this.#value.view, start / 8, array.count);
      // Replacement characters would hide what is there.
      if (!text.includes("\ufffd")) return JSON.stringify(text);
    }
    const items = Array.from(this.#value.elements(array, start), ({ type, at }) => this.print(type, at, level + 1));
    // Scalars stand in one line, or long arrays would fill the screen.
    const inLine = element.kind !== "struct" && element.kind !== "union" && element.kind !== "array";
    if (inLine && this.#indent !== "") return `[${items.join(", ")}]`;
    return jsonLines("[", items, "]", this.#indent, level);
  }
}
