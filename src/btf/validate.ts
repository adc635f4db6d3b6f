// Two passes over the words of the type section: the first finds where each type begins, the second checks every
// reference. After them no reader can leave the section, name a type that does not exist or a string that is not there.

import { BtfKind } from "./types.js";
import { COMMON_WORDS, invalidBtf, kindOfInfo, type RecordSizes, UNKNOWN_SIZE, vlenOfInfo } from "./wire.js";

/**
 * Word index of every type, in order of ids.
 *
 * @param typeStart byte offset of the type section, for errors
 * @throws BtfError `BTF_INVALID` when a type is of unknown size or exceeds the section
 */
export function indexTypes(words: Uint32Array, sizes: RecordSizes, firstId: number, typeStart: number): Uint32Array {
  const { fixed, element } = sizes;
  // Every type has at least three words, which bounds the table; the copy at the end has the exact size.
  const offsets = new Uint32Array(Math.floor(words.length / COMMON_WORDS));
  let count = 0;
  let at = 0;
  while (at < words.length) {
    if (words.length - at < COMMON_WORDS) {
      throw invalidBtf(`type ${firstId + count} exceeds the type section`, typeStart + at * 4);
    }
    const info = words[at + 1]!;
    const kind = kindOfInfo(info);
    if (fixed[kind] === UNKNOWN_SIZE) {
      throw invalidBtf(`type ${firstId + count} has unknown kind ${kind}`, typeStart + at * 4 + 4);
    }
    const next = at + COMMON_WORDS + fixed[kind]! + element[kind]! * vlenOfInfo(info);
    if (next > words.length) {
      throw invalidBtf(
        `type ${firstId + count} (kind ${kind}, vlen ${vlenOfInfo(info)}) exceeds the type section`,
        typeStart + at * 4,
      );
    }
    offsets[count++] = at;
    at = next;
  }
  return offsets.slice(0, count);
}

// What a kind refers to besides its own name.
const TYPE = 1; // third word is a type id
const ARRAY = 2; // words 3 and 4 are type ids
const NAME_AND_TYPE = 4; // elements begin with a name and a type id
const NAME = 8; // elements begin with a name
const ID = 16; // elements begin with a type id
const LINKED_FUNC = 32; // refers to a FUNC_PROTO, vlen is a linkage
const LINKED_VAR = 64; // word 3 is a linkage

const roles = new Uint8Array(128);
const rolesByKind: Readonly<Record<number, number>> = {
  [BtfKind.Ptr]: TYPE,
  [BtfKind.Typedef]: TYPE,
  [BtfKind.Volatile]: TYPE,
  [BtfKind.Const]: TYPE,
  [BtfKind.Restrict]: TYPE,
  [BtfKind.TypeTag]: TYPE,
  [BtfKind.DeclTag]: TYPE,
  [BtfKind.Func]: TYPE | LINKED_FUNC,
  [BtfKind.Var]: TYPE | LINKED_VAR,
  [BtfKind.Array]: ARRAY,
  [BtfKind.Struct]: NAME_AND_TYPE,
  [BtfKind.Union]: NAME_AND_TYPE,
  [BtfKind.FuncProto]: TYPE | NAME_AND_TYPE,
  [BtfKind.Enum]: NAME,
  [BtfKind.Enum64]: NAME,
  [BtfKind.DataSec]: ID,
};
for (const [kind, role] of Object.entries(rolesByKind)) roles[Number(kind)] = role;

/** What {@link checkReferences} checks against. */
export interface ReferenceBounds {
  readonly sizes: RecordSizes;
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
  const { typeCount, stringEnd, firstId, baseKind } = bounds;
  const { fixed, element } = bounds.sizes;

  const fail = (index: number, word: number, what: string): never => {
    const reason = `type ${firstId + index}: ${what} ${words[word]} is out of range`;
    throw invalidBtf(reason, bounds.typeStart + word * 4);
  };
  const checkName = (index: number, word: number): void => {
    if (words[word]! >= stringEnd) fail(index, word, "name offset");
  };
  const checkType = (index: number, word: number): void => {
    if (words[word]! >= typeCount) fail(index, word, "type id");
  };

  for (let index = 0; index < offsets.length; index++) {
    const at = offsets[index]!;
    const info = words[at + 1]!;
    const kind = kindOfInfo(info);
    const role = roles[kind]!;
    checkName(index, at);
    if (role & TYPE) checkType(index, at + 2);
    const body = at + COMMON_WORDS + fixed[kind]!;
    if (role & (NAME_AND_TYPE | NAME | ID)) {
      const stride = element[kind]!;
      const end = body + vlenOfInfo(info) * stride;
      for (let word = body; word < end; word += stride) {
        if (role & ID) checkType(index, word);
        else checkName(index, word);
        if (role & NAME_AND_TYPE) checkType(index, word + 1);
      }
    } else if (role & ARRAY) {
      checkType(index, at + 3);
      checkType(index, at + 4);
    } else if (role & LINKED_FUNC) {
      if (vlenOfInfo(info) > 2) fail(index, at + 1, "linkage in the info word");
      const target = words[at + 2]!;
      const targetKind = target < firstId ? baseKind(target) : kindOfInfo(words[offsets[target - firstId]! + 1]!);
      if (targetKind !== BtfKind.FuncProto) {
        throw invalidBtf(
          `type ${firstId + index}: function refers to type ${target}, which is no FUNC_PROTO`,
          bounds.typeStart + at * 4 + 8,
        );
      }
    } else if (role & LINKED_VAR && words[at + 3]! > 2) {
      fail(index, at + 3, "linkage");
    }
  }
}
