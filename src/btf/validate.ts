// Two passes over the words of the type section: the first finds where each type begins, the second checks every
// reference. After them no reader can leave the section, name a type that does not exist or a string that is not there.

import type { BtfError } from "../errors.js";
import { BtfKind, BtfLinkage } from "./types.js";
import { COMMON_WORDS, invalidBtf, kindOfInfo, MAX_VLEN, type RecordSizes, UNKNOWN_SIZE, vlenOfInfo } from "./wire.js";

/**
 * Word index of every type, in order of ids.
 *
 * @param typeStart byte offset of the type section, for errors
 * @throws BtfError `BTF_INVALID` when a type is of unknown size or exceeds the section
 */
export function indexTypes(words: Uint32Array, sizes: RecordSizes, firstId: number, typeStart: number): Uint32Array {
  const { fixed, element } = sizes;
  const length = words.length;
  // Every type has at least three words, which bounds the table; the copy at the end has the exact size.
  const offsets = new Uint32Array(Math.floor(length / COMMON_WORDS));
  let count = 0;
  let at = 0;
  while (at < length) {
    // Integer arithmetic throughout (`| 0`, `imul`) is eight times as fast as what the engine does with a word above
    // 2^31. Nothing overflows: 2^30 words at most, and 63 × 2^24 in one type.
    const info = words[at + 1]! | 0;
    const kind = (info >>> 24) & 0x7f;
    const next = (at + COMMON_WORDS + fixed[kind]! + Math.imul(element[kind]!, info & MAX_VLEN)) | 0;
    if (next > length || fixed[kind] === UNKNOWN_SIZE) throw badRecord(words, at, sizes, firstId + count, typeStart);
    offsets[count++] = at;
    at = next;
  }
  return offsets.slice(0, count);
}

function badRecord(words: Uint32Array, at: number, sizes: RecordSizes, id: number, typeStart: number): BtfError {
  if (words.length - at < COMMON_WORDS) return invalidBtf(`type ${id} exceeds the type section`, typeStart + at * 4);
  const kind = kindOfInfo(words[at + 1]!);
  if (sizes.fixed[kind] === UNKNOWN_SIZE) {
    return invalidBtf(`type ${id} has unknown kind ${kind}`, typeStart + at * 4 + 4);
  }
  const vlen = vlenOfInfo(words[at + 1]!);
  return invalidBtf(`type ${id} (kind ${kind}, vlen ${vlen}) exceeds the type section`, typeStart + at * 4);
}

/** What {@link checkReferences} checks against. */
export interface ReferenceBounds {
  readonly firstId: number;
  /** Ids are below it. */
  readonly typeCount: number;
  /** String offsets are below it. */
  readonly stringEnd: number;
  /** Byte offset of the type section, for errors. */
  readonly typeStart: number;
  /** Kind of a type of the base. */
  readonly baseKind: (id: number) => number;
}

/**
 * The sanity pass of libbpf.md 5.1: every type id and name offset is in range, a FUNC refers to a FUNC_PROTO,
 * linkages are known ones. Types of kinds known by their layout only are not looked into.
 *
 * @throws BtfError `BTF_INVALID`
 */
export function checkReferences(words: Uint32Array, offsets: Uint32Array, bounds: ReferenceBounds): void {
  for (let index = 0; index < offsets.length; index++) {
    const at = offsets[index]!;
    const bad = badWord(words, at, bounds);
    if (bad >= 0) {
      const offset = bounds.typeStart + bad * 4;
      const what = bad === at ? "its name offset" : `word ${bad - at} of its record`;
      throw invalidBtf(`type ${bounds.firstId + index}: ${what}, ${words[bad]}, is out of range`, offset);
    }
    if (((words[at + 1]! | 0) & FUNC_MASK) === FUNC_INFO) checkFunc(words, offsets, index, bounds);
  }
}

/** Kind bits of the info word, and those of a FUNC. */
const FUNC_MASK = 0x7f000000;
const FUNC_INFO = BtfKind.Func << 24;

/** First word of the record at `at` that names a type, a string or a linkage that does not exist; -1 for none. */
function badWord(words: Uint32Array, at: number, { typeCount, stringEnd }: ReferenceBounds): number {
  if (words[at]! >= stringEnd) return at;
  const info = words[at + 1]! | 0;
  const vlen = info & MAX_VLEN;
  const body = at + COMMON_WORDS;
  switch ((info >>> 24) & 0x7f) {
    case BtfKind.Ptr:
    case BtfKind.Typedef:
    case BtfKind.Volatile:
    case BtfKind.Const:
    case BtfKind.Restrict:
    case BtfKind.TypeTag:
    case BtfKind.DeclTag:
    case BtfKind.Func:
      return words[at + 2]! < typeCount ? -1 : at + 2;
    case BtfKind.Var:
      if (words[at + 2]! >= typeCount) return at + 2;
      return words[body]! <= BtfLinkage.Extern ? -1 : body;
    case BtfKind.Array:
      return firstFrom(typeCount, words, body, body + 2, 1);
    case BtfKind.Struct:
    case BtfKind.Union: {
      const end = body + vlen * 3;
      const badName = firstFrom(stringEnd, words, body, end, 3);
      return badName >= 0 ? badName : firstFrom(typeCount, words, body + 1, end, 3);
    }
    case BtfKind.FuncProto: {
      if (words[at + 2]! >= typeCount) return at + 2;
      const end = body + vlen * 2;
      const badName = firstFrom(stringEnd, words, body, end, 2);
      return badName >= 0 ? badName : firstFrom(typeCount, words, body + 1, end, 2);
    }
    case BtfKind.Enum:
      return firstFrom(stringEnd, words, body, body + vlen * 2, 2);
    case BtfKind.Enum64:
      return firstFrom(stringEnd, words, body, body + vlen * 3, 3);
    case BtfKind.DataSec:
      return firstFrom(typeCount, words, body, body + vlen * 3, 3);
    default: // INT, FWD, FLOAT: nothing but the name
      return -1;
  }
}

/**
 * First of the words at `from`, `from + stride` … below `end` that is `limit` or more; -1 for none. Nearly all the
 * work of opening is done here, in a function small enough to be compiled early in the first call.
 */
function firstFrom(limit: number, words: Uint32Array, from: number, end: number, stride: number): number {
  for (let at = from; at < end; at += stride) if (words[at]! >= limit) return at;
  return -1;
}

function checkFunc(words: Uint32Array, offsets: Uint32Array, index: number, bounds: ReferenceBounds): void {
  const at = offsets[index]!;
  const { firstId } = bounds;
  const linkage = vlenOfInfo(words[at + 1]!);
  if (linkage > BtfLinkage.Extern) {
    throw invalidBtf(`type ${firstId + index}: function has linkage ${linkage}`, bounds.typeStart + at * 4 + 4);
  }
  const target = words[at + 2]!;
  const kind = target < firstId ? bounds.baseKind(target) : kindOfInfo(words[offsets[target - firstId]! + 1]!);
  if (kind !== BtfKind.FuncProto) {
    throw invalidBtf(
      `type ${firstId + index}: function refers to type ${target}, which is no FUNC_PROTO`,
      bounds.typeStart + at * 4 + 8,
    );
  }
}
