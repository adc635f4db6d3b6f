// What an event is in JavaScript: a value of the C type that the user names, or a copy of its bytes.

import { recordCodec } from "../btf/index.js";
import { ValueError } from "../errors.js";
import type { BpfMap } from "../map/index.js";

/** Options of readers of events. */
export interface EventTypeOptions {
  /**
   * Name of the C type of every record (struct, union or typedef) in the object's BTF. Without it, records come as
   * `Uint8Array` copies.
   */
  type?: string | undefined;
  /** 64-bit integers as `bigint`, or as `number`, exact up to 2^53; by default as the map says (`map.int64`). */
  int64?: "bigint" | "number" | undefined;
}

/** Makes an event of the record at `offset`, `length` bytes long. Both views are of the same memory. */
export type EventDecoder<T> = (bytes: Uint8Array, view: DataView, offset: number, length: number) => T;

/** @throws BtfError when the object has no such type */
export function eventDecoder<T>(map: BpfMap, options: EventTypeOptions): EventDecoder<T> {
  const { type, int64 = map.int64 } = options;
  if (type === undefined) return (bytes, _view, offset, length) => bytes.slice(offset, offset + length) as T;
  const codec = recordCodec(map.btf, type, { int64 }, { map: map.name });
  const { size, flexible, decode } = codec;
  return (_bytes, view, offset, length) => {
    if (length < size) throw tooShort(length, size, map.name);
    return (flexible ? codec.decodeRecord(view, offset, length) : decode(view, offset)) as T;
  };
}

function tooShort(length: number, size: number, map: string): ValueError {
  return new ValueError("VALUE", `a record of ${length} bytes is shorter than its type (${size} bytes)`, {
    map,
    hint: "does the program submit another struct than the one given as type?",
  });
}
