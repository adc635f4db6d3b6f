// Damage to ELF files: numbers in tables, whole sections cut, grown, exchanged or taken from another file, and damaged
// type information inside a file that is otherwise sound.

import { mutateBtf } from "./mutate-btf.js";
import { LARGEST, mutateBlindly, mutatePlace, pick } from "./mutate-bytes.js";
import { littleEndianElf, type Part, partsOf } from "./places.js";
import type { Random } from "./target.js";

/** The file with other contents of a section, put at its end. */
function withSection(bytes: Uint8Array, part: Part, contents: Uint8Array): Uint8Array {
  const fits = contents.length <= part.size;
  const at = fits ? part.offset : Math.ceil(bytes.length / 8) * 8;
  if (at + contents.length > LARGEST) return bytes;
  const result = new Uint8Array(fits ? bytes.length : at + contents.length);
  result.set(bytes);
  result.set(contents, at);
  const view = new DataView(result.buffer);
  view.setBigUint64(part.header + 24, BigInt(at), littleEndianElf(bytes));
  view.setBigUint64(part.header + 32, BigInt(contents.length), littleEndianElf(bytes));
  return result;
}

function resized(bytes: Uint8Array, random: Random): Uint8Array {
  const part = pick(partsOf(bytes), random);
  if (part === undefined || part.type === 8) return bytes;
  const contents = bytes.slice(part.offset, part.offset + part.size);
  const unit = pick([1, 4, 8, 16, 24], random) * (1 + random(4));
  if (random(2) === 0) return withSection(bytes, part, contents.subarray(0, Math.max(0, part.size - unit)));
  const grown = new Uint8Array(contents.length * (random(16) === 0 ? 20 : 1) + unit);
  for (let at = 0; at < grown.length && contents.length > 0; at += contents.length) {
    grown.set(contents.subarray(0, grown.length - at), at);
  }
  return withSection(bytes, part, grown);
}

/** Names, types, places and sizes change owners. */
function exchanged(bytes: Uint8Array, random: Random): Uint8Array {
  const parts = partsOf(bytes);
  if (parts.length < 2) return bytes;
  const copy = bytes.slice();
  const [a, b] = [pick(parts, random).header, pick(parts, random).header];
  const [from, to] = pick(
    [
      [0, 4],
      [4, 8],
      [8, 16],
      [24, 40],
      [40, 48],
      [0, 64],
    ] as const,
    random,
  );
  copy.set(bytes.subarray(a + from, a + to), b + from);
  if (random(2) === 0) copy.set(bytes.subarray(b + from, b + to), a + from);
  return copy;
}

/** A section of the same name, or any, from another file. */
function transplanted(bytes: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  const donors = partsOf(other).filter(({ type, size }) => type !== 8 && size > 0);
  const parts = partsOf(bytes);
  if (donors.length === 0 || parts.length === 0) return bytes;
  const donor = pick(donors, random);
  const part = (random(4) > 0 ? parts.find(({ name }) => name === donor.name) : undefined) ?? pick(parts, random);
  return withSection(bytes, part, other.subarray(donor.offset, donor.offset + donor.size));
}

function withDamagedTypes(bytes: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  const part = partsOf(bytes).find(({ name }) => name === ".BTF");
  if (part === undefined) return mutateBlindly(bytes, random, other);
  return withSection(bytes, part, mutateBtf(bytes.slice(part.offset, part.offset + part.size), random, other));
}

/** Characters of names, sections' and symbols' and types'. */
function withOddNames(bytes: Uint8Array, random: Random): Uint8Array {
  const tables = partsOf(bytes).filter(({ type, name }) => type === 3 || name === ".BTF");
  if (tables.length === 0) return bytes;
  const { offset, size } = pick(tables, random);
  const copy = bytes.slice();
  for (let changes = 1 + random(4); changes > 0; changes--) {
    copy[offset + random(size)] = pick(
      [0, 0x2e, 0x2f, 0x3f, 0x3a, 0x2b, 0x2a, 0x5f, 0xff, 0x0a, 0x41 + random(26)],
      random,
    );
  }
  return copy;
}

/** A damaged copy of an object. */
export function mutateObject(bytes: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  let result = bytes;
  for (let rounds = 1 + random(3); rounds > 0; rounds--) {
    switch (random(12)) {
      case 0:
        result = resized(result, random);
        break;
      case 1:
        result = exchanged(result, random);
        break;
      case 2:
        result = transplanted(result, random, other);
        break;
      case 3:
        result = withOddNames(result, random);
        break;
      case 4:
        result = mutateBlindly(result, random, other);
        break;
      case 5:
      case 6:
      case 7:
        result = withDamagedTypes(result, random, other);
        break;
      default: {
        const copy = result.slice();
        for (let changes = 1 + random(4); changes > 0; changes--) mutatePlace(copy, result, random);
        result = copy;
      }
    }
  }
  return result.length > LARGEST ? bytes : result;
}
