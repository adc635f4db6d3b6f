// Values ⇄ bytes by BTF type. This file is the entry: it plans a type once and joins a reader (generated, or
// interpreted where code generation is forbidden) with a writer. Where what lies: codec-plan.ts.

import { ValueError } from "../errors.js";
import { clear, Encoder, Misfit } from "./codec-encoder.js";
import { flexibleMember, readFlexible, recordPlan } from "./codec-flexible.js";
import { canGenerate, generateReader } from "./codec-generator.js";
import { Interpreter } from "./codec-interpreter.js";
import { type CodecOptions, type Plan, planType, type TypeSource } from "./codec-plan.js";
import type { BtfValue, Reader } from "./codec-value.js";

export type { CodecOptions } from "./codec-plan.js";
export { type BtfValue, unionBytes } from "./codec-value.js";

/** Decodes and encodes the values of one BTF type. */
export interface BtfCodec {
  /** Bytes of a value. */
  readonly size: number;
  /** The value at `offset`. It stays valid when the bytes change. @throws ValueError when the view ends before `size` */
  decode(view: DataView, offset: number): BtfValue;
  /**
   * Writes `value` to the `size` bytes at `offset`; padding becomes zero.
   * @throws ValueError whose reason names the path of the field, after which the bytes at `offset` are unspecified
   */
  encode(view: DataView, offset: number, value: BtfValue): void;
}

/** The codec of a BTF type, which may end in a flexible array. */
export interface BtfTypeCodec extends BtfCodec {
  /** The type is a struct that ends in a flexible array (`char text[]`). */
  readonly flexible: boolean;
  /**
   * The value in `length` bytes at `offset`, of which there may be more than `size`: a flexible array at the end gets as
   * many elements as there is room for. @throws ValueError when `length` is less than `size`, or the view ends before
   */
  decodeRecord(view: DataView, offset: number, length: number): BtfValue;
  /**
   * Writes `value` to `length` bytes at `offset`, of which there may be more than `size`: those behind the struct are the
   * elements of the flexible array at its end, of which fewer may be given; the rest becomes zero.
   * @throws ValueError when the value does not fit, `length` is less than `size`, or the view ends before
   */
  encodeRecord(view: DataView, offset: number, length: number, value: BtfValue): void;
  /**
   * The codec of records that all have `length` bytes: make it once, and keep it. Of a type that has no flexible array it
   * is this one, whatever lies behind. @throws ValueError when `length` is less than `size`
   */
  ofLength(length: number): BtfCodec;
}

/**
 * Makes the codec of a BTF type, in the byte order of the BTF. Make it once per type and keep it.
 *
 * | C | decodes to | encodes from, besides |
 * | --- | --- | --- |
 * | integers to 32 bits, enum | number | bigint in range |
 * | 64-bit integers, enum of 64 bits | bigint, or number: see {@link CodecOptions.int64} | safe integers |
 * | `__int128`, pointers | bigint | safe integers |
 * | bool | boolean | 0 and 1 |
 * | float, double | number | |
 * | `char[N]` | string up to the NUL; wrong UTF-8 becomes U+FFFD | Uint8Array of at most N bytes |
 * | `unsigned char[N]` | Uint8Array, a copy | fewer than N bytes |
 * | other arrays | array | fewer than N elements; a typed array where they are numbers |
 * | struct | object with own properties in the order of the members | Uint8Array of the whole; members left out are zero |
 * | union | object with a getter per member over a copy of the bytes, these at `[unionBytes]` | object with one member; Uint8Array of the whole |
 * | bitfields | like their type | |
 * | long double, _Float16 | Uint8Array | |
 *
 * A string may fill all N bytes of `char[N]`, without a NUL, as `strncpy` would have it. Members of anonymous structs
 * and unions are members of their parent. Several members of one union may be given when they agree, as in a value that
 * was decoded; otherwise exactly one. Arrays of length zero at the end of a struct decode to no elements: `[]`, or the
 * empty string or Uint8Array of their row; see {@link BtfTypeCodec.decodeRecord}.
 *
 * @throws BtfError when the type has no size (void, datasec, functions, forward declarations), contradicts itself, or
 *   is too large: 2 GiB, 64 levels, 65536 members, 2^26 values
 */
export function compileCodec(btf: TypeSource, typeId: number, options: CodecOptions = {}): BtfTypeCodec {
  return codecOf(planType(btf, typeId, options), btf.littleEndian, options);
}

/** The codec of a plan. That of a bitfield leaves the bits around it as they are. */
export function codecOf(plan: Plan, littleEndian: boolean, options: CodecOptions = {}): BtfTypeCodec {
  const { size } = plan;
  const checkBounds = (view: DataView, offset: number): void => {
    if (offset >= 0 && offset + size <= view.byteLength) return;
    const range = `${size} bytes at offset ${offset}`;
    throw new ValueError("VALUE", `${range} do not lie within the ${view.byteLength} bytes given`);
  };
  const interpreter = new Interpreter(littleEndian);
  const read = interpreter.reader(plan);
  const write = new Encoder(littleEndian, interpreter).writer(plan);
  const interpreted: Reader = (view, offset) => {
    checkBounds(view, offset);
    return read(view, offset);
  };
  const generate = options.codegen !== false && canGenerate();
  const decode = (generate ? generateReader(plan, littleEndian, checkBounds) : undefined) ?? interpreted;
  const flexible = flexibleMember(plan);
  const ofLength = (length: number, more: CodecOptions): BtfCodec => {
    if (!Number.isInteger(length) || length < size) {
      throw new ValueError("VALUE", `${length} bytes hold no value of ${size}`);
    }
    if (flexible === undefined || plan.kind !== "struct") return codec;
    return codecOf(recordPlan(plan, flexible, length), littleEndian, { ...options, ...more });
  };
  const codec: BtfTypeCodec = {
    size,
    flexible: flexible !== undefined,
    decode,
    decodeRecord(view, offset, length) {
      if (length < size || offset + length > view.byteLength) {
        throw new ValueError("VALUE", `${length} bytes hold no value of ${size}`);
      }
      const value = decode(view, offset);
      if (flexible !== undefined) readFlexible(value, flexible, interpreter, view, offset, length);
      return value;
    },
    encodeRecord(view, offset, length, value) {
      // Records differ in length, so that code made for one would rarely be used again.
      ofLength(length, { codegen: false }).encode(view, offset, value);
    },
    ofLength: (length) => ofLength(length, {}),
    encode(view, offset, value) {
      checkBounds(view, offset);
      clear(plan, view, offset);
      try {
        write(view, offset, value);
      } catch (error) {
        if (!(error instanceof Misfit)) throw error;
        throw new ValueError("VALUE", `value${error.path}: ${error.reason}`);
      }
    },
  };
  return codec;
}
