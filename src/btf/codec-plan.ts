// From a BTF type to a plan: what lies at which byte, with every reference followed, every offset checked against its
// enclosing type and every bound enforced. Readers, writers and generated code are made from plans only, so that they
// need not distrust anything. Plans are shared between uses of a type: they form a graph without cycles, not a tree.

import { BtfError } from "../errors.js";
import type { Btf } from "./btf.js";
import { type BitSlot, bitSlot } from "./codec-bits.js";
import { arrayForm, memberBits } from "./conventions.js";
import type { BtfComposite, BtfInt, BtfMember, BtfType } from "./types.js";

/** What codecs need of a {@link Btf}. */
export type TypeSource = Pick<Btf, "littleEndian" | "type" | "resolve">;

/** How types become values. */
export interface CodecOptions {
  /**
   * What 64-bit integers decode to, `"bigint"` unless told otherwise. With `"number"`, values beyond ±2^53 are rounded
   * to the nearest double. Pointers and 128-bit integers are always bigints.
   */
  readonly int64?: "bigint" | "number" | undefined;
  /** `false` never generates code (the interpreter decodes instead); by default code is generated where allowed. */
  readonly codegen?: boolean | undefined;
}

interface Planned {
  /** Bytes. */
  readonly size: number;
  /** Nested types, this one included. */
  readonly height: number;
  /** Values that decoding makes, an upper bound. */
  readonly cost: number;
}
/** An integer, enum or pointer that fills its bytes. */
export interface IntPlan extends Planned {
  readonly kind: "int";
  readonly size: IntSize;
  readonly signed: boolean;
  readonly result: "number" | "bigint";
  /** For messages: `u8`, `enum color`, `pointer`. */
  readonly label: string;
}
export interface BoolPlan extends Planned {
  readonly kind: "bool";
  readonly size: 1 | 2 | 4;
}
export interface FloatPlan extends Planned {
  readonly kind: "float";
  readonly size: 4 | 8;
}
export interface BitsPlan extends Planned {
  readonly kind: "bits";
  readonly slot: BitSlot;
  readonly signed: boolean;
  readonly result: "number" | "bigint" | "boolean";
}
/** `char[N]`. */
export interface TextPlan extends Planned {
  readonly kind: "text";
}
/** `unsigned char[N]`, and floats that JavaScript has no type for (long double, _Float16). */
export interface BytesPlan extends Planned {
  readonly kind: "bytes";
}
export interface ArrayPlan extends Planned {
  readonly kind: "array";
  readonly element: Plan;
  readonly count: number;
}
export interface CompositePlan extends Planned {
  readonly kind: "struct" | "union";
  /** For messages: `struct event`. */
  readonly label: string;
  /** All members in order, those of anonymous members in place of these. */
  readonly fields: readonly Field[];
  /** The same members with the choices that anonymous unions leave. A union is one choice. */
  readonly parts: readonly Part[];
}
export type Plan = IntPlan | BoolPlan | FloatPlan | BitsPlan | TextPlan | BytesPlan | ArrayPlan | CompositePlan;
export type IntSize = 1 | 2 | 4 | 8 | 16;

export interface Field {
  readonly name: string;
  /** Bytes from the start of the enclosing plan. */
  readonly offset: number;
  readonly plan: Plan;
}
/** A union: of its alternatives, one counts. */
export interface Choice {
  /** First byte and the byte after the last one, from the start of the enclosing plan. */
  readonly start: number;
  readonly end: number;
  /** The parts of one union member each. More than one part, or none, where the member is an anonymous struct. */
  readonly alternatives: readonly (readonly Part[])[];
}
export type Part = Field | Choice;

/** The fields of `parts`, in order. */
export function fieldsOf(parts: readonly Part[]): Field[] {
  return parts.flatMap((part) => ("plan" in part ? part : part.alternatives.flatMap(fieldsOf)));
}

// Bounds: far beyond any type of the kernel, small enough that a hostile file costs neither seconds nor gigabytes.
const MAX_HEIGHT = 64;
const MAX_MEMBERS = 0x10000;
const MAX_SIZE = 0x7fff_ffff;
/** A value is at least a byte in any type that stores something; the rest is unions and empty structs. */
const MAX_COST_BASE = 0x10000;
const MAX_COST_PER_BYTE = 64;
const MAX_COST = 0x400_0000;

