// Raw tracepoints by name: `raw_tp/NAME`.

import type { ProgramHandle } from "../program/index.js";
import { rawTracepointOpen } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink } from "./link.js";

/** Options of raw tracepoint attachments. */
export interface RawTracepointOptions {
  /** What `bpf_get_attach_cookie()` returns. Linux 6.10. */
  cookie?: bigint;
}

/**
 * Attaches to a tracepoint without argument conversion. Linux 4.17. libbpf: `bpf_program__attach_raw_tracepoint_opts`.
 *
 * @throws SystemCallError with code `ATTACH`
 */
export function attachRawTracepoint(program: ProgramHandle, name: string, options: RawTracepointOptions = {}): BpfLink {
  const target = `raw tracepoint ${name}`;
  const hints = { ENOENT: `the kernel has no tracepoint ${name}; raw tracepoints have no category in their name` };
  const open = (): BpfLink => {
    const link = rawTracepointOpen({ program: program.descriptor, name, cookie: options.cookie });
    return new BpfLink({ kind: "raw_tracepoint", program: program.name, target, link });
  };
  return explainAttach(program, target, open, { hints, since: "4.17" });
}
