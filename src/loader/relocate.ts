// CO-RE relocation and linking of the programs that will be loaded (libbpf.md 3.7), with a memory of what was poisoned,
// for the log fix-up of a refused program (3.9).

import type { Btf, CoreRelocationRecord } from "../btf/index.js";
import { CoreRelocator, type CoreTargets } from "../core-reloc/index.js";
import { addLocation, ObjectError } from "../errors.js";
import { log } from "../log.js";
import { type FunctionSpec, type LinkedProgram, linkProgram, type ProgramSpec } from "../object/index.js";

/** A program ready for map descriptors. */
export interface RelocatedProgram extends LinkedProgram {
  /** The CO-RE relocation that invalidated the instruction at an index of the linked program. */
  readonly poisonAt: (insnIndex: number) => string | undefined;
}

/** Relocates the programs of one object. Every function is relocated once, however many programs call it. */
export class ProgramRelocator {
  readonly #core: CoreRelocator | undefined;
  readonly #insns = new Map<FunctionSpec, Uint8Array>();
  readonly #poisons: Poisons = new Map();

  /** `targets` may be undefined when {@link hasCoreRelocations} is false for all programs. */
  constructor(objectBtf: Btf | undefined, targets: CoreTargets | undefined) {
    this.#core = objectBtf === undefined || targets === undefined ? undefined : new CoreRelocator(objectBtf, targets);
  }

  /** Applies CO-RE and appends sub-programs. */
  relocate(program: ProgramSpec): RelocatedProgram {
    try {
      const linked = linkProgram(program, (spec) => this.#relocated(spec));
      const poisons = this.#poisons;
      // Programs are kept for clones: without the relocator and its candidates.
      return { ...linked, poisonAt: (insnIndex) => poisonAt(poisons, linked, insnIndex) };
    } catch (error) {
      throw addLocation(error, { program: program.name, section: program.sectionName });
    }
  }

  #relocated(spec: FunctionSpec): Uint8Array {
    const known = this.#insns.get(spec);
    if (known !== undefined) return known;
    const insns = spec.insns.slice();
    const poisons = new Map<number, () => string>();
    for (const record of spec.coreRelocations) {
      const result = this.#applyOne(insns, spec, record);
      if (result.poisoned) poisons.set(result.insnIndex, result.description);
      log.debug(
        () => `${spec.name}: ${result.description()} -> ${result.poisoned ? "no match" : result.value.toString()}`,
      );
    }
    this.#insns.set(spec, insns);
    if (poisons.size > 0) this.#poisons.set(spec, poisons);
    return insns;
  }

  #applyOne(insns: Uint8Array, spec: FunctionSpec, record: CoreRelocationRecord) {
    if (this.#core === undefined) {
      throw new ObjectError("OBJECT_INVALID", "CO-RE records without BTF", { section: ".BTF.ext" });
    }
    try {
      return this.#core.apply(insns, record);
    } catch (error) {
      throw addLocation(error, { program: spec.name, section: spec.sectionName });
    }
  }
}

/** By function, then by instruction of the function. */
type Poisons = Map<FunctionSpec, Map<number, () => string>>;

function poisonAt(poisons: Poisons, linked: LinkedProgram, insnIndex: number): string | undefined {
  const owner = linked.functions.findLast((candidate) => candidate.insnIndex <= insnIndex);
  if (owner === undefined) return undefined;
  return poisons.get(owner.spec)?.get(insnIndex - owner.insnIndex)?.();
}

/** True when any function that the program can reach has CO-RE records. */
export function hasCoreRelocations(program: ProgramSpec): boolean {
  const seen = new Set<FunctionSpec>();
  const pending: FunctionSpec[] = [program];
  if (program.exceptionCallback !== undefined) pending.push(program.exceptionCallback);
  for (let spec = pending.pop(); spec !== undefined; spec = pending.pop()) {
    if (seen.has(spec)) continue;
    seen.add(spec);
    if (spec.coreRelocations.length > 0) return true;
    for (const relocation of spec.relocations) {
      if (relocation.kind === "call" || relocation.kind === "function") pending.push(relocation.target);
    }
  }
  return false;
}
