// What compilers mean beyond what BTF says: which arrays are text, and where bitfields of old compilers are.

import type { BtfInt, BtfType } from "./types.js";

/** Where a member or value is. */
export interface Bits {
  /** From the beginning of the enclosing type, or of the memory. */
  readonly bitOffset: number;
  /** Width of a bitfield; 0 when the value is none. */
  readonly bitSize: number;
}

/**
 * Where a member is whose resolved type is `type`: compilers before the kind flag wrote a bitfield's width into an integer
 * type of its own.
 */
export function memberBits({ bitOffset, bitSize }: Bits, type: BtfType): Bits {
  if (bitSize > 0 || type.kind !== "int" || type.bits === type.size * 8) return { bitOffset, bitSize };
  return { bitOffset: bitOffset + type.bitOffset, bitSize: type.bits };
}

/** What an array of elements of a resolved type is for: text, bytes without meaning, or separate values. */
export function arrayForm(element: BtfType): "text" | "bytes" | "values" {
  if (element.kind !== "int" || element.size !== 1 || element.bits !== 8 || element.bool) return "values";
  if (isCharacter(element)) return "text";
  return element.signed ? "values" : "bytes";
}

/** clang writes `char` as a signed integer of that name, pahole without an encoding, GCC flags all three char types. */
function isCharacter(type: BtfInt): boolean {
  return type.name === "char" || (type.char && !/\b(un)?signed\b/.test(type.name));
}
