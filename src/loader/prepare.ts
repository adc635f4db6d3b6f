// From an opened object to one whose maps exist: everything that comes before the first program (libbpf.md 3.2 steps 1 to
// 11). What loading programs needs of it is kept in a PreparedObject as long as the object lives, for clones.

import type { Btf } from "../btf/index.js";
import type { CoreTargets } from "../core-reloc/index.js";
import { ObjectError } from "../errors.js";
import { type KconfigValues, kernelHas, loadKernelBtf, ModuleBtfs, openToken } from "../kernel/index.js";
import type { ObjectSpec } from "../object/index.js";
import { type Capability, type FileDescriptor, progLoadCapabilities } from "../syscall/index.js";
import { placeArenaData } from "./arena.js";
import { cloneContextFunctions, hasArgCtxTags } from "./arg-ctx.js";
import type { BpfMap } from "./bpf-map.js";
import type { BpfProgram } from "./bpf-program.js";
import { createMaps, type MapCreation } from "./create-maps.js";
import { exclusiveHash } from "./exclusive.js";
import { fillKconfig } from "./extern-kconfig.js";
import { findKernelSymbols, type KernelSymbolTable } from "./extern-ksyms.js";
import { loadObjectBtf } from "./load-btf.js";
import { LoadPins } from "./load-pins.js";
import { hasCoreRelocations, ProgramRelocator, type RelocatedProgram } from "./relocate.js";
import { resolveExterns } from "./resolve-externs.js";
import { resolveMaps } from "./resolve-maps.js";
import type { SectionHandlers } from "./section-handlers.js";
import {
  type CallbackTarget,
  callbackTarget,
  createStructOpsMap,
  planStructOps,
  type StructOpsPlan,
} from "./struct-ops.js";

/** What loading works on. */
export interface LoadContext {
  readonly file: string;
  readonly spec: ObjectSpec;
  readonly programs: readonly BpfProgram[];
  readonly maps: readonly BpfMap[];
  /** 0: the verifier writes a log only when it refuses. */
  readonly logLevel: number;
  /** Bytes of the first buffer for a program's log. */
  readonly logSize: number;
  /** Types to relocate against instead of the running kernel's. */
  readonly kernelBtf: Btf | undefined;
  /** Values of Kconfig externs that count more than the kernel's own configuration. */
  readonly kconfig: KconfigValues | undefined;
  /** As the option of that name: "" for no BPF token, undefined for one from the usual place if there is one. */
  readonly tokenPath: string | undefined;
  /** What programs of sections with names of the user's own are. */
  readonly handlers: SectionHandlers;
}

/** A program that only needs the verifier. */
export interface PreparedProgram {
  readonly linked: RelocatedProgram;
  /** Set for callbacks of struct_ops. */
  readonly callback: CallbackTarget | undefined;
}

/** An object whose maps exist and whose programs are relocated. */
export interface PreparedObject {
  readonly context: LoadContext;
  readonly structOps: StructOpsPlan;
  /** Those whose autoload was on. */
  readonly programs: ReadonlyMap<BpfProgram, PreparedProgram>;
  /** Descriptors of modules whose functions programs call. */
  readonly fdArray: Int32Array | undefined;
  readonly opened: Opened;
}

/** What preparing opens besides the maps, which own themselves. */
export class Opened {
  modules = listModules();
  readonly pins = new LoadPins();
  /** The object's type information in the kernel; undefined when it has none or the kernel refused it. */
  btf: FileDescriptor | undefined;
  /** For all that is made, and asked of the kernel. */
  token: FileDescriptor | undefined;
  /** Instructions refer to modules by their descriptors. */
  modulesUsed = false;

  /** Everything was loaded: the pins stay. */
  complete(): void {
    this.pins.complete();
    if (this.modulesUsed) return;
    this.modules.close();
    // Clones may look again.
    this.modules = listModules();
  }

  close(): void {
    this.modules.close();
    this.btf?.close();
    this.token?.close();
  }
}

function listModules(): ModuleBtfs {
  return new ModuleBtfs(() => loadKernelBtf("the types of kernel modules"));
}

