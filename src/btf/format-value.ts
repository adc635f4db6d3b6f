// Values as C would initialise them, `(struct point){.x = (int)1,}`: what libbpf's btf_dump__dump_type_data prints
// (libbpf.md 5.3 point 7), from bytes and a type.

import { ValueError } from "../errors.js";
import { planType } from "./codec-plan.js";
import {
  type Bits,
  enumeratorOf,
  hexBytes,
  isText,
  type PrintableTypes,
  readFloat,
  readInteger,
  typeName,
} from "./scalar-text.js";
import type { BtfArray, BtfComposite, BtfType } from "./types.js";

/** How to print. */
export interface FormatOptions {
  /** What one level is indented by; a tab by default. */
  readonly indent?: string;
  /** Levels that everything is indented by; 0 by default. */
  readonly level?: number;
  /** All in one line. */
  readonly compact?: boolean;
  /** No names of members and types. */
  readonly skipNames?: boolean;
  /** Members that are zero, too. */
  readonly zeroes?: boolean;
  /** Character arrays as strings (the default), or as lists of characters. */
  readonly strings?: boolean;
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
  // The plan has checked every offset, and bounded depth and work.
  const { size } = planType(btf, typeId, {});
  if (bytes.length < size) throw new ValueError("VALUE", `a value has ${size} bytes, there are only ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const type = btf.type(typeId);
  const printer = new Printer(btf, view, options);
  return printer.print(type.kind === "var" ? type.type : typeId);
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
  readonly #btf: PrintableTypes;
  readonly #view: DataView;
  readonly #options: FormatOptions;
  readonly #newline: string;

  constructor(btf: PrintableTypes, view: DataView, options: FormatOptions) {
    this.#btf = btf;
    this.#view = view;
    this.#options = options;
    this.#newline = options.compact === true ? "" : "\n";
  }

  print(id: number): string {
    return this.#value(id, { bitOffset: 0, bitSize: 0, depth: 0, inArray: false });
  }

  #value(id: number, at: Position): string {
    const type = this.#btf.type(this.#btf.resolve(id));
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
    const cast = inArray ? "" : `(${typeName(this.#btf, id)})`;
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
        const offset = at.bitOffset / 8;
        const value = readFloat(this.#view, this.#btf.littleEndian, type.size, offset);
        return value === undefined ? `0x${hexBytes(this.#view, offset, type.size)}` : fixed(value);
      }
      default:
        return this.#scalar(type, at);
    }
  }

  #scalar(type: BtfType, at: Position): string {
    const { littleEndian } = this.#btf;
    const value = readInteger(this.#view, littleEndian, type, at);
    if (type.kind === "enum") return enumeratorOf(type, value) ?? String(value);
    if (type.kind === "enum64") return enumeratorOf(type, value) ?? `${value}${type.signed ? "LL" : "ULL"}`;
    if (type.kind === "ptr") return value === 0n ? "(nil)" : `0x${value.toString(16)}`;
    if (at.bitSize > 0 || (type.kind === "int" && type.size === 16)) {
      return `0x${readInteger(this.#view, littleEndian, type, at, false).toString(16)}`;
    }
    return String(value);
  }

  #composite({ members }: BtfComposite, at: Position): string {
    let text = `{${this.#newline}`;
    for (const { name, type, bitOffset, bitSize } of members) {
      const bits = this.#member(type, at.bitOffset + bitOffset, bitSize);
      const position = { ...bits, depth: at.depth + 1, inArray: at.inArray, name };
      // An unnamed bitfield is padding.
      if (name === "" && !this.#isComposite(type)) continue;
      const shown = this.#options.zeroes === true || at.inArray || !this.#isZero(type, position);
      if (shown) text += this.#value(type, position);
    }
    return `${text}${this.#indent(at.depth)}}`;
  }

  /** Compilers before the kind flag wrote a bitfield's width into an integer type of its own. */
  #member(id: number, bitOffset: number, bitSize: number): Bits {
    const type = this.#btf.type(this.#btf.resolve(id));
    if (bitSize > 0 || type.kind !== "int" || type.bits === type.size * 8) return { bitOffset, bitSize };
    return { bitOffset: bitOffset + type.bitOffset, bitSize: type.bits };
  }

  #isComposite(id: number): boolean {
    const { kind } = this.#btf.type(this.#btf.resolve(id));
    return kind === "struct" || kind === "union";
  }

  #array({ elementType, count }: BtfArray, at: Position): string {
    const element = this.#btf.type(this.#btf.resolve(elementType));
    if (isText(element)) return this.#text(at.bitOffset / 8, count, at.depth);
    const size = this.#sizeOf(elementType);
    let text = `[${this.#newline}`;
    for (let i = 0; i < count; i++) {
      const bitOffset = at.bitOffset + i * size * 8;
      text += this.#value(elementType, { bitOffset, bitSize: 0, depth: at.depth + 1, inArray: true });
    }
    return `${text}${this.#indent(at.depth)}]`;
  }

  /** Characters up to the first NUL. */
  #text(offset: number, count: number, depth: number): string {
    const codes: number[] = [];
    for (let i = 0; i < count; i++) {
      const code = this.#view.getUint8(offset + i);
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

  #sizeOf(id: number): number {
    return planType(this.#btf, id, {}).size;
  }

  /** True when every bit of the value's members is zero; padding does not count. */
  #isZero(id: number, at: Bits): boolean {
    const type = this.#btf.type(this.#btf.resolve(id));
    switch (type.kind) {
      case "struct":
      case "union":
        return type.members.every(
          (member) =>
            (member.name === "" && !this.#isComposite(member.type)) ||
            this.#isZero(member.type, this.#member(member.type, at.bitOffset + member.bitOffset, member.bitSize)),
        );
      case "array": {
        const element = this.#btf.type(this.#btf.resolve(type.elementType));
        if (isText(element)) return type.count === 0 || this.#view.getUint8(at.bitOffset / 8) === 0;
        const size = this.#sizeOf(type.elementType);
        for (let i = 0; i < type.count; i++) {
          if (!this.#isZero(type.elementType, { bitOffset: at.bitOffset + i * size * 8, bitSize: 0 })) return false;
        }
        return true;
      }
      case "float":
        return /^0*$/.test(hexBytes(this.#view, at.bitOffset / 8, type.size));
      default:
        return readInteger(this.#view, this.#btf.littleEndian, type, at) === 0n;
    }
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
