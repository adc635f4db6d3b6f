// Damage that knows nothing of the input's form, and damage to the numbers of places.ts.

import { isElf, littleEndianElf, placesOf } from "./places.js";
import type { Random } from "./target.js";

/** No input grows beyond this. */
export const LARGEST = 1 << 20;

/** Numbers at which counts, offsets and ids go wrong. */
const edges = [
  ...[0, 1, 2, 3, 4, 7, 8, 12, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 511, 512, 1023, 1024],
  ...[4095, 4096, 0x7fff, 0x8000, 0xffff, 0x10000, 0xffffff, 0x1000000, 0x3fffffff, 0x40000000],
  ...[0x7ffffff8, 0x7fffffff, 0x80000000, 0xfffffff0, 0xfffffffe, 0xffffffff],
] as const;
const edges64 = [
  ...[1n << 31n, 1n << 32n, (1n << 32n) + 8n, 1n << 33n, (1n << 53n) - 1n, 1n << 53n, (1n << 53n) + 1n],
  ...[1n << 62n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 8n, (1n << 64n) - 1n],
] as const;

/** One of `list`. */
export function pick<T>(list: readonly T[], random: Random): T {
  return list[random(list.length)]!;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function read(view: DataView, offset: number, size: number, little: boolean): bigint {
  if (size === 8) return view.getBigUint64(offset, little);
  return BigInt(
    size === 4 ? view.getUint32(offset, little) : size === 2 ? view.getUint16(offset, little) : view.getUint8(offset),
  );
}

function write(view: DataView, offset: number, size: number, value: bigint, little: boolean): void {
  if (size === 8) view.setBigUint64(offset, BigInt.asUintN(64, value), little);
  else if (size === 4) view.setUint32(offset, Number(BigInt.asUintN(32, value)), little);
  else if (size === 2) view.setUint16(offset, Number(BigInt.asUintN(16, value)), little);
  else view.setUint8(offset, Number(BigInt.asUintN(8, value)));
}

/** Puts an odd number into one of the places, in place. `places` are those of the input before it was copied. */
export function mutatePlace(copy: Uint8Array, source: Uint8Array, random: Random): void {
  const places = placesOf(source);
  if (places.length === 0) {
    flip(copy, random);
    return;
  }
  const { offset, size } = pick(places, random);
  if (offset + size > copy.length) return;
  const little = isElf(source) ? littleEndianElf(source) : source[0] !== 0xeb;
  const view = viewOf(copy);
  const now = read(view, offset, size, little);
  const value = (): bigint => {
    switch (random(6)) {
      case 0:
        return now + BigInt(pick([1, -1, 4, -4, 8, -8, 16, 24, 64, -64], random));
      case 1: {
        // Of another field of the same size: an id of another type, an offset of another section.
        const other = pick(places, random);
        return other.size === size && other.offset + size <= copy.length
          ? read(view, other.offset, size, little)
          : now ^ 1n;
      }
      case 2:
        return BigInt(random(256));
      case 3:
        return size === 8 ? pick(edges64, random) : BigInt(copy.length + random(3) - 1);
      case 4:
        return now ^ (1n << BigInt(random(size * 8)));
      default:
        return BigInt(pick(edges, random));
    }
  };
  write(view, offset, size, value(), little);
}

function flip(copy: Uint8Array, random: Random): void {
  if (copy.length > 0) copy[random(copy.length)]! ^= 1 << random(8);
}

/** Up to `length` bytes from somewhere in `bytes`. */
function piece(bytes: Uint8Array, random: Random, length: number): Uint8Array {
  const start = random(bytes.length + 1);
  return bytes.subarray(start, start + 1 + random(length));
}

/** `bytes` with `count` bytes at `at` replaced. */
export function replaced(bytes: Uint8Array, at: number, count: number, by: Uint8Array): Uint8Array {
  const result = new Uint8Array(bytes.length - count + by.length);
  result.set(bytes.subarray(0, at));
  result.set(by, at);
  result.set(bytes.subarray(at + count), at + by.length);
  return result;
}

/** One change that takes no notice of any form. */
export function mutateBlindly(bytes: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const at = random(copy.length + 1);
  const room = copy.length - at;
  switch (random(9)) {
    case 0:
      if (room > 0) copy[at] = random(256);
      return copy;
    case 1: {
      const size = pick([2, 4, 8] as const, random);
      const value = random(3) === 0 ? pick(edges64, random) : BigInt(pick(edges, random));
      if (room >= size) write(viewOf(copy), at, size, value, random(4) !== 0);
      return copy;
    }
    case 2:
      copy.set(piece(other, random, 64).subarray(0, room), at);
      return copy;
    case 3:
      copy.set(piece(copy.slice(), random, 256).subarray(0, room), at);
      return copy;
    case 4:
      return replaced(copy, at, Math.min(room, 1 + random(16)), new Uint8Array(0));
    case 5:
      return copy.length < LARGEST ? replaced(copy, at, 0, piece(other, random, 64)) : copy;
    case 6:
      return random(8) === 0 ? copy.subarray(0, at).slice() : copy;
    case 7:
      if (random(8) === 0) return replaced(copy, at, room, other.subarray(Math.min(at, other.length)));
      copy.fill(pick([0, 0xff, 0x20, 0x41], random), at, at + 1 + random(32));
      return copy;
    default:
      flip(copy, random);
      return copy;
  }
}
