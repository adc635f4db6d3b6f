// Does a candidate have the field that a local path names, and where? (libbpf.md 4.5, field compatibility 4.6)
// Members are found by name only, wherever they moved, through any nesting of anonymous structs and unions.

import { type Btf, type BtfMember, essentialName } from "../btf/index.js";
import { CoreRelocationError } from "../errors.js";
import { type Accessor, type AccessSpec, addBits, isFlexibleArray, pushStep } from "./access-spec.js";

/** Arrays of arrays that a compatibility check follows; valid BTF stays far below. */
const MAX_ARRAY_DEPTH = 32;

/**
 * The path of `local` inside the type `rootTypeId` of `btf`, or undefined when that type has no such field, or one of
 * an incompatible type. CoreRelocationError when the path gets too long or the offset too large, BtfError on damaged BTF.
 * libbpf: `bpf_core_spec_match`.
 */
export function matchField(local: AccessSpec, btf: Btf, rootTypeId: number): AccessSpec | undefined {
  const accessors: Accessor[] = [];
  const raw: number[] = [];
  let bitOffset = 0;
  let typeId = rootTypeId;
  let last: Accessor | undefined;

  for (const wanted of local.accessors) {
    typeId = btf.resolve(typeId);
    if (wanted.name !== undefined) {
      // rule 2
      const found = findMember(btf, typeId, wanted.name, raw, undefined);
      if (found === undefined) return undefined;
      if (!areFieldsCompatible(local.btf, memberType(local.btf, wanted), btf, found.member.type)) return undefined;
      bitOffset = addBits(bitOffset, found.bitOffset);
      last = { typeId: found.typeId, index: found.index, name: wanted.name };
      typeId = found.member.type;
    } else {
      // Rule 4: the first index moves by whole roots, so the root itself is the element. Rule 3 otherwise.
      if (last !== undefined) {
        const array = btf.type(typeId);
        if (array.kind !== "array") return undefined;
        if (wanted.index >= array.count && !isFlexibleArray(btf, last, array)) return undefined;
        typeId = btf.resolve(array.elementType);
      }
      pushStep(raw, wanted.index);
      bitOffset = addBits(bitOffset, wanted.index * btf.sizeOf(typeId) * 8);
      last = { typeId, index: wanted.index, name: undefined };
    }
    accessors.push(last);
  }
  return { btf, rule: local.rule, rootTypeId, accessors, raw, bitOffset };
}

interface FoundMember {
  /** The struct or union that declares the member, and the member's index there. */
  readonly typeId: number;
  readonly index: number;
  readonly member: BtfMember;
  /** From the start of the outermost struct of the search. */
  readonly bitOffset: number;
}

/**
 * The first member of that name, in order, looking into anonymous members on the way; the steps to it are appended to
 * `raw`. `barren` holds the anonymous types already searched in vain, which bounds the work on hostile BTF.
 */
function findMember(
  btf: Btf,
  typeId: number,
  name: string,
  raw: number[],
  barren: Set<number> | undefined,
): FoundMember | undefined {
  const type = btf.type(typeId);
  if (type.kind !== "struct" && type.kind !== "union") return undefined;
  const { members } = type;
  for (let index = 0; index < members.length; index++) {
    const member = members[index]!;
    if (member.name === name) {
      pushStep(raw, index);
      return { typeId, index, member, bitOffset: member.bitOffset };
    }
    if (member.name !== "") continue;
    const innerId = btf.resolve(member.type);
    if (barren?.has(innerId)) continue;
    barren ??= new Set();
    pushStep(raw, index);
    const found = findMember(btf, innerId, name, raw, barren);
    if (found !== undefined) return { ...found, bitOffset: found.bitOffset + member.bitOffset };
    raw.pop();
    barren.add(innerId);
  }
  return undefined;
}

function memberType(btf: Btf, accessor: Accessor): number {
  const type = btf.type(accessor.typeId);
  return type.kind === "struct" || type.kind === "union" ? type.members[accessor.index]!.type : 0;
}

/**
 * Whether a field of the target can stand for the local one: loose on purpose, since size and sign are relocated too
 * (libbpf.md 4.6). libbpf: `bpf_core_fields_are_compat`.
 */
function areFieldsCompatible(localBtf: Btf, localTypeId: number, targetBtf: Btf, targetTypeId: number): boolean {
  let localId = localTypeId;
  let targetId = targetTypeId;
  for (let depth = 0; depth < MAX_ARRAY_DEPTH; depth++) {
    const local = localBtf.type(localBtf.resolve(localId));
    const target = targetBtf.type(targetBtf.resolve(targetId));
    switch (local.kind) {
      case "struct":
      case "union":
        return target.kind === "struct" || target.kind === "union";
      case "ptr":
      case "float":
        return target.kind === local.kind;
      case "fwd":
        return target.kind === "fwd" && areNamesCompatible(local.name, target.name);
      case "enum":
      case "enum64":
        return (target.kind === "enum" || target.kind === "enum64") && areNamesCompatible(local.name, target.name);
      case "int":
        return target.kind === "int" && local.bitOffset === 0 && target.bitOffset === 0;
      case "array":
        if (target.kind !== "array") return false;
        localId = local.elementType;
        targetId = target.elementType;
        break;
      default:
        return false;
    }
  }
  throw new CoreRelocationError("CORE_INVALID", `arrays nested more than ${MAX_ARRAY_DEPTH} deep`);
}

/** Equal up to the flavor, or one of them anonymous. */
function areNamesCompatible(local: string, target: string): boolean {
  return local === "" || target === "" || essentialName(local) === essentialName(target);
}
