// What global variables are besides plain values: views that can be written through, and what can be written to them.

/**
 * Values that encode as a `T`: integers of either type, text as bytes, structs with members left out (they become zero),
 * unions with one member, arrays with fewer elements, structs and unions as bytes of the whole.
 */
export type ValueInput<T> = T extends number | bigint
  ? T | number | bigint
  : T extends string
    ? T | Uint8Array
    : T extends boolean | Uint8Array
      ? T
      : T extends readonly (infer E)[]
        ? readonly ValueInput<E>[]
        : T extends object
          ? Uint8Array | { readonly [M in keyof T]?: ValueInput<T[M]> }
          : T;

/** A live view of a `T` in the memory of a program: members and elements can be set one by one. */
export type Live<T> = T extends Uint8Array
  ? T
  : T extends readonly (infer E)[]
    ? Live<E>[]
    : T extends object
      ? { -readonly [M in keyof T]: Live<T[M]> }
      : T;