/** Plans the type `typeId`. @throws BtfError when it has no size, contradicts itself or exceeds a bound */
export function planType(btf: TypeSource, typeId: number, options: CodecOptions): Plan {
  const type = btf.type(typeId);
  return new Planner(btf, options.int64 ?? "bigint").plan(type.kind === "var" ? type.type : typeId, 1);
}

class Planner {
  readonly #btf: TypeSource;
  readonly #int64: "bigint" | "number";
  readonly #plans = new Map<number, Plan>();
  #members = 0;

  constructor(btf: TypeSource, int64: "bigint" | "number") {
    this.#btf = btf;
    this.#int64 = int64;
  }

  /** @param depth of nesting, 1 for the outermost type; what ends the recursion of types that contain themselves */
  plan(typeId: number, depth: number): Plan {
    const id = this.#btf.resolve(typeId);
    let plan = this.#plans.get(id);
    if (plan === undefined) {
      const type = this.#btf.type(id);
      if (depth > MAX_HEIGHT) throw invalid(`${labelOf(type)} is nested more than ${MAX_HEIGHT} deep`);
      plan = checkBounds(this.#planUncached(type, depth), type);
      this.#plans.set(id, plan);
    }
    return plan;
  }

  #planUncached(type: BtfType, depth: number): Plan {
    switch (type.kind) {
      case "int":
        return this.#int(type);
      case "enum":
      case "enum64":
        return this.#integer(intSize(type.size, type), type.signed, labelOf(type));
      case "ptr":
        return { kind: "int", size: 8, signed: false, result: "bigint", label: "pointer", ...leaf };
      case "float":
        if (type.size === 4 || type.size === 8) return { kind: "float", size: type.size, ...leaf };
        return { kind: "bytes", size: type.size, ...leaf };
      case "array":
        return this.#array(type.elementType, type.count, depth);
      case "struct":
      case "union":
        return this.#composite(type, depth);
      default:
        throw invalid(`${labelOf(type)} has no value: it is not a type with a size`);
    }
  }

