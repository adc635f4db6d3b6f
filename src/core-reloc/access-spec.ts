// A record's access string, resolved against BTF: the path from a root type to the field or enumerator that the
// relocation is about (libbpf.md 4.3). The same shape describes the path found in a candidate (match-field.ts).

import type { Btf, BtfArray } from "../btf/index.js";
import { CoreRelocationError } from "../errors.js";
import type { KindRule } from "./kinds.js";

/** Numbers in one access string, and members passed on the way through a candidate (libbpf.md 4.3, 4.5). */
const MAX_STEPS = 64;

/** The first number beyond what a relocation can express; libbpf counts bits in 32 bits and would wrap. */
const MAX_BIT_OFFSET = 2 ** 32 - 1;

/** One step of a path that other types can be searched for: a named member, an array index, or an enumerator. */
export interface Accessor {
  /** Member or enumerator: the type that declares it. Array index: the element type. Modifiers and typedefs skipped. */
  readonly typeId: number;
  /** Index of the member, element or enumerator. */
  readonly index: number;
  /** Undefined for array indices, among them the first accessor of every field path. */
  readonly name: string | undefined;
}

/** A path from a root type to what the relocation asks about, in the local or in a target BTF. */
export interface AccessSpec {
  readonly btf: Btf;
  readonly rule: KindRule;
  readonly rootTypeId: number;
  /** Empty for the type-based kinds. Steps through anonymous members leave no accessor. */
  readonly accessors: readonly Accessor[];
  /** Every step as a number, anonymous members included. */
  readonly raw: readonly number[];
  /** Of the end of the path from the start of the root, in bits. */
  readonly bitOffset: number;
}

/**
 * Resolves the access string `text` of a relocation of local type `typeId`.
 *
 * Throws CoreRelocationError when the string breaks the rules of its kind or leaves the type, BtfError on damaged BTF.
 * libbpf: `bpf_core_parse_spec`.
 */
export function parseAccessSpec(btf: Btf, rule: KindRule, typeId: number, text: string): AccessSpec {
  switch (rule.subject) {
    case "type":
      btf.kindOf(typeId); // local_type_id looks no further, and an id that does not exist is wrong even there
      if (text !== "0") throw invalid(`type-based kinds need the access string "0"`);
      return { btf, rule, rootTypeId: typeId, accessors: [], raw: [], bitOffset: 0 };
    case "enumerator":
      return parseEnumerator(btf, rule, typeId, parseNumbers(text));
    case "field":
      return parseField(btf, rule, typeId, parseNumbers(text));
  }
}

/** libbpf.md 4.3 rule 1. Only digits: the signs and blanks that sscanf would take are refused too. */
function parseNumbers(text: string): number[] {
  const numbers: number[] = [];
  let current = -1;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : COLON;
    if (code === COLON) {
      if (current < 0) throw invalid("empty number in the access string");
      pushStep(numbers, current);
      current = -1;
    } else {
      const digit = code - DIGIT_0;
      if (digit < 0 || digit > 9) throw invalid("the access string is no list of decimal numbers");
      current = (current < 0 ? 0 : current * 10) + digit;
      if (current > 0x7fff_ffff) throw invalid("number in the access string out of range");
    }
  }
  return numbers;
}

const COLON = ":".charCodeAt(0);
const DIGIT_0 = "0".charCodeAt(0);

/** libbpf.md 4.3 rule 2, second half. */
function parseEnumerator(btf: Btf, rule: KindRule, rootTypeId: number, raw: number[]): AccessSpec {
  const typeId = btf.resolve(rootTypeId);
  const type = btf.type(typeId);
  const index = raw[0]!;
  if (raw.length !== 1) throw invalid("enumerator kinds need exactly one number as access string");
  if (type.kind !== "enum" && type.kind !== "enum64") throw invalid("the type is no enum");
  const enumerator = type.values[index];
  if (enumerator === undefined) throw invalid(`enumerator ${index} of ${type.values.length}`);
  return { btf, rule, rootTypeId, accessors: [{ typeId, index, name: enumerator.name }], raw, bitOffset: 0 };
}

/** libbpf.md 4.3 rules 3 and 4. */
function parseField(btf: Btf, rule: KindRule, rootTypeId: number, raw: number[]): AccessSpec {
  let typeId = btf.resolve(rootTypeId);
  let last: Accessor = { typeId, index: raw[0]!, name: undefined };
  const accessors = [last];
  let bitOffset = addBits(0, raw[0]! * btf.sizeOf(typeId) * 8);

  for (let step = 1; step < raw.length; step++) {
    const index = raw[step]!;
    const type = btf.type(typeId);
    if (type.kind === "struct" || type.kind === "union") {
      const member = type.members[index];
      if (member === undefined) throw invalid(`step ${step}: member ${index} of ${type.members.length}`);
      bitOffset = addBits(bitOffset, member.bitOffset);
      if (member.name !== "") {
        last = { typeId, index, name: member.name };
        accessors.push(last);
      }
      typeId = btf.resolve(member.type);
    } else if (type.kind === "array") {
      if (index >= type.count && !isFlexibleArray(btf, last, type)) {
        throw invalid(`step ${step}: element ${index} of an array of ${type.count}`);
      }
      typeId = btf.resolve(type.elementType);
      bitOffset = addBits(bitOffset, index * btf.sizeOf(typeId) * 8);
      last = { typeId, index, name: undefined };
      accessors.push(last);
    } else {
      throw invalid(`step ${step}: a type of kind ${type.kind} has no parts`);
    }
  }
  return { btf, rule, rootTypeId, accessors, raw, bitOffset };
}

/**
 * Whether `array`, reached by `accessor`, may be indexed beyond its count: it has no elements and is the last member of
 * its struct or union (libbpf.md 4.3 rule 3, 4.5 rule 3). libbpf: `is_flex_arr`.
 */
export function isFlexibleArray(btf: Btf, accessor: Accessor, array: BtfArray): boolean {
  return array.count === 0 && accessor.name !== undefined && accessor.index === btf.vlenOf(accessor.typeId) - 1;
}

/** Appends a step to a raw path; CoreRelocationError when there are more than 64. */
export function pushStep(raw: number[], index: number): void {
  if (raw.length === MAX_STEPS) throw invalid(`more than ${MAX_STEPS} steps`);
  raw.push(index);
}

/** Adds `bits` to a bit offset; CoreRelocationError when the field lies beyond 512 MiB. */
export function addBits(bitOffset: number, bits: number): number {
  const sum = bitOffset + bits;
  if (sum > MAX_BIT_OFFSET) throw invalid("the field's offset is out of range");
  return sum;
}

function invalid(reason: string): CoreRelocationError {
  return new CoreRelocationError("CORE_INVALID", reason);
}
