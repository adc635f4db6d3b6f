// What a value may be written as, which is more than what reading it gives, and what it is as a live view. Types only; the
// encoders (codec-encoder.ts) and live views (live.ts) say the same.

import type { BtfValue } from "./codec-value.js";
import type { Words } from "./live-words.js";

/** A loaded map or program, a link: what has a descriptor. */
export type HasDescriptor = {
  readonly fd: number;
};

/** What the kernel is given as a descriptor: its number, or the map, program or link that owns it. */
export type Descriptor = number | HasDescriptor;

/** Values of a type that is known at run time only. */
export type AnyInput =
  | BtfValue
  | HasDescriptor
  | Words
  | readonly AnyInput[]
  | { readonly [member: string]: AnyInput | undefined };

/**
 * Values that encode as a `T`: integers of either type, text as bytes, structs with members left out (they become zero),
 * unions with one member, arrays with fewer elements and those of numbers as typed arrays, structs and unions as bytes of
 * the whole.
 */
export type ValueInput<T> = BtfValue extends T
  ? AnyInput
  : T extends number | bigint
    ? T | number | bigint
    : T extends string
      ? T | Uint8Array
      : T extends boolean | Uint8Array
        ? T
        : T extends readonly (infer E)[]
          ? readonly ValueInput<E>[] | (E extends number | bigint ? Words : never)
          : T extends object
            ? HasDescriptor extends T
              ? T
              : Uint8Array | { readonly [M in keyof T]?: ValueInput<T[M]> }
            : T;

/**
 * A live view of a `T` in the memory of a program: members and elements can be set one by one, to what reading gives.
 *
 * Views take more, any {@link ValueInput}, where what is left out becomes zero. A mapped type cannot say that, for it has
 * one type for reading and setting; generated skeletons declare such views member by member (`LiveConfig` for
 * `struct config`). Elements of arrays have one type there, too: `Object.assign(view.list[0], { member: 1 })` sets members
 * of one and keeps the others.
 */
export type Live<T> = T extends Uint8Array
  ? T
  : T extends readonly (infer E)[]
    ? Live<E>[]
    : T extends object
      ? { -readonly [M in keyof T]: Live<T[M]> }
      : T;
