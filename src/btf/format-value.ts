// Values as C would initialise them, `(struct point){.x = (int)1,}`: what libbpf's btf_dump__dump_type_data prints
// (libbpf.md 5.3 point 7), from bytes and a type.

import { arrayForm, type Bits } from "./conventions.js";
import { typeName } from "./type-name.js";
import type { BtfArray, BtfComposite, BtfType } from "./types.js";
import { enumeratorOf, type PrintableTypes, ValueReader } from "./value-reader.js";

/** How to print. */
export interface FormatOptions {
  /** What one level is indented by; a tab by default. */
  readonly indent?: string | undefined;
  /** Levels that everything is indented by; 0 by default. */
  readonly level?: number | undefined;
  /** All in one line. */
  readonly compact?: boolean | undefined;
  /** No names of members and types. */
  readonly skipNames?: boolean | undefined;
  /** Members that are zero, too. */
  readonly zeroes?: boolean | undefined;
  /** Character arrays as strings (the default), or as lists of characters. */
  readonly strings?: boolean | undefined;
  /**
   * Bytes of the value, where they may be more than its type has: those behind it are the elements of a flexible array
   * at its end. Without it that array is empty.
   */
  readonly length?: number | undefined;
}

/**
 * Prints the value of a BTF type at the beginning of `bytes`, in the byte order of the BTF. Members that are zero are left
 * out unless `zeroes`, but nothing inside arrays that are not zero. Bitfields and 128-bit integers are hexadecimal, without
 * sign. libbpf: `btf_dump__dump_type_data`, which loses commas after strings and unknown enumerators, and sometimes elements
 * of arrays that are zero.
 *
 * @throws BtfError as {@link compileCodec}, ValueError when there are fewer bytes than a value has
 */
export function formatValue(
  btf: PrintableTypes,
  typeId: number,
  bytes: Uint8Array,
  options: FormatOptions = {},
): string {
  return new Printer(new ValueReader(btf, typeId, bytes, options.length), options).print();
}

/** Where a value stands in what is around it. */
interface Position extends Bits {
  readonly depth: number;
  /** Name of the member. */
  readonly name?: string;
  /** Inside an array: its type has been told, so those of the elements and what is in them are not. */
  readonly inArray: boolean;
}

class Printer {
  readonly #value: ValueReader;
  readonly #options: FormatOptions;
  readonly #newline: string;

  constructor(value: ValueReader, options: FormatOptions) {
    this.#value = value;
    this.#options = options;
    this.#newline = options.compact === true ? "" : "\n";
  }

  print(): string {
    const { id } = this.#value;
    return this.#part(id, this.#value.type(id), { bitOffset: 0, bitSize: 0, depth: 0, inArray: false });
  }

