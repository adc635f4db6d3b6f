// From an opened object to a loaded one: what is done in which order (libbpf.md 3.2). Steps that need the verifier are
// handed out as a generator, so that load() can wait for them off the event loop and loadSync() in place.

import type { Btf } from "../btf/index.js";
import { addLocation, ObjectError, SystemCallError, withLocation } from "../errors.js";
import { kernelVersionCode, loadKernelBtf } from "../kernel/index.js";
import { log } from "../log.js";
import type { ObjectSpec, ProgramSpec } from "../object/index.js";
import { type LoadSteps, loadProgram, VerifierError } from "../program/index.js";
import {
  Errno,
  errnoName,
  type FileDescriptor,
  progBindMap,
  progLoadCapabilities,
  systemCallError,
} from "../syscall/index.js";
import { placeArenaData } from "./arena.js";
import { needsAttachBtf, resolveAttachBtf } from "./attach-btf.js";
import type { BpfMap } from "./bpf-map.js";
import type { BpfProgram } from "./bpf-program.js";
import { createMaps } from "./create-maps.js";
import { JumpTableMaps } from "./jump-tables.js";
import { kernelName } from "./kernel-name.js";
import { loadObjectBtf } from "./load-btf.js";
import { LoadPins } from "./load-pins.js";
import { fillProgramSlots } from "./map-slots.js";
import { raiseMemlock } from "./memlock.js";
import { hasCoreRelocations, ProgramRelocator, type RelocatedProgram } from "./relocate.js";
import { resolveMaps } from "./resolve-maps.js";
import { callbackTarget, createStructOpsMap, fillStructOps, planStructOps, type StructOpsPlan } from "./struct-ops.js";
import { fixLog } from "./verifier-fixup.js";

/** What loading works on. */
export interface LoadContext {
  readonly file: string;
  readonly spec: ObjectSpec;
  readonly programs: readonly BpfProgram[];
  readonly maps: readonly BpfMap[];
  /** 0: the verifier writes a log only when it refuses. */
  readonly logLevel: number;
  /** Types to relocate against instead of the running kernel's. */
  readonly kernelBtf: Btf | undefined;
}

/** Loads everything. Throws at the first failure; the caller closes what exists by then. */
export function* loadSteps(context: LoadContext): LoadSteps<void> {
  const { spec, maps } = context;
  if (!spec.littleEndian) {
    throw new ObjectError("OBJECT_UNSUPPORTED", "the object is big-endian and this machine is not", {
      hint: "compile it with -target bpf (or bpfel)",
    });
  }
  // Decides which callbacks are loaded (libbpf.md 3.2 step 7).
  const structOps = planStructOps(spec);
  const programs = context.programs.filter((program) => program.autoload);
  for (const program of programs) refuseUntyped(program.spec);

  const relocated = relocateAll(context, programs, structOps);

  using objectBtf = spec.btf === undefined ? undefined : loadObjectBtf(spec.btf, context.file);
  using pins = new LoadPins();
  createMaps(
    maps.filter((map) => !map.isStructOps),
    objectBtf,
    pins,
  );
  for (const map of maps) {
    const table = structOps.tables.get(map.spec);
    if (table !== undefined) createStructOpsMap(map, table, objectBtf);
  }
  for (const map of maps) map.seal();

  for (const [program, ready] of relocated) {
    resolveMaps(ready.linked, spec.maps, (wanted) => maps.find((map) => map.spec === wanted && map.loaded)?.fd);
    yield* loadOne(context, program, ready, objectBtf);
  }
  for (const map of maps) {
    const table = structOps.tables.get(map.spec);
    if (table !== undefined) fillStructOps(map, table, (wanted) => fdOf(context, wanted));
  }
  for (const program of context.programs) program.seal();
  fillProgramSlots(maps, context.programs);
  pins.complete();
}

function fdOf({ programs }: LoadContext, wanted: ProgramSpec): number {
  return programs.find(({ spec }) => spec === wanted)!.fd;
}

interface ReadyProgram {
  readonly linked: RelocatedProgram;
  /** In the running kernel's BTF; 0 for programs without such a target. */
  readonly attachBtfId: number;
  readonly expectedAttachType: number;
  /** BTF of the module whose type `attachBtfId` is. */
  readonly attachTarget: FileDescriptor | undefined;
}

