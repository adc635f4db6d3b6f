// From an opened object to a loaded one: what is done in which order (libbpf.md 3.2). Steps that need the verifier are
// handed out as a generator, so that load() can wait for them off the event loop and loadSync() in place.

import type { Btf } from "../btf/index.js";
import type { CoreTargets } from "../core-reloc/index.js";
import { addLocation, ObjectError, SystemCallError, withLocation } from "../errors.js";
import {
  type KconfigValues,
  kernelHas,
  kernelVersionCode,
  knownMissing,
  loadKernelBtf,
  ModuleBtfs,
} from "../kernel/index.js";
import { log } from "../log.js";
import type { ObjectSpec, ProgramSpec } from "../object/index.js";
import { type LoadSteps, VerifierError } from "../program/index.js";
import {
  errnoName,
  type FileDescriptor,
  progBindMap,
  progLoadCapabilities,
  systemCallError,
} from "../syscall/index.js";
import { placeArenaData } from "./arena.js";
import { cloneContextFunctions, hasArgCtxTags } from "./arg-ctx.js";
import { needsAttachBtf, resolveAttachBtf } from "./attach-btf.js";
import type { BpfMap } from "./bpf-map.js";
import type { BpfProgram } from "./bpf-program.js";
import { createMaps } from "./create-maps.js";
import { fillKconfig } from "./extern-kconfig.js";
import { findKernelSymbols, type KernelSymbolTable } from "./extern-ksyms.js";
import { loadWithFallBacks, settleAttachType } from "./fall-backs.js";
import { JumpTableMaps } from "./jump-tables.js";
import { kernelName } from "./kernel-name.js";
import { loadObjectBtf } from "./load-btf.js";
import { LoadPins } from "./load-pins.js";
import { fillProgramSlots } from "./map-slots.js";
import { hasCoreRelocations, ProgramRelocator, type RelocatedProgram } from "./relocate.js";
import { resolveExterns } from "./resolve-externs.js";
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
  /** Values of Kconfig externs that count more than the kernel's own configuration. */
  readonly kconfig: KconfigValues | undefined;
}

/** Loads everything. Throws at the first failure; the caller closes what exists by then. */
export function* loadSteps(context: LoadContext): LoadSteps<void> {
  const { spec, maps } = context;
  if (!spec.littleEndian) {
    throw new ObjectError("OBJECT_UNSUPPORTED", "the object is big-endian and this machine is not", {
      hint: "compile it with -target bpf (or bpfel)",
    });
  }
  using modules = new ModuleBtfs(() => loadKernelBtf("the types of kernel modules"));
  // Decides which callbacks are loaded (libbpf.md 3.2 step 7).
  const structOps = planStructOps(spec, modules);
  const programs = context.programs.filter((program) => program.autoload);
  for (const program of programs) refuseUntyped(program.spec);

  const symbols = resolveKernel(context, modules);
  const relocated = relocateAll(context, programs, { modules, symbols, structOps });
  const btf = emulateContextTags(spec.btf, relocated);

  using objectBtf = btf === undefined ? undefined : loadObjectBtf(btf, context.file);
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
    yield* loadOne(context, program, { ...ready, objectBtf, fdArray: symbols.fdArray });
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
  /** Where the section does not say it: callbacks of struct_ops. */
  readonly expectedAttachType: number | undefined;
  /** BTF of the module whose type `attachBtfId` is. */
  readonly attachTarget: FileDescriptor | undefined;
}

/** What the running kernel has to say about the object. */
interface KernelSide {
  readonly modules: ModuleBtfs;
  readonly symbols: KernelSymbolTable;
  readonly structOps: StructOpsPlan;
}

/** What a program refers to by descriptor, too. */
interface BoundProgram extends ReadyProgram {
  readonly objectBtf: FileDescriptor | undefined;
  /** BTF of modules whose functions it calls. */
  readonly fdArray: Int32Array | undefined;
}

/** What the object asks of the running kernel: its configuration, its symbols. */
function resolveKernel({ spec, kconfig }: LoadContext, modules: ModuleBtfs): KernelSymbolTable {
  const image = spec.maps.find(({ dataKind }) => dataKind === "kconfig")?.initialValue;
  const options = spec.externs.filter((extern) => extern.kind === "kconfig");
  if (image !== undefined) fillKconfig(options, image, kconfig);
  return findKernelSymbols(spec.externs, spec.btf, modules);
}

