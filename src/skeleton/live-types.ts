// What global variables are besides plain values: views that can be written through.

/** A live view of a `T` in the memory of a program: members and elements can be set one by one. */
export type Live<T> = T extends Uint8Array
  ? T
  : T extends readonly (infer E)[]
    ? Live<E>[]
    : T extends object
      ? { -readonly [M in keyof T]: Live<T[M]> }
      : T;
