// Raw tracepoints by name: `raw_tp/NAME`.

import { BpfkitError, NotFoundError, SystemCallError } from "../errors.js";
import { loadKernelBtf } from "../kernel/index.js";
import { didYouMean } from "../near-names.js";
import type { ProgramHandle } from "../program/index.js";
import { rawTracepointOpen } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink } from "./link.js";

/** Options of raw tracepoint attachments. */
export interface RawTracepointOptions {
  /** What `bpf_get_attach_cookie()` returns. Linux 6.10. */
  cookie?: bigint | undefined;
}

/**
 * Attaches to a tracepoint without argument conversion. Linux 4.17. libbpf: `bpf_program__attach_raw_tracepoint_opts`.
 *
 * @throws NotFoundError naming near tracepoints, SystemCallError with code `ATTACH`
 */
export function attachRawTracepoint(program: ProgramHandle, name: string, options: RawTracepointOptions = {}): BpfLink {
  const target = `raw tracepoint ${name}`;
  const open = (): BpfLink => {
    const link = rawTracepointOpen({ program: program.descriptor, name, cookie: options.cookie });
    return new BpfLink({ kind: "raw_tracepoint", program: program.name, target, link });
  };
  try {
    return explainAttach(program, target, open, { since: "4.17" });
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errnoName !== "ENOENT") throw error;
    throw new NotFoundError(`the kernel has no tracepoint ${name}${didYouMean(name, knownTracepoints())}`, {
      file: program.file,
      program: program.name,
      hint: "raw tracepoints have no category in their name; those of modules are there when the module is",
      cause: error,
    });
  }
}

/** Tracepoints as the kernel's types have them: `btf_trace_NAME`. Nothing where there are no types. */
function* knownTracepoints(): Generator<string> {
  const prefix = "btf_trace_";
  try {
    for (const name of loadKernelBtf("names of tracepoints").names("typedef")) {
      if (name.startsWith(prefix)) yield name.slice(prefix.length);
    }
  } catch (error) {
    if (!BpfkitError.isBpfkitError(error)) throw error;
  }
}
