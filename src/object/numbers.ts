// Arguments that name a UAPI number, checked in one way wherever a user may set one.

import { ArgumentError } from "../errors.js";
import { nearNames } from "../near-names.js";

/** Passes an integer that fits the kernel's u32 fields through. @throws ArgumentError */
export function checkU32(value: number, what: string): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffffffff) return value;
  throw new ArgumentError(`${what} must be an integer from 0 to 4294967295, not ${String(value)}`);
}

/** The number behind a name of `table`, or the number itself. @throws ArgumentError, naming near names */
export function numberOf(value: string | number, table: Readonly<Record<string, number>>, what: string): number {
  if (typeof value === "number") return checkU32(value, what);
  if (Object.hasOwn(table, value)) return table[value]!;
  throw new ArgumentError(`no ${what} ${JSON.stringify(value)}${nearNames(String(value), Object.keys(table))}`);
}
