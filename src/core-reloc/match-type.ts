// Is a whole type of the target the same as a local one? Two measures: loose compatibility (libbpf.md 4.7: exists, size,
// id) and the stricter match (4.8: type_matches). Root names are compared before, by the search for candidates.

import {
  type Btf,
  type BtfComposite,
  type BtfEnum,
  type BtfEnum64,
  type BtfType,
  essentialName,
} from "../btf/index.js";
import { CoreRelocationError } from "../errors.js";
import type { AccessSpec } from "./access-spec.js";
import { areKindsCompatible } from "./candidates.js";

/** Pointers, arrays and return types followed in one chain (libbpf.md 4.7, 4.8). */
const MAX_LINKS = 32;
/** Function prototypes, or structs, nested in each other. */
const MAX_NESTING = 32;
/** Types and members looked at in one comparison. Real types need some hundreds; hostile ones could ask for 2^32. */
const MAX_WORK = 1 << 20;
/** The same in all comparisons of one relocator: every record could ask for another expensive one. */
const MAX_TOTAL_WORK = 1 << 23;

/** What the comparisons of one relocator may still cost together. */
export class MatchBudget {
  #left = MAX_TOTAL_WORK;

  /** @throws CoreRelocationError when nothing is left */
  spend(work: number): void {
    this.#left -= work;
    if (this.#left >= 0) return;
    throw new CoreRelocationError(
      "CORE_INVALID",
      "comparing the object's types with the target's takes unreasonably long",
    );
  }
}

/**
 * The candidate `rootTypeId` of `btf` as a path (without steps), or undefined when it is not the type that `local` means.
 * CoreRelocationError when the types are nested too deeply. libbpf: `bpf_core_spec_match`.
 */
export function matchType(
  local: AccessSpec,
  btf: Btf,
  rootTypeId: number,
  budget: MatchBudget,
): AccessSpec | undefined {
  const isSame = local.rule.name === "type_matches" ? typesMatch : typesAreCompatible;
  if (!isSame(local.btf, local.rootTypeId, btf, rootTypeId, budget)) return undefined;
  return { btf, rule: local.rule, rootTypeId, accessors: [], raw: [], bitOffset: 0 };
}

/** Two BTFs under comparison, and the work spent on it. */
class Comparison {
  readonly local: Btf;
  readonly target: Btf;
  readonly #budget: MatchBudget | undefined;
  #work = 0;

  constructor(local: Btf, target: Btf, budget: MatchBudget | undefined) {
    this.local = local;
    this.target = target;
    this.#budget = budget;
  }

  /** The two types, without modifiers and typedefs. */
  pair(localId: number, targetId: number): readonly [BtfType, BtfType] {
    this.spend(1);
    return [this.local.type(this.local.resolve(localId)), this.target.type(this.target.resolve(targetId))];
  }