  /** @param type what `id` is without modifiers, filled where it is a flexible array */
  #part(id: number, type: BtfType, at: Position): string {
    return `${this.#indent(at.depth)}${this.#prefix(id, at)}${this.#body(type, at)}${at.depth > 0 ? "," : ""}${
      at.depth > 0 ? this.#newline : ""
    }`;
  }

  #indent(depth: number): string {
    const { compact, indent = "\t", level = 0 } = this.#options;
    return compact === true ? "" : indent.repeat(level + depth);
  }

  #prefix(id: number, { name, inArray }: Position): string {
    if (this.#options.skipNames === true) return "";
    const cast = inArray ? "" : `(${typeName(this.#value.btf, id)})`;
    return name === undefined || name === "" ? cast : `.${name} = ${cast}`;
  }

  #body(type: BtfType, at: Position): string {
    switch (type.kind) {
      case "struct":
      case "union":
        return this.#composite(type, at);
      case "array":
        return this.#array(type, at);
      case "float": {
        const value = this.#value.float(type, at);
        return typeof value === "string" ? value : fixed(value);
      }
      default:
        return this.#scalar(type, at);
    }
  }

  #scalar(type: BtfType, at: Position): string {
    const value = this.#value.integer(type, at);
    if (type.kind === "enum") return enumeratorOf(type, value) ?? String(value);
    if (type.kind === "enum64") return enumeratorOf(type, value) ?? `${value}${type.signed ? "LL" : "ULL"}`;
    if (type.kind === "ptr") return value === 0n ? "(nil)" : `0x${value.toString(16)}`;
    if (at.bitSize > 0 || (type.kind === "int" && type.size === 16)) {
      return `0x${this.#value.integer(type, at, false).toString(16)}`;
    }
    return String(value);
  }

  #composite(composite: BtfComposite, at: Position): string {
    let text = `{${this.#newline}`;
    for (const { name, id, type, at: bits } of this.#value.members(composite, at.bitOffset)) {
      const shown = this.#options.zeroes === true || at.inArray || !this.#isZero(type, bits);
      if (shown) text += this.#part(id, type, { ...bits, depth: at.depth + 1, inArray: at.inArray, name });
    }
    return `${text}${this.#indent(at.depth)}}`;
  }

  #array(array: BtfArray, at: Position): string {
    if (this.#isText(array)) return this.#text(at.bitOffset / 8, array.count, at.depth);
    let text = `[${this.#newline}`;
    for (const { id, type, at: bits } of this.#value.elements(array, at.bitOffset)) {
      text += this.#part(id, type, { ...bits, depth: at.depth + 1, inArray: true });
    }
    return `${text}${this.#indent(at.depth)}]`;
  }

  #isText({ elementType }: BtfArray): boolean {
    return arrayForm(this.#value.type(elementType)) === "text";
  }

  /** Characters up to the first NUL. */
  #text(offset: number, count: number, depth: number): string {
    const codes: number[] = [];
    for (let i = 0; i < count; i++) {
      const code = this.#value.view.getUint8(offset + i);
      if (code === 0) break;
      codes.push(code);
    }
    if (this.#options.strings !== false) return `"${codes.map(escaped).join("")}"`;
    const lines = codes.map((code) =>
      isPrintable(code) ? `'${String.fromCharCode(code)}'` : String((code << 24) >> 24),
    );
    if (this.#options.zeroes === true && codes.length < count) lines.push("'\\0'");
    const inside = lines.map((line) => `${this.#indent(depth + 1)}${line},${this.#newline}`).join("");
    return `[${this.#newline}${inside}${this.#indent(depth)}]`;
  }

  /** True when every bit of the value's members is zero; padding does not count. */
  #isZero(type: BtfType, at: Bits): boolean {
    switch (type.kind) {
      case "struct":
      case "union":
        return this.#areZero(this.#value.members(type, at.bitOffset));
      case "array":
        // Text is empty when its first character is NUL.
        if (this.#isText(type)) return type.count === 0 || this.#value.view.getUint8(at.bitOffset / 8) === 0;
        return this.#areZero(this.#value.elements(type, at.bitOffset));
      case "float":
        return this.#value.isZero(type, at);
      default:
        return this.#value.integer(type, at) === 0n;
    }
  }

  #areZero(parts: Iterable<{ readonly type: BtfType; readonly at: Bits }>): boolean {
    for (const { type, at } of parts) if (!this.#isZero(type, at)) return false;
    return true;
  }
}

/** As printf's %f. */
function fixed(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf";
  if (Object.is(value, -0)) return "-0.000000";
  return Math.abs(value) < 1e21 ? value.toFixed(6) : `${BigInt(value)}.000000`;
}

function isPrintable(code: number): boolean {
  return code >= 0x20 && code < 0x7f;
}

function escaped(code: number): string {
  if (code === 0x22 || code === 0x5c) return `\\${String.fromCharCode(code)}`;
  return isPrintable(code) ? String.fromCharCode(code) : `\\x${code.toString(16).padStart(2, "0")}`;
}
