// One prepared program into the kernel: attributes, fall-backs, and the error when the verifier refuses it (libbpf.md 3.9).

import type { Btf } from "../btf/index.js";
import { addLocation, ObjectError, SystemCallError, UnsupportedError, withLocation } from "../errors.js";
import { kernelHas, kernelName, kernelVersionCode, knownMissing } from "../kernel/index.js";
import { log } from "../log.js";
import { type LoadSteps, VerifierError } from "../program/index.js";
import {
  errnoName,
  type FileDescriptor,
  progBindMap,
  progLoadCapabilities,
  systemCallError,
} from "../syscall/index.js";
import { findAttachTarget } from "./attach-btf.js";
import type { BpfProgram } from "./bpf-program.js";
import { loadWithFallBacks, settleAttachType } from "./fall-backs.js";
import { JumpTableMaps } from "./jump-tables.js";
import type { LoadContext, PreparedObject, PreparedProgram } from "./prepare.js";
import type { RelocatedProgram } from "./relocate.js";
import { explainTooOld } from "./too-old.js";
import { fixLog } from "./verifier-fixup.js";

/**
 * Loads a program as its settings and instructions are now. `ready` is what it was prepared as, or for a clone what the
 * original was.
 */
export function* loadProgramOf(
  { context, fdArray, opened }: PreparedObject,
  program: BpfProgram,
  { linked, callback }: PreparedProgram,
): LoadSteps<void> {
  const { spec } = program;
  const { token } = opened;
  refuseUntyped(program);
  settleAttachType(spec, token);
  const { insns, funcInfo, lineInfo } = program.code;
  if (insns.length !== linked.insns.length && linked.relocations.some(({ kind }) => kind === "jumpTable")) {
    throw new UnsupportedError("the number of instructions of a program with jump tables cannot be changed", {
      program: spec.name,
      section: spec.sectionName,
    });
  }
  // The kernel keeps the maps with the program.
  using _tables = withLocation(
    { program: spec.name, section: spec.sectionName },
    () => new JumpTableMaps({ ...linked, insns }, token),
  );
  // Ids are the running kernel's, whatever CO-RE is relocated against.
  const target = findAttachTarget(program, opened.modules);
  const objectBtf = opened.btf;
  const options = {
    type: spec.type,
    insns,
    license: context.spec.license,
    name: kernelName(spec.name),
    flags: spec.flags,
    expectedAttachType: callback?.memberIndex ?? spec.expectedAttachType,
    ifindex: program.ifindex,
    kernelVersion: context.spec.kernelVersion ?? kernelVersionCode(),
    attachBtfId: target?.btfId ?? callback?.attachBtfId,
    attachTarget: target?.owner ?? callback?.module,
    fdArray,
    btf: objectBtf,
    token,
    funcInfo: objectBtf && funcInfo && { bytes: funcInfo, recordSize: 8 },
    lineInfo: objectBtf && lineInfo && { bytes: lineInfo, recordSize: 16 },
  };
  const result = yield* loadWithFallBacks(options, spec, {
    level: program.logLevel ?? context.logLevel,
    size: program.logSize ?? context.logSize,
  });
  if (result.fd === undefined) {
    const error = refusal(context, program, linked, { ...result, withToken: token !== undefined });
    throw explainTooOld(spec, result.errno, error) ?? error;
  }
  program.setLoaded({ fd: result.fd, insns: result.insns, verifierLog: result.log });
  bindConstants(context, program, result.fd, token);
}

/** @throws ObjectError for a program whose section and user say no type */
export function refuseUntyped({ spec: program }: BpfProgram): void {
  if (program.type !== 0) return;
  throw new ObjectError("OBJECT_INVALID", "no program type: nothing is known about sections of this name", {
    section: program.sectionName,
    program: program.name,
    hint: "set its type, or switch its autoload off, between open() and load()",
  });
}

/** Keeps the constants visible to tools for as long as the program lives (libbpf.md 3.4, Linux 5.10). */
function bindConstants(
  context: LoadContext,
  program: BpfProgram,
  fd: FileDescriptor,
  token: FileDescriptor | undefined,
): void {
  if (knownMissing("prog_bind_map", token)) return;
  for (const map of context.maps) {
    if (map.spec.dataKind !== "rodata" || !map.loaded) continue;
    try {
      progBindMap({ program: fd, map: map.descriptor });
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      const message = `${program.name}: could not be bound to ${map.name}: ${error.message}`;
      if (kernelHas("prog_bind_map", token) === false) log.debug(() => message);
      else log.warn(message);
    }
  }
}

function refusal(
  context: LoadContext,
  program: BpfProgram,
  linked: RelocatedProgram,
  { errno, log: text, withToken }: { errno: number; log: string; withToken: boolean },
): unknown {
  const { spec } = program;
  const needs = progLoadCapabilities(spec.type);
  const place = { program: spec.name, section: spec.sectionName };
  if (text.trim() === "") {
    const details = { code: "VERIFIER", needs, withToken } as const;
    return addLocation(systemCallError("bpf(BPF_PROG_LOAD)", errno, details), place);
  }
  const fixed = fixLog(text, { coreAt: linked.poisonAt, maps: context.spec.maps, externs: context.spec.externs });
  return new VerifierError({
    ...place,
    errno,
    errnoName: errnoName(errno),
    log: fixed.log,
    sourceAt: (insnIndex) => sourceLine(context.spec.btf, linked, insnIndex),
  });
}

/** The C source line of an instruction of the linked program, from the object's own line info. */
function sourceLine(btf: Btf | undefined, linked: RelocatedProgram, insnIndex: number) {
  if (btf === undefined) return undefined;
  const owner = linked.functions.findLast((candidate) => candidate.insnIndex <= insnIndex);
  const offset = (insnIndex - (owner?.insnIndex ?? 0)) * 8;
  const record = owner?.spec.lineInfo.lastUpTo(offset);
  if (record === undefined) return undefined;
  return {
    text: btf.string(record.lineOffset).trim(),
    file: btf.string(record.fileNameOffset),
    line: record.line,
  };
}
