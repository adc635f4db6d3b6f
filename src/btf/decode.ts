// One type, from the words of the type section to plain data. Called for the types that someone asks for, on words
// that validate.ts has checked.

import type { BtfLinkageNumber, BtfType } from "./types.js";
import { BtfKind } from "./types.js";
import { flagOfInfo, invalidBtf, kindOfInfo, vlenOfInfo } from "./wire.js";

function list<T>(count: number, first: number, stride: number, make: (at: number) => T): T[] {
  const items = new Array<T>(count);
  for (let i = 0; i < count; i++) items[i] = make(first + i * stride);
  return items;
}

/**
 * Decodes the type whose record begins at word `at`.
 *
 * @param text decodes the string at an offset
 * @throws BtfError `BTF_INVALID` for a kind that only the layout section describes
 */
export function decodeType(words: Uint32Array, at: number, id: number, text: (offset: number) => string): BtfType {
  const name = text(words[at]!);
  const info = words[at + 1]!;
  const vlen = vlenOfInfo(info);
  const flag = flagOfInfo(info);
  const third = words[at + 2]!;
  const attribute = flag ? { attribute: true } : undefined;
  const kind = kindOfInfo(info);
  switch (kind) {
    case BtfKind.Void:
      return { kind: "void", id, name };
    case BtfKind.Int: {
      const encoding = words[at + 3]!;
      return {
        kind: "int",
        id,
        name,
        size: third,
        bits: encoding & 0xff,
        bitOffset: (encoding >>> 16) & 0xff,
        signed: (encoding & 0x1000000) !== 0,
        char: (encoding & 0x2000000) !== 0,
        bool: (encoding & 0x4000000) !== 0,
      };
    }
    case BtfKind.Ptr:
      return { kind: "ptr", id, name, type: third };
    case BtfKind.Array:
      return { kind: "array", id, name, elementType: words[at + 3]!, indexType: words[at + 4]!, count: words[at + 5]! };
    case BtfKind.Struct:
    case BtfKind.Union:
      return {
        kind: kind === BtfKind.Struct ? "struct" : "union",
        id,
        name,
        size: third,
        members: list(vlen, at + 3, 3, (word) => {
          const offset = words[word + 2]!;
          return {
            name: text(words[word]!),
            type: words[word + 1]!,
            bitOffset: flag ? offset & 0xffffff : offset,
            bitSize: flag ? offset >>> 24 : 0,
          };
        }),
      };
    case BtfKind.Enum:
      return {
        kind: "enum",
        id,
        name,
        size: third,
        signed: flag,
        values: list(vlen, at + 3, 2, (word) => {
          const value = words[word + 1]!;
          return { name: text(words[word]!), value: flag ? value | 0 : value };
        }),
      };
    case BtfKind.Enum64:
      return {
        kind: "enum64",
        id,
        name,
        size: third,
        signed: flag,
        values: list(vlen, at + 3, 3, (word) => {
          const value = (BigInt(words[word + 2]!) << 32n) | BigInt(words[word + 1]!);
          return { name: text(words[word]!), value: flag ? BigInt.asIntN(64, value) : value };
        }),
      };
    case BtfKind.Fwd:
      return { kind: "fwd", id, name, union: flag };
    case BtfKind.Typedef:
      return { kind: "typedef", id, name, type: third };
    case BtfKind.Volatile:
      return { kind: "volatile", id, name, type: third };
    case BtfKind.Const:
      return { kind: "const", id, name, type: third };
    case BtfKind.Restrict:
      return { kind: "restrict", id, name, type: third };
    case BtfKind.TypeTag:
      return { kind: "typeTag", id, name, type: third, ...attribute };
    case BtfKind.Func:
      return { kind: "func", id, name, type: third, linkage: vlen as BtfLinkageNumber };
    case BtfKind.FuncProto:
      return {
        kind: "funcProto",
        id,
        name,
        returnType: third,
        params: list(vlen, at + 3, 2, (word) => ({ name: text(words[word]!), type: words[word + 1]! })),
      };
    case BtfKind.Var:
      return { kind: "var", id, name, type: third, linkage: words[at + 3]! as BtfLinkageNumber };
    case BtfKind.DataSec:
      return {
        kind: "datasec",
        id,
        name,
        size: third,
        variables: list(vlen, at + 3, 3, (word) => ({
          type: words[word]!,
          offset: words[word + 1]!,
          size: words[word + 2]!,
        })),
      };
    case BtfKind.Float:
      return { kind: "float", id, name, size: third };
    case BtfKind.DeclTag:
      return { kind: "declTag", id, name, type: third, componentIndex: words[at + 3]! | 0, ...attribute };
    default:
      throw invalidBtf(`type ${id} is of kind ${kind satisfies never}, which this version does not know`);
  }
}
