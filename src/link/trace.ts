// Programs whose target was settled at load: BTF raw tracepoints, fentry, fexit, fmod_ret, LSM hooks.

import type { ProgramHandle } from "../program/index.js";
import { linkCreate, rawTracepointOpen } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink } from "./link.js";

/** Options of attachments to a target that was settled at load. */
export interface TraceOptions {
  /** What `bpf_get_attach_cookie()` returns. Linux 5.19 (fentry and so on), 6.10 (tp_btf). */
  cookie?: bigint;
}

/**
 * Attaches to what the program was loaded for. Linux 5.5. libbpf: `bpf_program__attach_trace_opts`,
 * `bpf_program__attach_lsm`.
 *
 * @throws SystemCallError with code `ATTACH`
 */
export function attachTrace(program: ProgramHandle, options: TraceOptions = {}): BpfLink {
  const target = describeTarget(program);
  const { cookie } = options;
  const open = (): BpfLink => {
    const { descriptor, spec } = program;
    const link =
      cookie === undefined
        ? rawTracepointOpen({ program: descriptor })
        : linkCreate({ program: descriptor, attachType: spec.expectedAttachType, family: "tracing", cookie });
    return new BpfLink({ kind: "tracing", program: program.name, target, link });
  };
  const hints = { EBUSY: "something else (ftrace, kprobes) occupies the function's entry" };
  return explainAttach(program, target, open, { hints, since: cookie === undefined ? "5.5" : "5.19" });
}

/** In the form of a section name, as `fentry/do_exit`; also for targets that the section does not name. */
function describeTarget({ sectionName, attachTarget, attachTargetProgram }: ProgramHandle): string {
  if (attachTarget === undefined) return sectionName;
  const target = `${sectionName.split("/", 1)[0]}/${attachTarget}`;
  return attachTargetProgram === undefined ? target : `${target} of program ${attachTargetProgram}`;
}
