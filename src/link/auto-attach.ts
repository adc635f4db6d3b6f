// Attaching by section name: one row a rule of the SEC() table (libbpf.md 2.3).

import { ObjectError } from "../errors.js";
import { type AutoAttachRule, ProgramType } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";
import { attachFreplace } from "./freplace.js";
import { attachIter } from "./iter.js";
import { attachKprobe, attachKsyscall } from "./kprobe.js";
import { attachKprobeMulti } from "./kprobe-multi.js";
import type { BpfLink } from "./link.js";
import { attachRawTracepoint } from "./raw-tracepoint.js";
import { attachTrace } from "./trace.js";
import { attachTracepoint } from "./tracepoint.js";
import { attachTracingMulti } from "./tracing-multi.js";
import { attachUprobe } from "./uprobe.js";
import { attachUprobeMulti } from "./uprobe-multi.js";
import { attachUsdt, type MapsByName } from "./usdt.js";

interface Rule {
  /** How a section name has to look like, for messages. */
  readonly form: string;
  /** `target` is what the section name says after its kind. */
  readonly attach: (program: ProgramHandle, target: string, maps: MapsByName) => BpfLink;
}

const rules: Readonly<Record<AutoAttachRule, Rule>> = {
  tp: {
    form: "tp/CATEGORY/NAME",
    attach: (program, target) => {
      const slash = target.indexOf("/");
      if (slash <= 0 || slash === target.length - 1) throw malformed(program, "tp/CATEGORY/NAME");
      return attachTracepoint(program, target.slice(0, slash), target.slice(slash + 1));
    },
  },
  kprobe: {
    form: "kprobe/FUNCTION[+OFFSET]",
    attach: (program, target) => {
      const [, name, offset] = /^([A-Za-z0-9_.]+)(?:\+(0x[0-9a-fA-F]+|[0-9]+))?$/.exec(target) ?? [];
      const onReturn = isReturn(program);
      if (name === undefined || (onReturn && offset !== undefined)) {
        throw malformed(program, onReturn ? "kretprobe/FUNCTION" : "kprobe/FUNCTION[+OFFSET]");
      }
      return attachKprobe(program, name, { return: onReturn, offset: offsetOf(offset) });
    },
  },
  ksyscall: {
    form: "ksyscall/NAME",
    attach: (program, target) => attachKsyscall(program, target, { return: isReturn(program) }),
  },
  "kprobe-multi": {
    form: "kprobe.multi/PATTERN",
    attach: (program, target) => attachKprobeMulti(program, pattern(program, target), { return: isReturn(program) }),
  },
  "kprobe-session": {
    form: "kprobe.session/PATTERN",
    attach: (program, target) => attachKprobeMulti(program, pattern(program, target)),
  },
  uprobe: {
    form: "uprobe/BINARY:FUNCTION[+OFFSET]",
    attach: (program, target) => {
      const onReturn = isReturn(program);
      const [binary, place] = inBinary(target);
      // Names of C++ may have a plus: only a whole number behind the last one is an offset.
      const [, symbol = place, offset] = /^(.+)\+(0x[0-9a-fA-F]+|[0-9]+)$/.exec(place) ?? [];
      if (binary === "" || symbol === "" || (onReturn && offset !== undefined)) {
        throw malformed(program, onReturn ? "uretprobe/BINARY:FUNCTION" : "uprobe/BINARY:FUNCTION[+OFFSET]");
      }
      return attachUprobe(program, { binary, symbol, offset: offsetOf(offset), return: onReturn });
    },
  },
  "uprobe-multi": {
    form: "uprobe.multi/BINARY:PATTERN",
    attach: (program, target) => {
      const [binary, pattern] = inBinary(target);
      if (binary === "" || pattern === "") {
        throw malformed(program, `${program.definition?.pattern.slice(0, -1)}/BINARY:PATTERN`);
      }
      return attachUprobeMulti(program, { binary, pattern, return: isReturn(program) });
    },
  },
  usdt: {
    form: "usdt/BINARY:PROVIDER:NAME",
    attach: (program, target, maps) => {
      const [, binary, provider, name] = /^([^:]+):([^:]+):([^:]+)$/.exec(target) ?? [];
      if (binary === undefined || provider === undefined || name === undefined) {
        throw malformed(program, "usdt/BINARY:PROVIDER:NAME");
      }
      return attachUsdt(program, maps, { binary, provider, name });
    },
  },
  "raw-tp": { form: "raw_tp/NAME", attach: (program, target) => attachRawTracepoint(program, target) },
  iter: { form: "iter/TARGET", attach: (program) => attachIter(program) },
  trace: {
    form: "fentry/FUNCTION",
    attach: (program) => (program.spec.type === ProgramType.ext ? attachFreplace(program) : attachTrace(program)),
  },
  "trace-multi": {
    form: "fentry.multi/[MODULE:]PATTERN",
    attach: (program, target) => {
      if (/^([A-Za-z0-9_-]+:)?[A-Za-z0-9_.*?]+$/.test(target)) return attachTracingMulti(program, target);
      throw malformed(program, `${program.definition?.pattern.slice(0, -1)}/[MODULE:]PATTERN`);
    },
  },
  lsm: { form: "lsm/HOOK", attach: (program) => attachTrace(program) },
};

/**
 * Attaches a program to the hook that its section names. libbpf: `bpf_program__attach`.
 *
 * @returns undefined when the section deliberately names none (a bare `tp`, or a kind that wants to know where: xdp, tc,
 *   cgroup …): such programs are attached by hand.
 * @throws ObjectError for a section name that is not of its kind's form, and what attaching throws
 */
export function autoAttach(program: ProgramHandle, maps: MapsByName): BpfLink | undefined {
  const ruleName = program.definition?.autoAttach;
  if (ruleName === undefined || ruleName === null) return undefined;
  if (program.attachTarget === undefined) return undefined;
  const rule = rules[ruleName];
  if (program.attachTarget === "") throw malformed(program, rule.form);
  return rule.attach(program, program.attachTarget, maps);
}

/** A binary, and what is meant in it; empty without a colon, as neither can be. */
function inBinary(target: string): [binary: string, place: string] {
  const colon = target.indexOf(":");
  return colon === -1 ? ["", ""] : [target.slice(0, colon), target.slice(colon + 1)];
}

/** True for the sections of returns: kretprobe, kretsyscall, uretprobe and their variants. */
function isReturn(program: ProgramHandle): boolean {
  return /^(kret|uret)/.test(program.definition?.pattern ?? "");
}

/** Decimal, octal with a leading 0, or hexadecimal, as C has it. */
function offsetOf(text: string | undefined): number {
  if (text === undefined) return 0;
  return /^0[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number(text);
}

function pattern(program: ProgramHandle, target: string): string {
  if (/^[A-Za-z0-9_.*?]+$/.test(target)) return target;
  throw malformed(program, `${program.definition?.pattern.slice(0, -1)}/PATTERN`);
}

function malformed(program: ProgramHandle, form: string): ObjectError {
  return new ObjectError("OBJECT_INVALID", `the section name ${program.sectionName} does not have the form ${form}`, {
    file: program.file,
    program: program.name,
  });
}
