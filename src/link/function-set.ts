// Many functions of the kernel, as attach calls for many of them take them: a pattern, or a list.

import { ArgumentError } from "../errors.js";
import type { ProgramHandle } from "../program/index.js";

/** A pattern with `*` and `?`, or names, addresses or BTF ids. */
type Functions = string | readonly (string | bigint | number)[];

/** Patterns have no order that cookies could follow. @param what the lists that have one @throws ArgumentError */
export function checkCookies(
  { file, name }: ProgramHandle,
  functions: Functions,
  cookies: readonly bigint[] | undefined,
  what: string,
): void {
  if (cookies === undefined || (typeof functions !== "string" && cookies.length === functions.length)) return;
  throw new ArgumentError(`cookies belong to a list of ${what}, one for each`, { file, program: name });
}

/** For messages: the pattern, or the first ones of the list. */
export function describeFunctions(functions: Functions): string {
  if (typeof functions === "string") return functions;
  const shown = functions.slice(0, 3).map((each) => {
    if (typeof each === "string") return each;
    return typeof each === "bigint" ? `0x${each.toString(16)}` : `BTF id ${each}`;
  });
  return `${shown.join(", ")}${functions.length > 3 ? " …" : ""}`;
}
