// What can be written where a value of a type is read: encoding takes more than decoding gives (compileCodec).

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
