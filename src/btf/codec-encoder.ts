// Values to bytes: one closure per field, which checks the value's type and range before it writes. A key of a hash map
// is compared byte by byte, so everything that the value does not say (padding, ends of strings, left-out members)
// becomes zero: writers find their bytes zeroed.

import { writeBits } from "./codec-bits.js";
import type { Interpreter } from "./codec-interpreter.js";
import { describeValue, nearNames, pathStep } from "./codec-messages.js";
import type { Field, IntPlan, Part, Plan } from "./codec-plan.js";
import { type ArrayPlan, type BitsPlan, type Choice, type CompositePlan, fieldsOf } from "./codec-plan.js";
import { utf8, writeAscii, writeBytes, writeZeros } from "./codec-strings.js";
import { type BtfValue, unionBytes } from "./codec-value.js";
import { LOW, s64, u64, words } from "./codec-words.js";
import { liveStates } from "./live-state.js";

/** Writes a value to bytes that are zero. @throws Misfit */
export type Writer = (view: DataView, offset: number, value: unknown) => void;

/** A value that does not fit, on its way up to where its whole path is known. */
export class Misfit {
  /** `.pos[3].x`, grown from the right. */
  path = "";
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

type Members = { readonly [name: string]: unknown };
/** Writes those members of a struct or union that a value has. */
type PartWriter = (view: DataView, offset: number, members: Members) => void;

/** Makes the writer of each plan once. */
export class Encoder {
  readonly #littleEndian: boolean;
  readonly #interpreter: Interpreter;
  readonly #writers = new Map<Plan, Writer>();

  /** @param interpreter of the same byte order: it reads back what overlapping union members wrote */
  constructor(littleEndian: boolean, interpreter: Interpreter) {
    this.#littleEndian = littleEndian;
    this.#interpreter = interpreter;
  }

  writer(plan: Plan): Writer {
    let writer = this.#writers.get(plan);
    if (writer === undefined) {
      writer = this.#make(plan);
      this.#writers.set(plan, writer);
    }
    return writer;
  }

  #make(plan: Plan): Writer {
    const little = this.#littleEndian;
    switch (plan.kind) {
      case "int":
        return intWriter(plan, little);
      case "bool": {
        const { size } = plan;
        const at = little ? 0 : size - 1;
        return (view, offset, value) => view.setUint8(offset + at, truth(value));
      }
      case "float":
        if (plan.size === 4) return (view, offset, value) => view.setFloat32(offset, float32(value), little);
        return (view, offset, value) => view.setFloat64(offset, float(value), little);
      case "bits":
        return bitsWriter(plan);
      case "text":
        return (view, offset, value) => {
          if (typeof value === "string" && writeAscii(view, offset, value, plan.size)) return;
          writeBytes(view, offset, textBytes(value, plan.size));
        };
      case "bytes":
        return (view, offset, value) => writeBytes(view, offset, byteArray(value, plan.size));
      case "array":
        return this.#array(plan);
      case "struct":
      case "union":
        return this.#composite(plan);
    }
  }

  #array({ element, count }: ArrayPlan): Writer {
    const write = this.writer(element);
    return (view, offset, value) => {
      if (!isList(value, element)) throw expected("an array", value);
      if (value.length > count) throw new Misfit(`${value.length} elements do not fit in an array of ${count}`);
      for (let i = 0; i < value.length; i++) {
        try {
          write(view, offset + i * element.size, value[i]);
        } catch (error) {
          throw inside(`[${i}]`, error);
        }
      }
    };
  }

  #composite(plan: CompositePlan): Writer {
    const { kind, label, size } = plan;
    const names = new Set(plan.fields.map(({ name }) => name));
    const isGiven = hasAny(plan.fields);
    const writeParts = this.#parts(plan.parts);
    return (view, offset, value) => {
      const bytes = rawBytes(value) ?? liveBytes(value, plan);
      if (bytes !== undefined) {
        if (bytes.length !== size) throw new Misfit(`${bytes.length} bytes are not the ${size} bytes of ${label}`);
        writeBytes(view, offset, bytes);
        return;
      }
      if (typeof value !== "object" || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
        throw expected(`an object (${label})`, value);
      }
      const members = value as Members;
      for (const name of Object.keys(members)) {
        if (!names.has(name))
          throw new Misfit(`${label} has no member ${JSON.stringify(name)}${nearNames(name, names)}`);
      }
      if (names.size > 0 && !isGiven(members)) {
        // A Map, a Promise that was not awaited: all zeros is not what was meant.
        if (!isPlain(members)) throw expected(`an object with members of ${label}`, value);
        if (kind === "union") throw new Misfit(`${label} needs one of its members${nearNames("", names)}`);
      }
      writeParts(view, offset, members);
    };
  }

  #parts(parts: readonly Part[]): PartWriter {
    const writers = parts.map((part) => ("plan" in part ? this.#field(part) : this.#choice(part)));
    return (view, offset, members) => {
      for (const write of writers) write(view, offset, members);
    };
  }

  #field({ name, offset: at, plan }: Field): PartWriter {
    const write = this.writer(plan);
    const get = getter(name);
    return (view, offset, members) => {
      const value = get(members);
      if (value === undefined) return;
      try {
        write(view, offset + at, value);
      } catch (error) {
        throw inside(pathStep(name), error);
      }
    };
  }

  /**
   * One member of a union decides its bytes. A value that was decoded has them all, though, and shall be encodable
   * again: so several may be given if one of them, alone, makes all the others read as they were given.
   */
  #choice({ start, end, alternatives }: Choice): PartWriter {
    const options = alternatives.map((parts) => {
      const fields = fieldsOf(parts);
      return { fields, isGiven: hasAny(fields), write: this.#parts(parts) };
    });
    return (view, offset, members) => {
      const given = options.filter((option) => option.isGiven(members));
      if (given.length < 2) {
        given[0]?.write(view, offset, members);
        return;
      }
      const drafts = given.map(({ fields, write }) => {
        const draft = new DataView(new ArrayBuffer(end - start));
        write(draft, -start, members);
        return { draft, fields: fields.filter(({ name }) => getter(name)(members) !== undefined) };
      });
      const decisive = drafts.find(({ draft }) =>
        drafts.every((other) => other.fields.every((field) => this.#readsSame(field, start, draft, other.draft))),
      );
      if (decisive === undefined) {
        const names = drafts.flatMap(({ fields }) => fields.map(({ name }) => name));
        throw new Misfit(`${names.join(", ")} share storage and disagree; give only one of them`);
      }
      writeBytes(view, offset + start, new Uint8Array(decisive.draft.buffer));
    };
  }

  #readsSame(field: Field, start: number, a: DataView, b: DataView): boolean {
    if (a === b) return true;
    const read = this.#interpreter.reader(field.plan);
    return isSame(read(a, field.offset - start), read(b, field.offset - start));
  }
}

