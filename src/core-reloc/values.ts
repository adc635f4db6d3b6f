// What a relocation evaluates to, on the local side (what the compiler wrote) and on the target's (what is to be written
// instead): libbpf.md 4.2 for the value of each kind, 4.10 for bitfields, 4.11 for the size of a memory access.

import type { Btf, BtfComposite } from "../btf/index.js";
import { CoreRelocationError } from "../errors.js";
import type { AccessSpec } from "./access-spec.js";
import type { EnumeratorKindName, FieldKindName, TypeKindName } from "./kinds.js";

/** The decision for a record: what its instruction should hold now, and what is put there. */
export interface Resolution {
  /** No target matches and the kind has no value for that. */
  readonly poison: boolean;
  /** Computed from the local types; the instruction must hold it, unless `validate` is false. 64 bits, unsigned. */
  readonly original: bigint;
  /** Computed from the target types. 64 bits, unsigned. */
  readonly value: bigint;
  /**
   * `original` and `value` as signed numbers, the second cut to 32 bits: what a field of an instruction is compared and
   * filled with. Made once, because thousands of instructions ask for the same field.
   */
  readonly originalNumber: number;
  readonly valueNumber: number;
  readonly validate: boolean;
  /** Bytes that a load or store of the field moves, locally and in the target; equal when that is not to be changed. */
  readonly originalSize: number;
  readonly size: number;
  /** The sizes differ and a load or store of the target's size would not give the same number. */
  readonly sizeConflict: boolean;
}

/**
 * Evaluates a relocation against the path found in a candidate, or against none.
 *
 * The byte order is the local BTF's, that is the order of the machine the code was compiled for.
 * CoreRelocationError when the kind cannot be applied to such a field, BtfError for types without size.
 * libbpf: `bpf_core_calc_relo`.
 */
export function resolveValue(local: AccessSpec, target: AccessSpec | undefined): Resolution {
  const { littleEndian } = local.btf;
  const original = evaluate(local, littleEndian);
  const matched = target === undefined ? unmatched : evaluate(target, littleEndian);
  return {
    poison: target === undefined && local.rule.unmatched === "poison",
    original: original.value,
    value: matched.value,
    originalNumber: Number(BigInt.asIntN(64, original.value)),
    valueNumber: Number(BigInt.asIntN(32, matched.value)),
    validate: original.validate,
    originalSize: original.accessSize,
    size: matched.accessSize,
    sizeConflict:
      target !== undefined &&
      original.accessSize !== matched.accessSize &&
      !isZeroExtended(local.btf, original.accessTypeId, target.btf, matched.accessTypeId),
  };
}

/**
 * Whether a load of the target's size gives the same number as one of the local size would: both pointers, or both ints
 * that are not marked signed (libbpf.md 4.11; a signed char is marked char too and passes).
 */
function isZeroExtended(localBtf: Btf, localId: number, targetBtf: Btf, targetId: number): boolean {
  const [local, target] = [localBtf.type(localId), targetBtf.type(targetId)];
  if (local.kind === "ptr") return target.kind === "ptr";
  if (local.kind !== "int" || target.kind !== "int") return false;
  return [local, target].every((int) => !int.signed || int.char || int.bool);
}

/** One side of a relocation. */
interface Evaluation {
  readonly value: bigint;
  /** Whether the compiler is known to compute the same value from the local types. */
  readonly validate: boolean;
  /** Size and type of the field for libbpf.md 4.11; 0 where loads and stores keep their size. */
  readonly accessSize: number;
  readonly accessTypeId: number;
}

/** The target's side when there is none. */
const unmatched: Evaluation = { value: 0n, validate: false, accessSize: 0, accessTypeId: 0 };

function evaluate(spec: AccessSpec, littleEndian: boolean): Evaluation {
  const { rule } = spec;
  switch (rule.subject) {
    case "type":
      return plain(typeValue(spec, rule.name), rule.name !== "target_type_id" && rule.name !== "local_type_id");
    case "enumerator":
      return plain(enumeratorValue(spec, rule.name), true);
    case "field":
      return fieldValue(spec, rule.name, littleEndian);
  }
}

function plain(value: bigint, validate: boolean): Evaluation {
  return { value, validate, accessSize: 0, accessTypeId: 0 };
}

function typeValue(spec: AccessSpec, kind: TypeKindName): bigint {
  switch (kind) {
    case "type_exists":
    case "type_matches":
      return 1n;
    case "type_size":
      return BigInt(spec.btf.sizeOf(spec.rootTypeId));
    case "local_type_id":
    case "target_type_id":
      return BigInt(spec.rootTypeId);
  }
}