  spend(work: number): void {
    this.#work += work;
    this.#budget?.spend(work);
    if (this.#work > MAX_WORK) throw tooComplex();
  }
}

function tooComplex(): CoreRelocationError {
  return new CoreRelocationError("CORE_INVALID", "the types are nested too deeply to be compared");
}

/**
 * Whether two types are compatible as types: same shape of pointers, arrays and prototypes, down to the first named
 * type, whose kind alone decides (libbpf.md 4.7). The names of the roots are not looked at.
 * CoreRelocationError when the nesting exceeds 32 levels. libbpf: `bpf_core_types_are_compat`.
 */
export function typesAreCompatible(
  localBtf: Btf,
  localId: number,
  targetBtf: Btf,
  targetId: number,
  budget?: MatchBudget,
): boolean {
  if (!areKindsCompatible(localBtf.kindOf(localId), targetBtf.kindOf(targetId))) return false;
  return compatible(new Comparison(localBtf, targetBtf, budget), localId, targetId, MAX_NESTING);
}

function compatible(comparison: Comparison, localTypeId: number, targetTypeId: number, nesting: number): boolean {
  let localId = localTypeId;
  let targetId = targetTypeId;
  for (let link = 0; link < MAX_LINKS; link++) {
    const [local, target] = comparison.pair(localId, targetId);
    switch (local.kind) {
      case "void":
      case "struct":
      case "union":
      case "fwd":
        return target.kind === local.kind;
      case "enum":
      case "enum64":
        return isEnum(target);
      case "int":
        return target.kind === "int" && local.bitOffset === 0 && target.bitOffset === 0;
      case "ptr":
        if (target.kind !== "ptr") return false;
        localId = local.type;
        targetId = target.type;
        break;
      case "array":
        if (target.kind !== "array") return false;
        localId = local.elementType;
        targetId = target.elementType;
        break;
      case "funcProto":
        if (target.kind !== "funcProto" || local.params.length !== target.params.length) return false;
        for (const [index, param] of local.params.entries()) {
          if (nesting === 0) throw tooComplex();
          if (!compatible(comparison, param.type, target.params[index]!.type, nesting - 1)) return false;
        }
        localId = local.returnType;
        targetId = target.returnType;
        break;
      default:
        return false;
    }
  }
  throw tooComplex();
}

/**
 * Whether the target type has everything that the local one declares: names at every level, sizes and signs of ints,
 * all local members and enumerators (libbpf.md 4.8). The names of the root's own typedefs are not looked at.
 * CoreRelocationError when the nesting exceeds 32 levels. libbpf: `bpf_core_types_match`.
 */
function typesMatch(localBtf: Btf, localId: number, targetBtf: Btf, targetId: number, budget: MatchBudget): boolean {
  return matches(new Comparison(localBtf, targetBtf, budget), localId, targetId, false, MAX_NESTING);
}

function matches(
  comparison: Comparison,
  localTypeId: number,
  targetTypeId: number,
  isBehindPointer: boolean,
  nesting: number,
): boolean {
  if (nesting === 0) throw tooComplex();
  let localId = localTypeId;
  let targetId = targetTypeId;
  let behindPointer = isBehindPointer;
  for (let link = 0; link < MAX_LINKS; link++) {
    const [local, target] = comparison.pair(localId, targetId);
    if (!namesMatch(local.name, target.name)) return false;
    switch (local.kind) {
      case "void":
        return target.kind === "void";
      case "int":
        return target.kind === "int" && local.size === target.size && local.signed === target.signed;
      case "enum":
      case "enum64":
        return isEnum(target) && enumsMatch(comparison, local, target);
      case "fwd":
        if (target.kind === "fwd") return local.union === target.union;
        return behindPointer && target.kind === (local.union ? "union" : "struct");
      case "struct":
      case "union":
        if (behindPointer && target.kind === "fwd") return target.union === (local.kind === "union");
        if (target.kind !== local.kind) return false;
        return behindPointer || compositesMatch(comparison, local, target, nesting);
      case "ptr":
        if (target.kind !== "ptr") return false;
        behindPointer = true;
        localId = local.type;
        targetId = target.type;
        break;
      case "array":
        if (target.kind !== "array" || local.count !== target.count) return false;
        localId = local.elementType;
        targetId = target.elementType;
        break;
      case "funcProto":
        if (target.kind !== "funcProto" || local.params.length !== target.params.length) return false;
        for (const [index, param] of local.params.entries()) {
          const targetParam = target.params[index]!;
          if (!matches(comparison, param.type, targetParam.type, behindPointer, nesting - 1)) return false;
        }
        localId = local.returnType;
        targetId = target.returnType;
        break;
      default:
        return false;
    }
  }
  throw tooComplex();
}

/** An anonymous target only matches an anonymous local; otherwise equal up to the flavor. */
function namesMatch(local: string, target: string): boolean {
  return target === "" ? local === "" : essentialName(local) === essentialName(target);
}

/** Same size, and every local enumerator exists in the target, whatever its value. */
function enumsMatch(comparison: Comparison, local: BtfEnum | BtfEnum64, target: BtfEnum | BtfEnum64): boolean {
  if (local.size !== target.size || local.values.length > target.values.length) return false;
  comparison.spend(local.values.length + target.values.length);
  const names = new Set(target.values.map(({ name }) => essentialName(name)));
  return local.values.every(({ name }) => names.has(essentialName(name)));
}

/** Every local member exists by name in the target, with a matching type. Several anonymous ones may share a partner. */
function compositesMatch(comparison: Comparison, local: BtfComposite, target: BtfComposite, nesting: number): boolean {
  if (local.members.length > target.members.length) return false;
  comparison.spend(local.members.length + target.members.length);
  const typesByName = new Map<string, number[]>();
  for (const { name, type } of target.members) {
    const types = typesByName.get(essentialName(name));
    if (types === undefined) typesByName.set(essentialName(name), [type]);
    else types.push(type);
  }
  return local.members.every(({ name, type }) =>
    typesByName
      .get(essentialName(name))
      ?.some((targetType) => matches(comparison, type, targetType, false, nesting - 1)),
  );
}

function isEnum(type: BtfType): type is BtfEnum | BtfEnum64 {
  return type.kind === "enum" || type.kind === "enum64";
}
