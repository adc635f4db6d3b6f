// The error of a source that did not become an object.

import { BpfkitError, type ErrorDetails } from "../errors.js";

/** What is known of a failed compilation. */
export interface CompileErrorDetails extends ErrorDetails {
  /** What clang wrote. */
  readonly output?: string;
  /** Absolute paths of the source and of what it includes. */
  readonly sources?: readonly string[];
}

/** BPF C could not be compiled: clang refused it, or there is no clang: `COMPILE`. The message ends with what clang wrote. */
export class CompileError extends BpfkitError {
  /** What clang wrote; empty when it did not run. */
  declare readonly output: string;
  /** Absolute paths of the source and of what it includes, as far as they are known: a change of one may repair it. */
  declare readonly sources: readonly string[];

  constructor(reason: string, { output = "", sources = [], ...details }: CompileErrorDetails = {}) {
    super("COMPILE", reason, details);
    if (output !== "") this.message += `\n${output}\n`;
    // Not shown again below the message when the error is printed.
    Object.defineProperty(this, "output", { value: output });
    Object.defineProperty(this, "sources", { value: sources });
  }
}
