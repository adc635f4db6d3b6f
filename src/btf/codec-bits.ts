// Bitfields. BTF counts bit offsets in memory order: from the least significant bit of a byte on little-endian machines,
// from the most significant one on big-endian machines. A field may start and end anywhere (packed structs straddle
// their units), so it is read from exactly the bytes it touches, never from its declared unit: nothing is over-read.

/** Where a bitfield sits inside the bytes it touches. */
export interface BitSlot {
  /** Bytes touched, 1 … 17. */
  readonly bytes: number;
  /** Width, 1 … 128. */
  readonly bits: number;
  /** Bits to the right of the field, once the bytes are one integer in the BTF's byte order. */
  readonly shift: number;
  readonly littleEndian: boolean;
}

/** The slot of a field of `bits` bits that begins `bit` bits (0 … 7) into its first byte. */
export function bitSlot(bit: number, bits: number, littleEndian: boolean): BitSlot {
  const bytes = Math.ceil((bit + bits) / 8);
  return { bytes, bits, shift: littleEndian ? bit : bytes * 8 - bit - bits, littleEndian };
}

/** True when the touched bytes fit in one 32-bit integer. */
export function isNarrow(slot: BitSlot): boolean {
  return slot.bytes <= 4;
}

/** Reads a narrow slot. */
export function readNarrowBits(view: DataView, offset: number, slot: BitSlot, signed: boolean): number {
  const { bits, shift } = slot;
  const unit = readUnit(view, offset, slot.bytes, slot.littleEndian);
  const top = unit << (32 - shift - bits);
  return signed ? top >> (32 - bits) : top >>> (32 - bits);
}

/** Reads any slot. */
export function readWideBits(view: DataView, offset: number, slot: BitSlot, signed: boolean): bigint {
  const value = readBigUnit(view, offset, slot) >> BigInt(slot.shift);
  return signed ? BigInt.asIntN(slot.bits, value) : BigInt.asUintN(slot.bits, value);
}

/** Writes the low bits of `value` into any slot; the neighbours keep theirs. */
export function writeBits(view: DataView, offset: number, slot: BitSlot, value: bigint): void {
  const shift = BigInt(slot.shift);
  const mask = ((1n << BigInt(slot.bits)) - 1n) << shift;
  let unit = (readBigUnit(view, offset, slot) & ~mask) | ((value << shift) & mask);
  for (let i = 0; i < slot.bytes; i++) {
    view.setUint8(offset + (slot.littleEndian ? i : slot.bytes - 1 - i), Number(unit & 0xffn));
    unit >>= 8n;
  }
}

function readUnit(view: DataView, offset: number, bytes: number, littleEndian: boolean): number {
  switch (bytes) {
    case 1:
      return view.getUint8(offset);
    case 2:
      return view.getUint16(offset, littleEndian);
    case 3:
      return littleEndian
        ? view.getUint16(offset, true) | (view.getUint8(offset + 2) << 16)
        : (view.getUint16(offset, false) << 8) | view.getUint8(offset + 2);
    default:
      return view.getUint32(offset, littleEndian);
  }
}

function readBigUnit(view: DataView, offset: number, slot: BitSlot): bigint {
  let unit = 0n;
  for (let i = 0; i < slot.bytes; i++) {
    unit = (unit << 8n) | BigInt(view.getUint8(offset + (slot.littleEndian ? slot.bytes - 1 - i : i)));
  }
  return unit;
}
