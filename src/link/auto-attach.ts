// Attaching by section name: one row a rule of the SEC() table (libbpf.md 2.3).

import { ObjectError, UnsupportedError } from "../errors.js";
import type { AutoAttachRule } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";
import { attachIter } from "./iter.js";
import type { BpfLink } from "./link.js";
import { attachRawTracepoint } from "./raw-tracepoint.js";
import { attachTrace } from "./trace.js";
import { attachTracepoint } from "./tracepoint.js";

interface Rule {
  /** How a section name has to look like, for messages. */
  readonly form: string;
  /** `target` is what the section name says after its kind. */
  readonly attach: (program: ProgramHandle, target: string) => BpfLink;
}

const rules: Readonly<Partial<Record<AutoAttachRule, Rule>>> = {
  tp: {
    form: "tp/CATEGORY/NAME",
    attach: (program, target) => {
      const slash = target.indexOf("/");
      if (slash <= 0 || slash === target.length - 1) throw malformed(program, "tp/CATEGORY/NAME");
      return attachTracepoint(program, target.slice(0, slash), target.slice(slash + 1));
    },
  },
  "raw-tp": { form: "raw_tp/NAME", attach: (program, target) => attachRawTracepoint(program, target) },
  trace: { form: "fentry/FUNCTION", attach: (program) => attachTrace(program) },
  iter: { form: "iter/TARGET", attach: (program) => attachIter(program) },
  lsm: { form: "lsm/HOOK", attach: (program) => attachTrace(program) },
};

/**
 * Attaches a program to the hook that its section names. libbpf: `bpf_program__attach`.
 *
 * @returns undefined when the section deliberately names none (a bare `tp`, or a kind that wants to know where: xdp, tc,
 *   cgroup …): such programs are attached by hand.
 * @throws UnsupportedError for hooks that bpfkit cannot attach to yet
 */
export function autoAttach(program: ProgramHandle): BpfLink | undefined {
  const ruleName = program.definition?.autoAttach;
  if (ruleName === undefined || ruleName === null) return undefined;
  if (program.attachTarget === undefined) return undefined;
  const rule = rules[ruleName];
  if (rule === undefined) {
    throw new UnsupportedError(`programs of section ${program.sectionName} cannot be attached by bpfkit yet`, {
      file: program.file,
      program: program.name,
      hint: "set autoattach of this program to false to attach the others",
    });
  }
  if (program.attachTarget === "") throw malformed(program, rule.form);
  return rule.attach(program, program.attachTarget);
}

function malformed(program: ProgramHandle, form: string): ObjectError {
  return new ObjectError("OBJECT_INVALID", `the section name ${program.sectionName} does not have the form ${form}`, {
    file: program.file,
    program: program.name,
  });
}
