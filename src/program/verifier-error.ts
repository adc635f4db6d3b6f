// A program that the kernel refused: a one-line message, the whole log and its parts as fields.

import { SystemCallError } from "../errors.js";
import { readVerifierLog, type VerifierFailure } from "./verifier-log.js";

/** What a {@link VerifierError} is made from. */
export interface VerifierErrorDetails {
  program: string;
  section: string;
  errno: number;
  errnoName: string;
  /** The whole text the kernel wrote, after the fix-ups of libbpf.md 3.9; "" when there is none. */
  log: string;
  /** The source line of an instruction, by index in the loaded program. */
  sourceAt?: (insnIndex: number) => { text: string; file: string; line: number } | undefined;
  hint?: string | undefined;
}

/**
 * The kernel refused to load a program: code `VERIFIER`. `message` is a summary in one line; `log` has everything.
 *
 * libbpf prints the log between "BEGIN/END PROG LOAD LOG" lines; here it is data.
 */
export class VerifierError extends SystemCallError {
  /** Everything that the verifier wrote. */
  declare readonly log: string;
  /** The line of the log that says why; `reason` of the base class is the whole summary. */
  readonly verdict: string;
  readonly insnIndex: number | undefined;
  readonly insn: string | undefined;
  /** What the verifier advises (Linux 7.3 and later, for some refusals). */
  readonly suggestion: string | undefined;
  readonly source: VerifierFailure["source"];

  constructor(details: VerifierErrorDetails) {
    const failure = readVerifierLog(details.log);
    const { insnIndex } = failure;
    // Our own line info is exact; the log shows a line only where the verifier changed lines.
    const source = (insnIndex === undefined ? undefined : details.sourceAt?.(insnIndex)) ?? failure.source;
    super(summary(details, failure, source), {
      code: "VERIFIER",
      operation: "bpf(BPF_PROG_LOAD)",
      errno: details.errno,
      errnoName: details.errnoName,
      program: details.program,
      section: details.section,
      log: details.log,
      hint: details.hint ?? failure.suggestion,
    });
    this.verdict = failure.reason;
    this.insnIndex = insnIndex;
    this.insn = failure.insn;
    this.suggestion = failure.suggestion;
    this.source = source;
  }
}

function summary(details: VerifierErrorDetails, failure: VerifierFailure, source: VerifierFailure["source"]): string {
  if (details.log.trim() === "") return `the kernel refused the program with ${details.errnoName} and wrote no log`;
  const parts = [`the verifier refused the program (${details.errnoName}): ${failure.reason}`];
  if (failure.insnIndex !== undefined) parts.push(`at instruction ${failure.insnIndex} \`${failure.insn}\``);
  if (source !== undefined) {
    const place = source.file === undefined ? "" : `${source.file}:${source.line} `;
    parts.push(`source ${place}\`${source.text}\``);
  }
  return parts.join(", ");
}
