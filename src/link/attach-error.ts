// A failed attachment in a user's terms.

import { SystemCallError, UnsupportedError } from "../errors.js";
import { olderThan } from "../kernel/index.js";
import type { ProgramTarget } from "../program/index.js";

/** What is known of a kind of hook. */
export interface HookKnowledge {
  /** What errno names mean for it; a function may say nothing, and the system call's own hint counts. */
  readonly hints?: Readonly<Record<string, string | (() => string | undefined)>>;
  /** First kernel that has it. */
  readonly since?: string | undefined;
}

/** How kernels refuse what they do not know: attach types, link options, attr fields. */
const unknownToKernel: ReadonlySet<string> = new Set(["EINVAL", "E2BIG", "EOPNOTSUPP", "ENOTSUPP"]);

/**
 * Runs `attach`; what the kernel refuses becomes an error with code `ATTACH` that says which program could not be
 * attached to what, or an UnsupportedError where the kernel is too old for the hook.
 */
export function explainAttach<T>(
  program: { readonly name: string | undefined; readonly file: string | undefined },
  target: string,
  attach: () => T,
  { hints = {}, since }: HookKnowledge = {},
): T {
  try {
    return attach();
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.code === "ATTACH") throw error;
    const place = { file: program.file, program: program.name, cause: error };
    if (since !== undefined && unknownToKernel.has(error.errnoName) && olderThan(since)) {
      throw new UnsupportedError(`cannot attach to ${target}: this kernel is too old for it`, {
        ...place,
        hint: `it takes Linux ${since}`,
      });
    }
    const own = hints[error.errnoName];
    throw new SystemCallError(`cannot attach to ${target}: ${error.reason}`, {
      ...place,
      code: "ATTACH",
      operation: error.operation,
      errno: error.errno,
      errnoName: error.errnoName,
      hint: (typeof own === "function" ? own() : own) ?? error.hint,
    });
  }
}

/** Name and file of a program, as far as what stands for it tells them. */
export function whoIs(program: ProgramTarget | undefined): { name: string | undefined; file: string | undefined } {
  const known = (typeof program === "object" ? program : {}) as { name?: unknown; file?: unknown };
  return {
    name: typeof known.name === "string" ? known.name : undefined,
    file: typeof known.file === "string" ? known.file : undefined,
  };
}