function enumeratorValue(spec: AccessSpec, kind: EnumeratorKindName): bigint {
  if (kind === "enumval_exists") return 1n;
  const { typeId, index } = spec.accessors[0]!;
  const type = spec.btf.type(typeId);
  if (type.kind === "enum64") return BigInt.asUintN(64, type.values[index]!.value);
  if (type.kind !== "enum") throw new CoreRelocationError("CORE_INVALID", "the type is no enum");
  // 32-bit values are sign-extended whatever the enum's sign.
  return BigInt.asUintN(64, BigInt(type.values[index]!.value | 0));
}

function fieldValue(spec: AccessSpec, kind: FieldKindName, littleEndian: boolean): Evaluation {
  if (kind === "field_exists") return plain(1n, true);
  const { typeId, index, name } = spec.accessors.at(-1)!;
  const composite = spec.btf.type(typeId);
  if (name === undefined || (composite.kind !== "struct" && composite.kind !== "union")) {
    return elementValue(spec, kind, typeId);
  }
  const field = layOut(spec, composite, index);
  const value = BigInt.asUintN(64, BigInt(fieldValues[kind](field, littleEndian)));
  // libbpf.md 4.10: the compiler may choose another unit for a bitfield, but not another sign or width.
  const validate = !field.isBitfield || kind === "signed" || kind === "rshift_u64";
  if (kind !== "byte_off" || field.isBitfield) return plain(value, validate);
  return { value, validate, accessSize: innermostElementSize(spec.btf, field.typeId), accessTypeId: field.typeId };
}

/** The end of the path is an array element, or the root itself. */
function elementValue(spec: AccessSpec, kind: FieldKindName, typeId: number): Evaluation {
  switch (kind) {
    case "byte_off": {
      const value = BigInt(Math.floor(spec.bitOffset / 8));
      return { value, validate: true, accessSize: innermostElementSize(spec.btf, typeId), accessTypeId: typeId };
    }
    case "byte_sz":
      return plain(BigInt(spec.btf.sizeOf(typeId)), true);
    default:
      throw new CoreRelocationError("CORE_INVALID", `${kind} cannot be applied to an array element`);
  }
}

function innermostElementSize(btf: Btf, typeId: number): number {
  let id = btf.resolve(typeId);
  // sizeOf bounds the depth; asked first, because a loop of arrays has no innermost element.
  const size = btf.sizeOf(id);
  let type = btf.type(id);
  if (type.kind !== "array") return size;
  while (type.kind === "array") {
    id = btf.resolve(type.elementType);
    type = btf.type(id);
  }
  return btf.sizeOf(id);
}

/** Where a field lies. For a bitfield, the bytes are those of the unit that a program loads to get at it. */
interface FieldLayout {
  /** Without modifiers and typedefs. */
  readonly typeId: number;
  readonly isBitfield: boolean;
  readonly isSigned: boolean;
  /** From the start of the root. */
  readonly bitOffset: number;
  readonly bitSize: number;
  readonly byteOffset: number;
  readonly byteSize: number;
}

const fieldValues: Record<
  Exclude<FieldKindName, "field_exists">,
  (field: FieldLayout, littleEndian: boolean) => number
> = {
  byte_off: (field) => field.byteOffset,
  byte_sz: (field) => field.byteSize,
  signed: (field) => (field.isSigned ? 1 : 0),
  // To the left until the field's highest bit is the highest of 64, then to the right until the lowest is bit 0.
  lshift_u64: (field, littleEndian) =>
    littleEndian
      ? 64 - (field.bitOffset + field.bitSize - field.byteOffset * 8)
      : (8 - field.byteSize) * 8 + (field.bitOffset - field.byteOffset * 8),
  rshift_u64: (field) => 64 - field.bitSize,
};

function layOut({ btf, bitOffset }: AccessSpec, composite: BtfComposite, index: number): FieldLayout {
  const member = composite.members[index]!;
  const typeId = btf.resolve(member.type);
  const type = btf.type(typeId);
  const isEnum = type.kind === "enum" || type.kind === "enum64";
  const isSigned = (type.kind === "int" || isEnum) && type.signed;
  if (member.bitSize === 0) {
    const byteSize = btf.sizeOf(typeId);
    const byteOffset = Math.floor(bitOffset / 8);
    return { typeId, isBitfield: false, isSigned, bitOffset, bitSize: byteSize * 8, byteOffset, byteSize };
  }

  // libbpf.md 4.10
  if ((type.kind !== "int" && !isEnum) || type.size === 0) {
    throw new CoreRelocationError("CORE_INVALID", `bitfield of kind ${type.kind}`);
  }
  const bitSize = member.bitSize;
  const unitOffset = (unit: number): number => Math.floor(bitOffset / 8 / unit) * unit;
  let byteSize = type.size;
  while (bitOffset + bitSize - unitOffset(byteSize) * 8 > byteSize * 8) {
    if (byteSize >= 8) throw new CoreRelocationError("CORE_INVALID", "the bitfield does not fit into an aligned u64");
    byteSize *= 2;
  }
  return { typeId, isBitfield: true, isSigned, bitOffset, bitSize, byteOffset: unitOffset(byteSize), byteSize };
}
