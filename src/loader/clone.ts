// One more copy of a program in the kernel, with settings of its own (libbpf.md 1.2): from the relocated instructions of
// the prepared object, on its maps.

import { ArgumentError, StateError } from "../errors.js";
import { nearNames } from "../near-names.js";
import { AttachType, checkU32, numberOf, type ProgramSpec } from "../object/index.js";
import type { LoadSteps } from "../program/index.js";
import { type BpfProgram, type CloneOptions, ProgramClone, type ProgramOwner } from "./bpf-program.js";
import { loadProgramOf } from "./load-program.js";
import type { PreparedObject } from "./prepare.js";

const known: Readonly<Record<keyof CloneOptions, true>> = {
  name: true,
  attachTarget: true,
  attachTargetProgram: true,
  expectedAttachType: true,
  flags: true,
  ifindex: true,
  logLevel: true,
  logSize: true,
};

/**
 * Loads a clone.
 *
 * @throws StateError when prepare() did not relocate the program, ArgumentError, and what load() throws
 */
export function* cloneSteps(
  prepared: PreparedObject,
  source: BpfProgram,
  options: CloneOptions,
  owner: ProgramOwner,
): LoadSteps<ProgramClone> {
  const ready = prepared.programs.get(source);
  const code = source.code;
  if (ready === undefined) {
    throw new StateError("a clone cannot be cloned; clone the program that it was made from", {
      program: source.name,
    });
  }
  const clone = new ProgramClone(specOf(source, options), source.file, owner);
  const targetProgram = options.attachTargetProgram ?? source.targetDescriptor?.number;
  if (targetProgram !== undefined) clone.setAttachTarget(undefined, { program: targetProgram });
  clone.ifindex = options.ifindex ?? source.ifindex;
  clone.logLevel = options.logLevel ?? 0;
  clone.logSize = options.logSize;
  clone.setPrepared({ ...code, insns: code.insns.slice() });
  clone.seal("prepared");
  try {
    prepared.context.handlers.of(clone.spec)?.prepare?.(clone);
    yield* loadProgramOf(prepared, clone, ready);
    clone.seal("loaded");
    return clone;
  } catch (error) {
    clone.close();
    throw error;
  }
}

function specOf({ spec }: BpfProgram, options: CloneOptions): ProgramSpec {
  for (const option of Object.keys(options)) {
    if (Object.hasOwn(known, option)) continue;
    throw new ArgumentError(`clone() has no option ${option}${nearNames(option, Object.keys(known))}`);
  }
  const { name = spec.name, attachTarget = spec.attachTarget, flags = spec.flags, expectedAttachType } = options;
  for (const [option, value] of Object.entries({ name, attachTarget })) {
    if (value !== undefined && typeof value !== "string") throw new ArgumentError(`${option} must be a string`);
  }
  return {
    ...spec,
    name,
    attachTarget,
    flags: checkU32(flags, "flags"),
    expectedAttachType:
      expectedAttachType === undefined
        ? spec.expectedAttachType
        : numberOf(expectedAttachType, AttachType, "attach type"),
  };
}