/** Arrays, and typed arrays where the elements are numbers; bytes are only those of bytes, not of wider numbers. */
function isList(value: unknown, { kind, size }: Plan): value is ArrayLike<unknown> {
  if (Array.isArray(value)) return true;
  if (!ArrayBuffer.isView(value) || value instanceof DataView || (kind !== "int" && kind !== "float")) return false;
  return size === 1 || !(value instanceof Uint8Array);
}

/** True for equal outcomes of one reader. */
function isSame(a: BtfValue, b: BtfValue): boolean {
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) return Object.is(a, b);
  const left = rawBytes(a) ?? Object.values(a);
  const right = rawBytes(b) ?? Object.values(b);
  for (let i = 0; i < left.length; i++) if (!isSame(left[i] as BtfValue, right[i] as BtfValue)) return false;
  return left.length === right.length;
}

/** The bytes of a Uint8Array, and those of a decoded union unless members were put on top of it. */
function rawBytes(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, unionBytes)) return undefined;
  const bytes = (value as { readonly [unionBytes]: unknown })[unionBytes];
  return bytes instanceof Uint8Array && Object.keys(value).length === 0 ? bytes : undefined;
}

/** The bytes of a live view of the same type: members of unions that overlap need not agree then. */
function liveBytes(value: unknown, { label, size }: CompositePlan): Uint8Array | undefined {
  const live = typeof value === "object" && value !== null ? liveStates.get(value) : undefined;
  const plan = live?.plan;
  if (live === undefined || plan === undefined || !("label" in plan)) return undefined;
  return plan.label === label && plan.size === size ? live.bytes() : undefined;
}

/** Reads a member; what every object inherits (`constructor`, `toString`) is not one. */
function getter(name: string): (members: Members) => unknown {
  if (!(name in Object.prototype)) return (members) => members[name];
  return (members) => (Object.hasOwn(members, name) ? members[name] : undefined);
}

/** An object literal of any realm, or one without a prototype. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function hasAny(fields: readonly Field[]): (members: Members) => boolean {
  const getters = fields.map(({ name }) => getter(name));
  return (members) => getters.some((get) => get(members) !== undefined);
}

function intWriter({ size, signed, result, label }: IntPlan, little: boolean): Writer {
  const bits = size * 8;
  if (size <= 4) {
    const { min, max } = numberRange(bits, signed);
    const check = (value: unknown): number => integerNumber(value, min, max, label);
    // The two's complement of a negative number is what the unsigned setters write.
    if (size === 1) return (view, offset, value) => view.setUint8(offset, check(value));
    if (size === 2) return (view, offset, value) => view.setUint16(offset, check(value), little);
    return (view, offset, value) => view.setUint32(offset, check(value), little);
  }
  const { min, max } = bigRange(bits, signed);
  const check = (value: unknown): bigint => integerBig(value, min, max, label, result === "number");
  if (size === 8) return longWriter(signed, little, check);
  return (view, offset, value) => {
    const integer = check(value);
    view.setBigUint64(little ? offset : offset + 8, BigInt.asUintN(64, integer), little);
    view.setBigUint64(little ? offset + 8 : offset, BigInt.asUintN(64, integer >> 64n), little);
  };
}

/** 64 bits: what comes back as it was given fits; `check` is asked about everything else. */
function longWriter(signed: boolean, little: boolean, check: (value: unknown) => bigint): Writer {
  const given = signed ? s64 : u64;
  const low = little ? 0 : 4;
  return (view, offset, value) => {
    if (typeof value === "bigint") given[0] = value;
    if (given[0] !== value) given[0] = check(value);
    view.setUint32(offset + low, words[LOW]!, little);
    view.setUint32(offset + 4 - low, words[1 - LOW]!, little);
  };
}

