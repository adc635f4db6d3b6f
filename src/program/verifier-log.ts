// The verifier's log as data: which instruction failed, which source line that is, and why. The text comes from the
// kernel and is not a stable interface, so everything here is a best effort that degrades to "see the log".

/** Where in the program and its source the verifier stopped. */
export interface VerifierFailure {
  /** The line that says why, e.g. `R1 invalid mem access 'scalar'`. */
  readonly reason: string;
  /** Index of the last instruction that the verifier looked at; undefined when the log names none. */
  readonly insnIndex: number | undefined;
  /** That instruction as the verifier prints it. */
  readonly insn: string | undefined;
  /** What the verifier advises (Linux 7.3 and later, for some refusals). */
  readonly suggestion: string | undefined;
  /** The last source line that the log shows. */
  readonly source:
    | { readonly text: string; readonly file: string | undefined; readonly line: number | undefined }
    | undefined;
}

/** `12: (85) call bpf_map_lookup_elem#1`, perhaps followed by `; R0=...`, or what a log fix-up made of it: `12: <…>`. */
const insnLine = /^(\d+): (?:\([0-9a-f]{2}\) ([^;]*)|(<[^>]+>)$)/;
/** `; int x = *p; @ prog.bpf.c:17` (the place since 6.8). */
const sourceLine = /^; (.*?)(?: @ (\S+):(\d+))?$/;
/** Lines that follow the reason and explain nothing. */
const trailer =
  /^(processed \d+ insns|verification time|stack depth|max_states_per_insn|peak_states|mark_read|insns? processed|total_states|combined stack depth)/;
/** Lines that show state, not reasons: register dumps, back-tracking, branches. */
const noise =
  /^(\d+: (R\d|frame\d|\()|from \d+ to \d+|R\d+(_w)?=|frame\d+:|func#|mark_precise|last_idx|regs=|parent |propagat|caller:|callee:|returning from callee|to caller at|Func#|arg#\d+ (reg|type|reference type)|; |BPF program is too large\. Processed$)/;

/** First line of the report for people that newer kernels (7.3) put behind the log, in sections with headings. */
const reportTitle = /^Verification failed: (.+)$/;

/** Reads what a refused program's log tells. Handles empty and cut logs. */
export function readVerifierLog(text: string): VerifierFailure {
  const all = text.split("\n").map((line) => line.trimEnd());
  const reportAt = all.findIndex((line) => reportTitle.test(line));
  // What the report says for people, the log has said before in one line.
  const lines = reportAt < 0 ? all : all.slice(0, reportAt);
  let insnIndex: number | undefined;
  let insn: string | undefined;
  let source: VerifierFailure["source"];
  let reason: string | undefined;
  for (let i = lines.length - 1; i >= 0; i--) {
    const line = lines[i]!;
    if (line === "" || trailer.test(line)) continue;
    const isInsn = insnLine.exec(line);
    if (isInsn !== null && insnIndex === undefined) {
      insnIndex = Number(isInsn[1]);
      insn = (isInsn[2] ?? isInsn[3]!).trim();
    }
    const isSource = sourceLine.exec(line);
    if (isSource !== null && source === undefined) {
      const lineNumber = isSource[3] === undefined ? undefined : Number(isSource[3]);
      source = { text: isSource[1]!.trim(), file: isSource[2], line: lineNumber };
    }
    if (reason === undefined && !noise.test(line)) reason = line;
    if (reason !== undefined && insnIndex !== undefined && source !== undefined) break;
  }
  reason ??= reportTitle.exec(all[reportAt] ?? "")?.[1] ?? "no reason given";
  return { reason, insnIndex, insn, suggestion: suggestionOf(all.slice(Math.max(reportAt, 0))), source };
}

/** The text under the heading `Suggestion:`, in one line. */
function suggestionOf(report: readonly string[]): string | undefined {
  const heading = report.indexOf("Suggestion:");
  if (heading < 0) return undefined;
  const lines = report.slice(heading + 1);
  const end = lines.findIndex((line) => !line.startsWith(" "));
  return lines
    .slice(0, end < 0 ? undefined : end)
    .map((line) => line.trim())
    .join(" ");
}