/** Everything that can fail without having touched the kernel. */
function relocateAll(
  context: LoadContext,
  programs: readonly BpfProgram[],
  structOps: StructOpsPlan,
): Map<BpfProgram, ReadyProgram> {
  const core = programs.find((program) => hasCoreRelocations(program.spec));
  const coreTypes =
    core === undefined
      ? undefined
      : (context.kernelBtf ?? loadKernelBtf(`the CO-RE relocations of program ${core.name}`));
  const relocator = new ProgramRelocator(context.spec.btf, coreTypes);
  return new Map(
    programs.map((program) => {
      const linked = placeArenaData(relocator.relocate(program.spec));
      const callback = callbackTarget(structOps, program.spec);
      // Ids are the running kernel's, whatever CO-RE is relocated against.
      const attachBtfId = needsAttachBtf(program.spec)
        ? resolveAttachBtf(program.spec, loadKernelBtf(`the attach target of program ${program.name}`))
        : (callback?.attachBtfId ?? 0);
      const expectedAttachType = callback?.memberIndex ?? program.spec.expectedAttachType;
      return [program, { linked, attachBtfId, expectedAttachType, attachTarget: callback?.module }];
    }),
  );
}

function refuseUntyped(program: ProgramSpec): void {
  if (program.type !== 0) return;
  throw new ObjectError("OBJECT_INVALID", "no program type: nothing is known about sections of this name", {
    section: program.sectionName,
    program: program.name,
    hint: "set its type, or switch its autoload off, between open() and load()",
  });
}

function* loadOne(
  context: LoadContext,
  program: BpfProgram,
  { linked, attachBtfId, expectedAttachType, attachTarget }: ReadyProgram,
  objectBtf: FileDescriptor | undefined,
): LoadSteps<void> {
  const { spec } = program;
  const { funcInfo, lineInfo, insns } = linked;
  // The kernel keeps the maps with the program.
  using _tables = withLocation({ program: spec.name, section: spec.sectionName }, () => new JumpTableMaps(linked));
  const request = {
    program: {
      type: spec.type,
      insns,
      license: context.spec.license,
      name: kernelName(spec.name),
      flags: spec.flags,
      expectedAttachType,
      kernelVersion: context.spec.kernelVersion ?? kernelVersionCode(),
      attachBtfId,
      attachTarget,
      btf: objectBtf,
      funcInfo: objectBtf && funcInfo && { bytes: funcInfo, recordSize: 8 },
      lineInfo: objectBtf && lineInfo && { bytes: lineInfo, recordSize: 16 },
    },
    logLevel: program.logLevel ?? context.logLevel,
  };
  let result = yield* loadProgram(request);
  if (result.fd === undefined && result.errno === Errno.EPERM && raiseMemlock()) result = yield* loadProgram(request);
  if (result.fd === undefined) throw refusal(context, program, linked, result);
  program.setLoaded({ fd: result.fd, insns, verifierLog: result.log });
  bindConstants(context, program, result.fd);
}

/** Keeps the constants visible to tools for as long as the program lives (libbpf.md 3.4, Linux 5.10). */
function bindConstants(context: LoadContext, program: BpfProgram, fd: FileDescriptor): void {
  for (const map of context.maps) {
    if (map.spec.dataKind !== "rodata" || !map.loaded) continue;
    try {
      progBindMap({ program: fd, map: map.descriptor });
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      log.debug(() => `${program.name}: could not be bound to ${map.name}: ${error.message}`);
    }
  }
}

function refusal(
  context: LoadContext,
  program: BpfProgram,
  linked: RelocatedProgram,
  { errno, log: text }: { errno: number; log: string },
): unknown {
  const { spec } = program;
  const needs = progLoadCapabilities(spec.type);
  const place = { program: spec.name, section: spec.sectionName };
  if (text.trim() === "")
    return addLocation(systemCallError("bpf(BPF_PROG_LOAD)", errno, { code: "VERIFIER", needs }), place);
  const fixed = fixLog(text, { coreAt: linked.poisonAt, maps: context.spec.maps });
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
  const record = owner?.spec.lineInfo.findLast((line) => line.insnOffset <= offset);
  if (record === undefined) return undefined;
  return {
    text: btf.string(record.lineOffset).trim(),
    file: btf.string(record.fileNameOffset),
    line: record.line,
  };
}
