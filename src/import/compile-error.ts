// The error of a source that did not become an object.

import { BpfkitError, type ErrorDetails } from "../errors.js";

/** BPF C could not be compiled: clang refused it, or there is no clang: `COMPILE`. */
export class CompileError extends BpfkitError {
  /** What clang wrote; empty when it did not run. */
  readonly output: string;

  constructor(reason: string, { output = "", ...details }: ErrorDetails & { readonly output?: string } = {}) {
    super("COMPILE", output === "" ? reason : `${reason}\n${output}\n`, details);
    this.output = output;
  }
}