  #int(type: BtfInt): Plan {
    if (type.bool && (type.size === 1 || type.size === 2 || type.size === 4)) {
      return { kind: "bool", size: type.size, ...leaf };
    }
    return this.#integer(intSize(type.size, type), type.signed, `${type.signed ? "s" : "u"}${type.size * 8}`);
  }

  #integer(size: IntSize, signed: boolean, label: string): IntPlan {
    return { kind: "int", size, signed, result: this.#resultOf(size), label, ...leaf };
  }

  #resultOf(size: number): "number" | "bigint" {
    return size <= 4 ? "number" : size === 8 ? this.#int64 : "bigint";
  }

  /** A bitfield that begins `bit` bits (0 … 7) into its first byte. */
  #bits(type: BtfType, bit: number, bits: number): BitsPlan {
    if (type.kind !== "int" && type.kind !== "enum" && type.kind !== "enum64") {
      throw invalid(`${labelOf(type)} cannot be the type of a bitfield`);
    }
    if (bits < 1 || bits > type.size * 8 || bits > 128) {
      throw invalid(`a bitfield of ${labelOf(type)} cannot be ${bits} bits wide`);
    }
    const slot = bitSlot(bit, bits, this.#btf.littleEndian);
    const result = type.kind === "int" && type.bool ? "boolean" : this.#resultOf(type.size);
    return { kind: "bits", size: slot.bytes, slot, signed: type.signed, result, ...leaf };
  }

  #array(elementType: number, count: number, depth: number): Plan {
    const element = this.#btf.type(this.#btf.resolve(elementType));
    const form = arrayForm(element);
    if (form !== "values") return { kind: form, size: count, ...leaf };
    const plan = this.plan(elementType, depth + 1);
    return {
      kind: "array",
      size: plan.size * count,
      element: plan,
      count,
      height: plan.height + 1,
      cost: plan.cost * count + 1,
    };
  }

  #composite(type: BtfComposite, depth: number): CompositePlan {
    const names = new Set<string>();
    const parts = this.#parts(type, 0, type, names, depth);
    const fields = fieldsOf(parts);
    return {
      kind: type.kind,
      label: labelOf(type),
      size: type.size,
      fields,
      parts,
      height: 1 + fields.reduce((most, { plan }) => Math.max(most, plan.height), 0),
      cost: 1 + fields.reduce((sum, { plan }) => sum + plan.cost, 0),
    };
  }

  /**
   * The parts of `type`, which begins at byte `start` of `outer`: `outer` itself, or anonymous inside it.
   * @param names of the members of `outer` so far
   */
  #parts(type: BtfComposite, start: number, outer: BtfComposite, names: Set<string>, depth: number): Part[] {
    if (depth > MAX_HEIGHT) throw invalid(`${labelOf(outer)} is nested more than ${MAX_HEIGHT} deep`);
    const alternatives: Part[][] = [];
    for (const member of type.members) {
      if (++this.#members > MAX_MEMBERS) throw invalid(`${labelOf(outer)} has more than ${MAX_MEMBERS} members`);
      const memberType = this.#btf.type(this.#btf.resolve(member.type));
      if (member.name !== "") {
        if (names.has(member.name)) throw invalid(`${labelOf(outer)} has two members ${JSON.stringify(member.name)}`);
        names.add(member.name);
        alternatives.push([this.#field(member, memberType, type, start, depth)]);
      } else if (memberType.kind === "struct" || memberType.kind === "union") {
        const offset = byteOffset(member, memberType.size, type);
        alternatives.push(this.#parts(memberType, start + offset, outer, names, depth + 1));
      }
      // Anything else without a name is padding, like `int : 4`.
    }
    return type.kind === "struct" ? alternatives.flat() : [{ start, end: start + type.size, alternatives }];
  }

  #field(member: BtfMember, memberType: BtfType, parent: BtfComposite, start: number, depth: number): Field {
    const { name } = member;
    const { bitOffset, bitSize } = memberBits(member, memberType);
    if (bitSize > 0) {
      if (bitOffset + bitSize > parent.size * 8) throw outside(member, parent);
      return { name, offset: start + Math.floor(bitOffset / 8), plan: this.#bits(memberType, bitOffset % 8, bitSize) };
    }
    const plan = this.plan(member.type, depth + 1);
    return { name, offset: start + byteOffset(member, plan.size, parent), plan };
  }
}

const leaf = { height: 1, cost: 1 } as const;

function checkBounds(plan: Plan, type: BtfType): Plan {
  if (plan.size > MAX_SIZE) throw invalid(`${labelOf(type)} has ${plan.size} bytes, more than a codec handles`);
  if (plan.height > MAX_HEIGHT) throw invalid(`${labelOf(type)} is nested more than ${MAX_HEIGHT} deep`);
  if (plan.cost > Math.min(MAX_COST, MAX_COST_BASE + MAX_COST_PER_BYTE * plan.size)) {
    throw invalid(`${labelOf(type)} would decode to ${plan.cost} values in ${plan.size} bytes`);
  }
  return plan;
}

function byteOffset(member: BtfMember, size: number, parent: BtfComposite): number {
  const offset = member.bitOffset / 8;
  if (!Number.isInteger(offset)) {
    throw invalid(`member ${JSON.stringify(member.name)} of ${labelOf(parent)} does not begin at a byte`);
  }
  if (offset + size > parent.size) throw outside(member, parent);
  return offset;
}

function outside(member: BtfMember, parent: BtfComposite): BtfError {
  return invalid(
    `member ${JSON.stringify(member.name)} of ${labelOf(parent)} ends after the ${parent.size} bytes of its parent`,
  );
}

function intSize(size: number, type: BtfType): IntSize {
  if (size === 1 || size === 2 || size === 4 || size === 8 || size === 16) return size;
  throw invalid(`${labelOf(type)} has ${size} bytes; integers have 1, 2, 4, 8 or 16`);
}

function labelOf(type: BtfType): string {
  return type.kind === "void" ? "void" : `${type.kind} ${type.name === "" ? `(type ${type.id})` : type.name}`;
}

function invalid(reason: string): BtfError {
  return new BtfError("BTF_INVALID", reason);
}
