// A value in memory, walked by its type: what both printers of values (format-value.ts, format-json.ts) read it with.

import { ValueError } from "../errors.js";
import type { Btf } from "./btf.js";
import { bitSlot, readWideBits } from "./codec-bits.js";
import { planType } from "./codec-plan.js";
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

  /** @throws BtfError as planType, ValueError when there are fewer bytes than a value has */
  constructor(btf: PrintableTypes, typeId: number, bytes: Uint8Array) {
    // The plan has checked every offset, and bounded depth and work.
    const { size } = planType(btf, typeId, {});
    if (bytes.length < size) throw new ValueError("VALUE", `a value has ${size} bytes, there are only ${bytes.length}`);
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
      const type = this.type(id);
      if (name === "" && type.kind !== "struct" && type.kind !== "union") continue;
      const { bitOffset, bitSize } = memberBits(member, type);
      yield { name, id, type, at: { bitOffset: start + bitOffset, bitSize } };
    }
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
