// Everything that happens to an object before the kernel sees it, and everything a user can read or set until then.

import { Btf, type BtfValue } from "../../src/btf/index.js";
import { atomic, BpfObject, snapshot } from "../../src/index.js";
import { formatInsn } from "../../src/insn/index.js";
import { kernelName } from "../../src/kernel/kernel-name.js";
import { placeArenaData } from "../../src/loader/arena.js";
import { cloneContextFunctions, hasArgCtxTags } from "../../src/loader/arg-ctx.js";
import { findAttachTarget } from "../../src/loader/attach-btf.js";
import { fillKconfig } from "../../src/loader/extern-kconfig.js";
import { findKernelSymbols } from "../../src/loader/extern-ksyms.js";
import { ProgramRelocator, type RelocatedProgram } from "../../src/loader/relocate.js";
import { resolveExterns } from "../../src/loader/resolve-externs.js";
import { resolveMaps } from "../../src/loader/resolve-maps.js";
import { sanitizeBtf } from "../../src/loader/sanitize-btf.js";
import { planStructOps } from "../../src/loader/struct-ops.js";
import { fixLog } from "../../src/loader/verifier-fixup.js";
import { type ObjectSpec, openObject } from "../../src/object/index.js";
import { attempt, insist } from "./target.js";

/** A user who looks at a gigabyte of zeros asks for it; here only what takes no time is looked at. */
const LARGEST_LOOK = 1 << 20;

/** What the externs of an object are given, by turns: every form that Kconfig knows, and some that it does not. */
const kconfigValues = ["y", "n", "m", "0", "1", "0x7f", "-1", "99999999999999999999", '"text"', '"', "0778", ""];

/** The types to relocate against, and whether they are the running kernel's: then attach targets are looked up, too. */
export interface Target {
  readonly btf: Btf;
  readonly running: boolean;
}

/** Opens, reads, edits, relocates. */
export function useObject(bytes: Uint8Array, target: Target): void {
  const obj = attempt(() => BpfObject.open(bytes, { name: "damaged" }));
  if (obj === undefined) return;
  attempt(() => [obj.license, obj.name, obj.loaded, obj.findMap(".data"), obj.findProgram("x")]);
  attempt(() => obj.program("no such program"));
  attempt(() => obj.map("no such map"));
  for (const section of ["rodata", "data", "bss", "arena"] as const) attempt(() => obj[section]);
  for (const map of obj.maps) attempt(() => useMap(map));
  for (const program of obj.programs) {
    const { type, attachTarget, expectedAttachType, flags, autoload, sectionName, definition } = program;
    void [type, attachTarget, expectedAttachType, flags, autoload, sectionName, definition];
    kernelName(program.name);
  }
  const spec = attempt(() => openObject(bytes, { name: "damaged", relaxedMaps: true }));
  if (spec !== undefined) relocate(spec, target);
  obj.close();
}

type AnyMap = BpfObject["maps"][number];

function useMap(map: AnyMap): void {
  void [map.type, map.keySize, map.valueSize, map.maxEntries, map.flags, map.mapExtra, map.pinPath, map.isInternal];
  attempt(() => map.get(0));
  if (map.isStructOps) useProperties(attempt(() => map.structOps));
  if (map.valueSize > LARGEST_LOOK) return;
  useProperties(attempt(() => map.data?.variables));
  attempt(() => {
    map.valueSize += 8;
  });
  useProperties(attempt(() => map.data?.variables));
}

/** How many members and elements of one variable are looked at, level by level. */
const LOOKS = [64, 4, 2] as const;

/** Reads each, writes it back, writes what it is not; goes into views of structs, unions and arrays. */
function useProperties(values: { [name: string]: unknown } | undefined, depth = 0): void {
  if (values === undefined) return;
  if (depth === 0) attempt(() => snapshot(values));
  for (const name of Object.keys(values).slice(0, LOOKS[depth])) {
    const value = attempt(() => values[name]);
    if (typeof value === "number" || typeof value === "bigint") attempt(() => atomic(values, name).load());
    else if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value) && depth + 1 < LOOKS.length) {
      useProperties(value as { [name: string]: unknown }, depth + 1);
    }
    for (const next of [value, null, -1, "x", 1n << 70n, [], {}] as BtfValue[]) {
      attempt(() => {
        values[name] = next;
      });
    }
  }
}

const noModules = { list: () => [] };

function relocate(spec: ObjectSpec, { btf: target, running }: Target): void {
  const { btf } = spec;
  const relocator = attempt(() => new ProgramRelocator(btf, { kernel: target, custom: true }));
  const linked: RelocatedProgram[] = [];
  const externs = spec.externs.filter(({ kind, name }) => kind !== "kconfig" || !name.startsWith("LINUX_"));
  const kernelSymbols = running ? attempt(() => findKernelSymbols(externs.filter(isTyped), btf, noModules)) : undefined;
  const symbols = kernelSymbols ?? { symbols: new Map(), fdArray: undefined };
  attempt(() => fillAll(spec));
  if (running) attempt(() => planStructOps(spec, noModules));
  for (const program of spec.programs) {
    attempt(() => {
      if (relocator === undefined) return;
      const result = placeArenaData(relocator.relocate(program), undefined);
      insist(result.insns.length % 8 === 0, () => `${program.name}: half an instruction`);
      insist(result.insns.length <= 64 << 20, () => `${program.name}: ${result.insns.length} bytes of instructions`);
      resolveExterns(result, spec.externs, symbols);
      for (let i = 0; i < result.insns.length / 8 && i < 4096; i++) formatInsn(result.insns, i);
      resolveMaps(result, spec.maps, (map) => (map.type % 2 === 0 ? 3 : undefined));
      for (const { functions } of [result]) for (const { insnIndex } of functions) result.poisonAt(insnIndex);
      const log = `${result.insns.length >> 4}: (85) call unknown#195896080\ninvalid func unknown#195896080`;
      fixLog(log, { coreAt: result.poisonAt, maps: spec.maps, externs: spec.externs });
      linked.push(result);
    });
    if (running) {
      attempt(() => findAttachTarget({ spec: program, targetDescriptor: undefined }, noModules, () => target));
    }
  }
  if (btf === undefined) return;
  attempt(() => {
    if (!hasArgCtxTags(btf)) return;
    const tagged = spec.programs.map((program, i) => ({ ...program, funcInfo: linked[i]?.funcInfo }));
    cloneContextFunctions(btf, tagged);
  });
  attempt(() => {
    const old = sanitizeBtf(btf, () => true);
    if (old !== undefined) Btf.parse(old);
  });
}

function isTyped(extern: ObjectSpec["externs"][number]): boolean {
  return extern.kind === "ksymFunction" || (extern.kind === "ksymVariable" && extern.valueTypeId !== 0);
}

function fillAll(spec: ObjectSpec): void {
  const map = spec.maps.find(({ dataKind }) => dataKind === "kconfig");
  if (map === undefined || map.valueSize > LARGEST_LOOK) return;
  // What asks the running kernel is left out, and everything else is given, so that no file is read.
  const externs = spec.externs.filter((extern) => extern.kind === "kconfig" && !extern.name.startsWith("LINUX_"));
  for (let turn = 0; turn < kconfigValues.length; turn++) {
    const given = new Map(externs.map(({ name }, i) => [name, kconfigValues[(turn + i) % kconfigValues.length]!]));
    attempt(() => fillKconfig(externs as Parameters<typeof fillKconfig>[0], map.initialValue!, given));
  }
}
