// One type, from plain data to the words of the type section: the inverse of decode.ts. The data comes from callers,
// so every number is checked against the field that has to hold it.

import { ArgumentError } from "../errors.js";
import type { BtfMember, BtfType, BtfVoid } from "./types.js";
import { kindNumbers, MAX_VLEN } from "./wire.js";

type WithoutId<T> = T extends BtfType ? Omit<T, "id"> : never;

/** A type to be written: a {@link BtfType} without an id (one that is there is ignored). */
export type BtfTypeInput = WithoutId<Exclude<BtfType, BtfVoid>>;

/** A member to be written; `bitSize` may be left out when it is no bitfield. */
export type BtfMemberInput = Omit<BtfMember, "bitSize"> & { readonly bitSize?: number | undefined };

function integer(value: number, low: number, high: number, what: string): number {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new ArgumentError(`${what} is ${value}, not an integer from ${low} to ${high}`);
  }
  return value >>> 0;
}

const u32 = (value: number, what: string): number => integer(value, 0, 0xffffffff, what);

function enumerator64(value: bigint, signed: boolean, name: string): [low: number, high: number] {
  const stored = BigInt.asUintN(64, value);
  if ((signed ? BigInt.asIntN(64, value) : stored) !== value) {
    throw new ArgumentError(`enumerator ${name} is ${value}, outside of 64 ${signed ? "signed" : "unsigned"} bits`);
  }
  return [Number(stored & 0xffffffffn), Number(stored >> 32n)];
}

/**
 * Encodes one type.
 *
 * @param string gives the offset of a string, adding it when it is new
 * @throws ArgumentError when a number does not fit its field
 */
export function encodeType(type: BtfTypeInput, string: (text: string) => number): number[] {
  const name = string(type.name);
  const record = (third: number, vlen: number, flag: boolean, body: readonly number[] = []): number[] => {
    if (vlen > MAX_VLEN) throw new ArgumentError(`a type has ${vlen} elements; ${MAX_VLEN} are the most`);
    const info = ((flag ? 0x80000000 : 0) | (kindNumbers[type.kind] << 24) | vlen) >>> 0;
    return [name, info, third].concat(body); // no spread: a body can have millions of words
  };
  const reference = (id: number): number => u32(id, `type id in ${type.kind} '${type.name}'`);
  const size = (bytes: number): number => u32(bytes, `size of ${type.kind} '${type.name}'`);

  switch (type.kind) {
    case "int": {
      const encoding = (type.signed ? 1 : 0) | (type.char ? 2 : 0) | (type.bool ? 4 : 0);
      const offset = integer(type.bitOffset, 0, 255, `bit offset of int '${type.name}'`);
      const bits = integer(type.bits, 0, 255, `bits of int '${type.name}'`);
      return record(size(type.size), 0, false, [(encoding << 24) | (offset << 16) | bits]);
    }
    case "ptr":
    case "typedef":
    case "volatile":
    case "const":
    case "restrict":
      return record(reference(type.type), 0, false);
    case "typeTag":
      return record(reference(type.type), 0, type.attribute === true);
    case "array":
      return record(0, 0, false, [
        reference(type.elementType),
        reference(type.indexType),
        u32(type.count, "array length"),
      ]);
    case "struct":
    case "union": {
      const bitfields = type.members.some((member) => member.bitSize !== 0);
      const body = type.members.flatMap((member) => {
        const what = `bit offset of member '${member.name}'`;
        const bitOffset = integer(member.bitOffset, 0, bitfields ? 0xffffff : 0xffffffff, what);
        const bitSize = integer(member.bitSize, 0, 255, `bit size of member '${member.name}'`);
        return [
          string(member.name),
          reference(member.type),
          bitfields ? ((bitSize << 24) | bitOffset) >>> 0 : bitOffset,
        ];
      });
      return record(size(type.size), type.members.length, bitfields, body);
    }
    case "enum": {
      const [low, high] = type.signed ? [-0x80000000, 0x7fffffff] : [0, 0xffffffff];
      const body = type.values.flatMap(({ name, value }) => [
        string(name),
        integer(value, low, high, `enumerator ${name}`),
      ]);
      return record(size(type.size), type.values.length, type.signed, body);
    }
    case "enum64": {
      const body = type.values.flatMap(({ name, value }) => [string(name), ...enumerator64(value, type.signed, name)]);
      return record(size(type.size), type.values.length, type.signed, body);
    }
    case "fwd":
      return record(0, 0, type.union);
    case "func":
      return record(reference(type.type), integer(type.linkage, 0, 2, `linkage of function ${type.name}`), false);
    case "funcProto": {
      const body = type.params.flatMap((param) => [string(param.name), reference(param.type)]);
      return record(reference(type.returnType), type.params.length, false, body);
    }
    case "var": {
      const linkage = integer(type.linkage, 0, 2, `linkage of variable ${type.name}`);
      return record(reference(type.type), 0, false, [linkage]);
    }
    case "datasec": {
      const body = type.variables.flatMap((variable) => [
        reference(variable.type),
        u32(variable.offset, `offset in datasec ${type.name}`),
        u32(variable.size, `size in datasec ${type.name}`),
      ]);
      return record(size(type.size), type.variables.length, false, body);
    }
    case "float":
      return record(size(type.size), 0, false);
    case "declTag": {
      const component = integer(type.componentIndex, -1, 0x7fffffff, `component index of tag '${type.name}'`);
      return record(reference(type.type), 0, type.attribute === true, [component]);
    }
  }
}
