// A failed attachment in a user's terms.

import { SystemCallError } from "../errors.js";

/**
 * Runs `attach`; what the kernel refuses becomes an error with code `ATTACH` that says which program could not be
 * attached to what. `hints` explains errno names that mean something special for this kind of hook.
 */
export function explainAttach<T>(
  program: { readonly name: string; readonly file: string },
  target: string,
  attach: () => T,
  hints: Readonly<Record<string, string>> = {},
): T {
  try {
    return attach();
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.code === "ATTACH") throw error;
    throw new SystemCallError(`cannot attach to ${target}: ${error.reason}`, {
      code: "ATTACH",
      operation: error.operation,
      errno: error.errno,
      errnoName: error.errnoName,
      file: program.file,
      program: program.name,
      hint: hints[error.errnoName] ?? error.hint,
      cause: error,
    });
  }
}
