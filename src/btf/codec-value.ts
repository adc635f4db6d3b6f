// What a BTF type looks like as a JavaScript value. Unions are the one shape that needs a class: C does not say which
// member counts, so their bytes are kept and a member is decoded when somebody asks for it.

/** A decoded value, or one to encode; the table is at `compileCodec`. */
export type BtfValue =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | null
  | readonly BtfValue[]
  | { readonly [name: string]: BtfValue };

/** Decodes the value at a byte offset. Does not check bounds. */
export type Reader = (view: DataView, offset: number) => BtfValue;

/** The key of the bytes inside a decoded union. */
export const unionBytes: unique symbol = Symbol("bpfkit.unionBytes");

const inspectCustom = Symbol.for("nodejs.util.inspect.custom");

/**
 * A decoded union: one enumerable getter per member on the prototype, over a private copy of the bytes.
 *
 * Members appear in `for … in`, `JSON.stringify` and `console.log`, not in `Object.keys` (they are not own properties).
 * The only own property is `[unionBytes]`, so deep equality compares bytes and a spread copy still encodes to them.
 */
export class UnionValue {
  /** The bytes of the whole union. */
  readonly [unionBytes]: Uint8Array;
  // A DataView costs more than the rest of the object, and most unions are decoded without being looked at.
  #view: DataView | undefined = undefined;

  constructor(bytes: Uint8Array) {
    this[unionBytes] = bytes;
  }

  /** All members, decoded, as a plain object. */
  toJSON(): { readonly [name: string]: BtfValue } {
    return plainMembers(this);
  }

  [inspectCustom](): unknown {
    return plainMembers(this);
  }

  /** The bytes as a view; undefined when `holder` is no union (a getter called on the prototype itself). */
  static viewOf(holder: object): DataView | undefined {
    if (!(#view in holder)) return undefined;
    if (holder.#view === undefined) {
      const bytes = (holder as UnionValue)[unionBytes];
      holder.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    return holder.#view;
  }
}

function plainMembers(union: UnionValue): { readonly [name: string]: BtfValue } {
  const result: { [name: string]: BtfValue } = {};
  for (const name in union) setOwn(result, name, (union as unknown as { [name: string]: BtfValue })[name]!);
  return result;
}

/** The class of the values of one union type. A member's reader gets the offset inside the union. */
export function unionClass(
  members: readonly { readonly name: string; readonly offset: number; readonly read: Reader }[],
): new (
  bytes: Uint8Array,
) => UnionValue {
  class Union extends UnionValue {}
  for (const { name, offset, read } of members) {
    Object.defineProperty(Union.prototype, name, {
      get(this: object): BtfValue | undefined {
        const view = UnionValue.viewOf(this);
        return view === undefined ? undefined : read(view, offset);
      },
      enumerable: true,
      configurable: true,
    });
  }
  return Union;
}

/** `target[name] = value` that makes an own property of every name, `__proto__` included. */
export function setOwn<T>(target: { [name: string]: T }, name: string, value: T): void {
  if (name === "__proto__") {
    Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true });
  } else {
    target[name] = value;
  }
}