/** Throws at the first failure; `opened` and the maps that exist by then are the caller's to close. */
export function prepareObject(context: LoadContext, opened: Opened): PreparedObject {
  const { spec, maps } = context;
  if (!spec.littleEndian) {
    throw new ObjectError("OBJECT_UNSUPPORTED", "the object is big-endian and this machine is not", {
      hint: "compile it with -target bpf (or bpfel)",
    });
  }
  opened.token = openToken(context.tokenPath);
  const { token } = opened;
  // Decides which callbacks are loaded (libbpf.md 3.2 step 7).
  const structOps = planStructOps(spec, opened.modules);
  const symbols = resolveKernel(context, opened);
  const programs = relocateAll(context, { modules: opened.modules, symbols, structOps, token });
  const btf = emulateContextTags(spec.btf, programs, token);
  opened.btf = btf && loadObjectBtf(btf, context.file, token);
  opened.modulesUsed ||= [...programs.values()].some(({ callback }) => callback?.module !== undefined);

  const creation: MapCreation = {
    objectBtf: opened.btf,
    token,
    needs: neededCapabilities([...programs.keys()]),
    pins: opened.pins,
    exclusiveHash: (map) => exclusiveHash(map, programs, maps),
  };
  createMaps(
    maps.filter((map) => !map.isStructOps),
    creation,
  );
  for (const map of maps) {
    const table = structOps.tables.get(map.spec);
    if (table !== undefined) createStructOpsMap(map, table, creation);
  }
  for (const map of maps) map.seal();
  for (const [program, { linked }] of programs) {
    resolveMaps(linked, spec.maps, (wanted) => maps.find((map) => map.spec === wanted && map.loaded)?.fd);
    program.setPrepared(linked);
  }
  for (const program of context.programs) program.seal("prepared");
  return { context, structOps, programs, fdArray: symbols.fdArray, opened };
}

/** For all of the programs, and for maps. */
function neededCapabilities(programs: readonly BpfProgram[]): readonly Capability[] {
  return [...new Set(programs.flatMap(({ spec }) => progLoadCapabilities(spec.type))).add("CAP_BPF")];
}

/** What the object asks of the running kernel: its configuration, its symbols. */
function resolveKernel({ spec, kconfig }: LoadContext, opened: Opened): KernelSymbolTable {
  const image = spec.maps.find(({ dataKind }) => dataKind === "kconfig")?.initialValue;
  const options = spec.externs.filter((extern) => extern.kind === "kconfig");
  if (image !== undefined) fillKconfig(options, image, kconfig, opened.token);
  const table = findKernelSymbols(spec.externs, spec.btf, opened.modules);
  opened.modulesUsed = [...table.symbols.values()].some((symbol) => symbol.kind === "type" && symbol.btfFd !== 0);
  return table;
}

/** What the running kernel has to say about the object. */
interface KernelSide {
  readonly modules: ModuleBtfs;
  readonly symbols: KernelSymbolTable;
  readonly structOps: StructOpsPlan;
  readonly token: FileDescriptor | undefined;
}

/** Everything that can fail without having changed anything in the kernel. */
function relocateAll(
  context: LoadContext,
  { modules, symbols, structOps, token }: KernelSide,
): Map<BpfProgram, PreparedProgram> {
  const { btf, externs } = context.spec;
  const programs = context.programs.filter((program) => program.autoload);
  const relocator = new ProgramRelocator(btf, coreTargets(context, programs, modules));
  return new Map(
    programs.map((program) => {
      const linked = placeArenaData(relocator.relocate(program.spec), token);
      resolveExterns(linked, externs, symbols);
      return [program, { linked, callback: callbackTarget(structOps, program.spec) }];
    }),
  );
}

/** `__arg_ctx` where the kernel does not know it; returns the type information to load. */
function emulateContextTags(
  btf: Btf | undefined,
  relocated: Map<BpfProgram, PreparedProgram>,
  token: FileDescriptor | undefined,
): Btf | undefined {
  if (btf === undefined || !hasArgCtxTags(btf) || kernelHas("arg_ctx_tag", token) !== false) return btf;
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