/** Everything that can fail without having changed anything in the kernel. */
function relocateAll(
  context: LoadContext,
  programs: readonly BpfProgram[],
  { modules, symbols, structOps }: KernelSide,
): Map<BpfProgram, ReadyProgram> {
  const { btf, externs } = context.spec;
  const relocator = new ProgramRelocator(btf, coreTargets(context, programs, modules));
  return new Map(
    programs.map((program) => {
      const linked = placeArenaData(relocator.relocate(program.spec));
      resolveExterns(linked, externs, symbols);
      const callback = callbackTarget(structOps, program.spec);
      // Ids are the running kernel's, whatever CO-RE is relocated against.
      const attachBtfId = needsAttachBtf(program.spec)
        ? resolveAttachBtf(program.spec, loadKernelBtf(`the attach target of program ${program.name}`))
        : (callback?.attachBtfId ?? 0);
      const expectedAttachType = callback?.memberIndex;
      return [program, { linked, attachBtfId, expectedAttachType, attachTarget: callback?.module }];
    }),
  );
}

/** `__arg_ctx` where the kernel does not know it; returns the type information to load. */
function emulateContextTags(btf: Btf | undefined, relocated: Map<BpfProgram, ReadyProgram>): Btf | undefined {
  if (btf === undefined || !hasArgCtxTags(btf) || kernelHas("arg_ctx_tag") !== false) return btf;
  const programs = [...relocated].map(([{ spec }, { linked }]) => ({ ...spec, funcInfo: linked.funcInfo }));
  const clones = cloneContextFunctions(btf, programs);
  if (clones === undefined) return btf;
  for (const [index, [program, ready]] of [...relocated].entries()) {
    relocated.set(program, { ...ready, linked: { ...ready.linked, funcInfo: clones.funcInfo[index] } });
  }
  return clones.btf;
}

/** The types to apply CO-RE against; undefined when no program needs any. */
function coreTargets(
  { kernelBtf }: LoadContext,
  programs: readonly BpfProgram[],
  modules: ModuleBtfs,
): CoreTargets | undefined {
  const core = programs.find((program) => hasCoreRelocations(program.spec));
  if (core === undefined) return undefined;
  if (kernelBtf !== undefined) return { kernel: kernelBtf, custom: true };
  const kernel = loadKernelBtf(`the CO-RE relocations of program ${core.name}`);
  return { kernel, modules: () => modules.list() };
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
  { linked, attachBtfId, expectedAttachType, attachTarget, objectBtf, fdArray }: BoundProgram,
): LoadSteps<void> {
  const { spec } = program;
  const { funcInfo, lineInfo } = linked;
  settleAttachType(spec);
  // The kernel keeps the maps with the program.
  using _tables = withLocation({ program: spec.name, section: spec.sectionName }, () => new JumpTableMaps(linked));
  const options = {
    type: spec.type,
    insns: linked.insns,
    license: context.spec.license,
    name: kernelName(spec.name),
    flags: spec.flags,
    expectedAttachType: expectedAttachType ?? spec.expectedAttachType,
    ifindex: program.ifindex,
    kernelVersion: context.spec.kernelVersion ?? kernelVersionCode(),
    attachBtfId,
    attachTarget,
    fdArray,
    btf: objectBtf,
    funcInfo: objectBtf && funcInfo && { bytes: funcInfo, recordSize: 8 },
    lineInfo: objectBtf && lineInfo && { bytes: lineInfo, recordSize: 16 },
  };
  const result = yield* loadWithFallBacks(options, spec, program.logLevel ?? context.logLevel);
  if (result.fd === undefined) throw refusal(context, program, linked, result);
  program.setLoaded({ fd: result.fd, insns: result.insns, verifierLog: result.log });
  bindConstants(context, program, result.fd);
}

/** Keeps the constants visible to tools for as long as the program lives (libbpf.md 3.4, Linux 5.10). */
function bindConstants(context: LoadContext, program: BpfProgram, fd: FileDescriptor): void {
  if (knownMissing("prog_bind_map")) return;
  for (const map of context.maps) {
    if (map.spec.dataKind !== "rodata" || !map.loaded) continue;
    try {
      progBindMap({ program: fd, map: map.descriptor });
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      const message = `${program.name}: could not be bound to ${map.name}: ${error.message}`;
      if (kernelHas("prog_bind_map") === false) log.debug(() => message);
      else log.warn(message);
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
  const record = owner?.spec.lineInfo.findLast((line) => line.insnOffset <= offset);
  if (record === undefined) return undefined;
  return {
    text: btf.string(record.lineOffset).trim(),
    file: btf.string(record.fileNameOffset),
    line: record.line,
  };
}