function bitsWriter({ slot, signed, result }: BitsPlan): Writer {
  if (result === "boolean") return (view, offset, value) => writeBits(view, offset, slot, BigInt(truth(value)));
  const { min, max } = bigRange(slot.bits, signed);
  const label = `${slot.bits} ${signed ? "signed " : ""}bit${slot.bits === 1 ? "" : "s"}`;
  return (view, offset, value) =>
    writeBits(view, offset, slot, integerBig(value, min, max, label, result === "number"));
}

function numberRange(bits: number, signed: boolean): { min: number; max: number } {
  return signed ? { min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 } : { min: 0, max: 2 ** bits - 1 };
}

function bigRange(bits: number, signed: boolean): { min: bigint; max: bigint } {
  const span = 1n << BigInt(signed ? bits - 1 : bits);
  return { min: signed ? -span : 0n, max: span - 1n };
}

function integerNumber(value: unknown, min: number, max: number, label: string): number {
  if (typeof value === "number") {
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw unfit(value, label, min, max);
  }
  if (typeof value !== "bigint") throw expected(`an integer (${label})`, value);
  if (value >= min && value <= max) return Number(value);
  throw unfit(value, label, min, max);
}

/** @param rounded accept numbers beyond 2^53 as the integer they denote, because decoding makes such numbers */
function integerBig(value: unknown, min: bigint, max: bigint, label: string, rounded: boolean): bigint {
  let integer: bigint;
  if (typeof value === "bigint") {
    integer = value;
  } else if (typeof value === "number") {
    if (!Number.isInteger(value)) throw unfit(value, label, min, max);
    if (!rounded && !Number.isSafeInteger(value)) {
      throw new Misfit(`${value} is beyond the exact integers of a number; give a bigint`);
    }
    integer = BigInt(value);
  } else {
    throw expected(`an integer (${label})`, value);
  }
  if (integer < min || integer > max) throw unfit(value, label, min, max);
  return integer;
}

function truth(value: unknown): 0 | 1 {
  if (value === true || value === 1 || value === 1n) return 1;
  if (value === false || value === 0 || value === 0n) return 0;
  throw expected("a boolean", value);
}

function float(value: unknown): number {
  if (typeof value === "number") return value;
  if (typeof value === "bigint" && BigInt(Number(value)) === value) return Number(value);
  throw expected("a number", value);
}

function float32(value: unknown): number {
  const number = float(value);
  if (Number.isFinite(number) && !Number.isFinite(Math.fround(number))) {
    throw new Misfit(`${number} does not fit in float`);
  }
  return number;
}

function textBytes(value: unknown, size: number): Uint8Array {
  if (value instanceof Uint8Array) return byteArray(value, size);
  if (typeof value !== "string") throw expected("a string or a Uint8Array", value);
  const nul = value.indexOf("\0");
  if (nul >= 0) throw new Misfit(`the string has a NUL at index ${nul}, where char[${size}] would end`);
  const half = value.search(/\p{Surrogate}/u);
  if (half >= 0) throw new Misfit(`the string has half a surrogate pair at index ${half}, which UTF-8 cannot write`);
  // The length in UTF-16 units is never more than the one in UTF-8: no need to encode what cannot fit.
  const bytes = value.length > size ? undefined : utf8(value);
  if (bytes === undefined || bytes.length > size) {
    throw new Misfit(`${describeValue(value)} does not fit in char[${size}] (UTF-8)`);
  }
  return bytes;
}

function byteArray(value: unknown, size: number): Uint8Array {
  if (!(value instanceof Uint8Array)) throw expected("a Uint8Array", value);
  if (value.length > size) throw new Misfit(`${value.length} bytes do not fit in ${size}`);
  return value;
}

function unfit(value: number | bigint, label: string, min: number | bigint, max: number | bigint): Misfit {
  return new Misfit(`${value} does not fit in ${label} (${min} … ${max})`);
}

function expected(what: string, value: unknown): Misfit {
  return new Misfit(`expected ${what}, got ${describeValue(value)}`);
}

function inside(step: string, error: unknown): unknown {
  if (error instanceof Misfit) error.path = step + error.path;
  return error;
}

/** Zeroes the bytes of a plan before its writer runs; scalars write all of theirs anyway, bitfields have neighbours. */
export function clear(plan: Plan, view: DataView, offset: number): void {
  if (plan.kind !== "int" && plan.kind !== "float" && plan.kind !== "bits") writeZeros(view, offset, plan.size);
}
