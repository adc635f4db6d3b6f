// CO-RE relocation of one object against one kernel: resolves each record once and patches every instruction that asks
// the same. The order of libbpf.md 4: access string (access-spec.ts), candidates (candidates.ts), match (match-*.ts),
// value (values.ts), agreement of several candidates (4.9, here), patch (patch.ts).

import type { Btf, CoreRelocationRecord } from "../btf/index.js";
import { BpfkitError, CoreRelocationError } from "../errors.js";
import { INSN_SIZE } from "../insn/index.js";
import { log } from "../log.js";
import { type AccessSpec, parseAccessSpec } from "./access-spec.js";
import { type Candidate, CandidateFinder, type CoreTargets } from "./candidates.js";
import { formatRoot, formatSpec } from "./format.js";
import { type KindRule, kindRules } from "./kinds.js";
import { matchEnumerator } from "./match-enumerator.js";
import { matchField } from "./match-field.js";
import { MatchBudget, matchType } from "./match-type.js";
import { patchInsn } from "./patch.js";
import { type Resolution, resolveValue } from "./values.js";

/** What {@link CoreRelocator.apply} did. */
export interface CoreRelocationResult {
  /** Of the patched instruction, in units of 8 bytes from the start of the instructions. */
  readonly insnIndex: number;
  /** The instruction was replaced by a call of {@link CORE_POISON_CALL}: no match, or a load that cannot be resized. */
  readonly poisoned: boolean;
  /** What was written: 64 bits, unsigned, before truncation to the instruction's field. 0n when poisoned. */
  readonly value: bigint;
  /** The relocation as text, in libbpf's format (libbpf.md 4.13). */
  readonly description: () => string;
}

/** A record's answer, good for every record of the same type, access string and kind. */
interface ResolvedRecord {
  readonly resolution: Resolution;
  readonly description: () => string;
}

/** What is known about a local type that records refer to. */
interface LocalRoot {
  /** Undefined until a record needs them. Those that did not match when others did are dropped (libbpf.md 4.4 rule 6). */
  candidates: Candidate[] | undefined;
  /** By access string offset and kind. */
  readonly resolved: Map<number, ResolvedRecord>;
}

/** Applies the CO-RE records of one object. Keeps what it learns about types: use one instance for a whole load. */
export class CoreRelocator {
  readonly #local: Btf;
  readonly #finder: CandidateFinder;
  readonly #roots = new Map<number, LocalRoot>();
  readonly #budget = new MatchBudget();

  /** `local` is the BTF of the object, `targets` that of the kernel to run on. Neither is changed. */
  constructor(local: Btf, targets: CoreTargets) {
    this.#local = local;
    this.#finder = new CandidateFinder(local, targets);
  }

  /**
   * Relocates one instruction of `insns` (8 bytes each, little-endian) in place. `record.insnOffset` is in bytes from the
   * start of `insns`; its type and access string belong to the local BTF.
   *
   * A relocation that nothing matches is no error: the instruction gets 0 or is poisoned, as the kind demands.
   * Throws CoreRelocationError, with that offset and the relocation's text, when the record is malformed, matches
   * ambiguously or disagrees with the instruction. libbpf: `bpf_core_calc_relo_insn` and `bpf_core_patch_insn`.
   */
  apply(insns: Uint8Array, record: CoreRelocationRecord): CoreRelocationResult {
    try {
      const insnIndex = insnIndexOf(insns, record);
      const { resolution, description } = this.#resolve(record);
      const poisoned = patchInsn(insns, insnIndex, resolution);
      if (poisoned && !resolution.poison) {
        log.warn(
          `CO-RE ${description()}: instruction ${insnIndex} loads or stores ${resolution.originalSize} bytes and ` +
            `cannot be resized to ${resolution.size}, because only pointers and unsigned integers can; it was invalidated`,
        );
      }
      return { insnIndex, poisoned, value: poisoned ? 0n : resolution.value, description };
    } catch (error) {
      throw this.#explain(error, record);
    }
  }

