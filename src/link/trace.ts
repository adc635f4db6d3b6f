// Programs whose target was settled at load: BTF raw tracepoints, fentry, fexit, fmod_ret, LSM hooks.

import { AttachType } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";
import { linkCreate, rawTracepointOpen } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink } from "./link.js";
import { refuseIdleHooks } from "./security-hooks.js";

/** Options of attachments to a target that was settled at load. */
export interface TraceOptions {
  /** What `bpf_get_attach_cookie()` returns. Linux 5.19 (fentry and so on), 6.10 (tp_btf). */
  cookie?: bigint | undefined;
}

/**
 * Attaches to what the program was loaded for. Linux 5.5. libbpf: `bpf_program__attach_trace_opts`,
 * `bpf_program__attach_lsm`.
 *
 * @throws SystemCallError with code `ATTACH`, UnsupportedError for security hooks that the kernel does not call
 */
export function attachTrace(program: ProgramHandle, options: TraceOptions = {}): BpfLink {
  refuseIdleHooks(program);
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
  const rawTracepoint = program.spec.expectedAttachType === AttachType.trace_raw_tp;
  const since = cookie === undefined ? "5.5" : rawTracepoint ? "6.10" : "5.19";
  return explainAttach(program, target, open, { hints, since });
}

const hints = {
  EBUSY: "something else (ftrace, live patches) occupies the function's entry, or a program stands in its place",
  E2BIG: "the function has as many programs as fit",
  EOPNOTSUPP: "the kernel has no trampolines for such programs on this machine",
};

/** In the form of a section name, as `fentry/do_exit`; also for targets that the section does not name. */
function describeTarget({ sectionName, attachTarget, attachTargetProgram }: ProgramHandle): string {
  if (attachTarget === undefined) return sectionName;
  const target = `${sectionName.split("/", 1)[0]}/${attachTarget}`;
  return attachTargetProgram === undefined ? target : `${target} of program ${attachTargetProgram}`;
}
