// A function of a loaded program replaced by another program: `freplace`.

import { ArgumentError, SystemCallError, withLocation } from "../errors.js";
import { ProgramType } from "../object/index.js";
import { descriptorNumber, type ProgramHandle, type ProgramTarget, programFunctionId } from "../program/index.js";
import { Errno, type FdLike, linkCreate, progInfo } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink } from "./link.js";
import { attachTrace } from "./trace.js";

/**
 * Puts a program of type ext into the place of a global function of a loaded program, as long as the link exists: of the
 * one that it was loaded for (Linux 5.6), or of another whose function has the same prototype (Linux 5.10).
 *
 * libbpf: `bpf_program__attach_freplace`.
 *
 * @throws SystemCallError with code `ATTACH`, NotFoundError naming near functions, ArgumentError
 */
export function attachFreplace(program: ProgramHandle, target?: ProgramTarget, functionName?: string): BpfLink {
  const place = { file: program.file, program: program.name };
  if (program.spec.type !== ProgramType.ext) {
    throw new ArgumentError(`a program of type ${program.type} cannot replace a function`, {
      ...place,
      hint: 'that is for SEC("freplace/FUNCTION")',
    });
  }
  if (target === undefined && functionName === undefined) return attachAsLoaded(program);
  if (target === undefined || functionName === undefined) {
    throw new ArgumentError("a target program and the name of its function are given together, or neither", place);
  }
  const fd = withLocation(place, () => descriptorNumber(target));
  return withLocation(place, () => attachTo(program, fd, functionName));
}

/** The kernel forgets what a program was loaded for once it was attached: the second time it has to be told. */
function attachAsLoaded(program: ProgramHandle): BpfLink {
  try {
    return attachTrace(program);
  } catch (error) {
    const { targetDescriptor, attachTarget } = program;
    // ENOENT before Linux 5.13.
    const forgotten =
      error instanceof SystemCallError && (error.errno === Errno.EINVAL || error.errno === Errno.ENOENT);
    if (!forgotten || targetDescriptor === undefined || attachTarget === undefined) throw error;
    return attachTo(program, targetDescriptor, attachTarget);
  }
}

function attachTo(program: ProgramHandle, target: FdLike, functionName: string): BpfLink {
  const what = `function ${functionName} of program ${progInfo(target).id}`;
  const attach = (): BpfLink => {
    const { descriptor, spec } = program;
    const link = linkCreate({
      program: descriptor,
      target,
      attachType: spec.expectedAttachType,
      family: "tracing",
      targetBtfId: programFunctionId(target, functionName),
    });
    return new BpfLink({ kind: "tracing", program: program.name, target: what, link });
  };
  const hints = {
    EINVAL: "the function has to be global, and have the prototype of the one that the program was loaded for",
    EBUSY: "the function has been replaced already",
  };
  return explainAttach(program, what, attach, { hints, since: "5.10" });
}