  #resolve(record: CoreRelocationRecord): ResolvedRecord {
    const rule = ruleOf(record);
    const root = this.#rootOf(record.typeId);
    const key = record.accessOffset * kindRules.length + record.kind;
    let resolved = root.resolved.get(key);
    if (resolved === undefined) {
      const local = parseAccessSpec(this.#local, rule, record.typeId, this.#local.string(record.accessOffset));
      resolved = { resolution: this.#resolveSpec(local, root), description: () => formatSpec(local) };
      root.resolved.set(key, resolved);
    }
    return resolved;
  }

  #resolveSpec(local: AccessSpec, root: LocalRoot): Resolution {
    // libbpf.md 4.2: the local id asks nothing of the target.
    if (local.rule.name === "local_type_id") return resolveValue(local, local);

    root.candidates ??= this.#finder.find(local.rootTypeId);
    const { resolution, matched } = resolveCandidates(local, root.candidates, this.#budget);
    if (matched.length > 0) root.candidates = matched;
    return resolution;
  }

  #rootOf(typeId: number): LocalRoot {
    let root = this.#roots.get(typeId);
    if (root === undefined) {
      root = { candidates: undefined, resolved: new Map() };
      this.#roots.set(typeId, root);
    }
    return root;
  }

  /** Tells of any error of ours which instruction and which relocation it is about. */
  #explain(error: unknown, record: CoreRelocationRecord): unknown {
    if (!(error instanceof BpfkitError)) return error;
    return new CoreRelocationError("CORE_INVALID", `${this.#describe(record)}: ${error.reason}`, {
      offset: record.insnOffset,
      hint: error.hint,
      cause: error,
    });
  }

  /** The record as text, as far as it makes sense. */
  #describe(record: CoreRelocationRecord): string {
    const { kind, typeId, accessOffset } = record;
    const local = this.#local;
    return (
      attempt(() => formatSpec(parseAccessSpec(local, ruleOf(record), typeId, local.string(accessOffset)))) ??
      attempt(() => `${formatRoot(local, ruleOf(record), typeId)} + ${JSON.stringify(local.string(accessOffset))}`) ??
      `record of kind ${kind} for type [${typeId}] with its access string at ${accessOffset}`
    );
  }
}

function attempt(format: () => string): string | undefined {
  try {
    return format();
  } catch (error) {
    if (error instanceof BpfkitError) return undefined;
    throw error;
  }
}

/** libbpf.md 4.1: a multiple of 8, inside the instructions. */
function insnIndexOf(insns: Uint8Array, { insnOffset }: CoreRelocationRecord): number {
  const index = insnOffset / INSN_SIZE;
  if (!Number.isInteger(index) || index < 0 || insnOffset + INSN_SIZE > insns.length) {
    throw new CoreRelocationError("CORE_INVALID", `no instruction at this offset of ${insns.length} bytes`);
  }
  return index;
}

function ruleOf({ kind }: CoreRelocationRecord): KindRule {
  const rule = kindRules[kind];
  if (rule === undefined) throw new CoreRelocationError("CORE_INVALID", `unknown kind ${kind}`);
  return rule;
}

/**
 * The common answer of all candidates that match (libbpf.md 4.9), or of none. Where they disagree about the field's
 * place or the value, any choice might be wrong: CoreRelocationError.
 */
function resolveCandidates(
  local: AccessSpec,
  candidates: readonly Candidate[],
  budget: MatchBudget,
): { readonly resolution: Resolution; readonly matched: Candidate[] } {
  const matched: Candidate[] = [];
  let first: { readonly target: AccessSpec; readonly resolution: Resolution } | undefined;
  for (const candidate of candidates) {
    const target = matchCandidate(local, candidate, budget);
    if (target === undefined) continue;
    const resolution = resolveValue(local, target);
    first ??= { target, resolution };
    if (target.bitOffset !== first.target.bitOffset || resolution.value !== first.resolution.value) {
      throw new CoreRelocationError(
        "CORE_INVALID",
        `ambiguous, the target's types disagree: ${formatSpec(first.target)} gives ${first.resolution.value}, ` +
          `${formatSpec(target)} gives ${resolution.value}`,
      );
    }
    matched.push(candidate);
  }
  const resolution = first?.resolution ?? resolveValue(local, undefined);
  const target = first?.target;
  log.debug(
    () =>
      `CO-RE ${formatSpec(local)}: ${matched.length} of ${candidates.length} candidates match` +
      `${target === undefined ? "" : `, ${formatSpec(target)}`}: ${resolution.poison ? "poison" : resolution.value}`,
  );
  return { resolution, matched };
}

function matchCandidate(local: AccessSpec, { btf, id }: Candidate, budget: MatchBudget): AccessSpec | undefined {
  switch (local.rule.subject) {
    case "field":
      return matchField(local, btf, id);
    case "enumerator":
      return matchEnumerator(local, btf, id);
    case "type":
      return matchType(local, btf, id, budget);
  }
}
