// A value in memory, walked by its type: what both printers of values (format-value.ts, format-json.ts) read it with.

import { ValueError } from "../errors.js";
import type { Btf } from "./btf.js";
import { bitSlot, readWideBits } from "./codec-bits.js";
import { elementsIn, flexibleMember } from "./codec-flexible.js";
import { type Field, planType } from "./codec-plan.js";
import { type Bits, memberBits } from "./conventions.js";
import type { BtfArray, BtfComposite, BtfEnum, BtfEnum64, BtfType } from "./types.js";

/** What printers need of a {@link Btf}. */
export type PrintableTypes = Pick<Btf, "littleEndian" | "type" | "resolve">;

/** A part of a value: a member or an element. */
interface Part {
  /** As declared, modifiers and typedefs included. */
  readonly id: number;
  readonly type: BtfType;
  readonly at: Bits;
}

/** The memory of one value. */
export class ValueReader {
  readonly btf: PrintableTypes;
  readonly view: DataView;
  /** The type of the whole: of a variable, the one that its value has. */
  readonly id: number;
  /** The flexible array at the end, where the value has more bytes than its type. */
  readonly #flexible: { readonly member: Field; readonly count: number } | undefined;

  /**
   * @param length bytes of the value; those beyond its type's are the elements of a flexible array
   * @throws BtfError as planType, ValueError when there are fewer bytes than a value has
   */
  constructor(btf: PrintableTypes, typeId: number, bytes: Uint8Array, length: number | undefined) {
    // The plan has checked every offset, and bounded depth and work.
    const plan = planType(btf, typeId, {});
    const { size } = plan;
    if (bytes.length < size) throw new ValueError("VALUE", `a value has ${size} bytes, there are only ${bytes.length}`);
    if (length !== undefined && !(Number.isInteger(length) && length >= size && length <= bytes.length)) {
      throw new ValueError(
        "VALUE",
        `a length of ${length} is not within ${size} (the type) … ${bytes.length} (the bytes)`,
      );
    }
    const member = length === undefined ? undefined : flexibleMember(plan);
    if (member !== undefined && length !== undefined) {
      this.#flexible = { member, count: elementsIn(member, length) };
    }
    this.btf = btf;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const type = btf.type(typeId);
    this.id = type.kind === "var" ? type.type : typeId;
  }

  /** Without modifiers and typedefs. */
  type(id: number): BtfType {
    return this.btf.type(this.btf.resolve(id));
  }

  /** The members of a composite that begins at bit `start`, but not unnamed bitfields, which are padding. */
  *members({ members }: BtfComposite, start: number): Generator<Part & { readonly name: string }> {
    for (const member of members) {
      const { name, type: id } = member;
      const type = this.#filled(name, this.type(id), start + member.bitOffset);
      if (name === "" && type.kind !== "struct" && type.kind !== "union") continue;
      const { bitOffset, bitSize } = memberBits(member, type);
      yield { name, id, type, at: { bitOffset: start + bitOffset, bitSize } };
    }
  }

  /** The type, with as many elements as the value has where it is that of the flexible array. */
  #filled(name: string, type: BtfType, bitOffset: number): BtfType {
    if (type.kind !== "array" || this.#flexible === undefined) return type;
    const { member, count } = this.#flexible;
    return name === member.name && bitOffset === member.offset * 8 ? { ...type, count } : type;
  }

  /** The elements of an array that begins at bit `start`. */
  *elements({ elementType: id, count }: BtfArray, start: number): Generator<Part> {
    const { size } = planType(this.btf, id, {});
    const type = this.type(id);
    for (let i = 0; i < count; i++) yield { id, type, at: { bitOffset: start + i * size * 8, bitSize: 0 } };
  }

  /** An integer, enum or pointer. @param signed by default as the type says */
  integer(type: BtfType, { bitOffset, bitSize }: Bits, signed = "signed" in type && type.signed): bigint {
    const bits = bitSize > 0 ? bitSize : sizeOfScalar(type) * 8;
    return readWideBits(
      this.view,
      Math.floor(bitOffset / 8),
      bitSlot(bitOffset % 8, bits, this.btf.littleEndian),
      signed,
    );
  }

  /** A floating-point number; its bytes as `0x…`, as memory has them, where JavaScript has no type for the size. */
  float({ size }: { readonly size: number }, { bitOffset }: Bits): number | string {
    const offset = bitOffset / 8;
    if (size === 4) return this.view.getFloat32(offset, this.btf.littleEndian);
    if (size === 8) return this.view.getFloat64(offset, this.btf.littleEndian);
    return `0x${this.#bytes(offset, size).map(hexByte).join("")}`;
  }

  /** True when all bytes of a floating-point number are zero: those of -0 are not. */
  isZero({ size }: { readonly size: number }, { bitOffset }: Bits): boolean {
    return this.#bytes(bitOffset / 8, size).every((byte) => byte === 0);
  }

  #bytes(offset: number, size: number): number[] {
    return Array.from({ length: size }, (_, i) => this.view.getUint8(offset + i));
  }
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

function sizeOfScalar(type: BtfType): number {
  return type.kind === "ptr" ? 8 : "size" in type ? type.size : 0;
}

/** The first enumerator of this value. */
export function enumeratorOf(type: BtfEnum | BtfEnum64, value: bigint): string | undefined {
  for (const { name, value: candidate } of type.values) if (BigInt(candidate) === value) return name;
  return undefined;
}
