// Objects whose properties are C names, and which say so when one is misspelt. Pure.

import { type ErrorLocation, NotFoundError } from "./errors.js";
import { nearNames } from "./near-names.js";

/**
 * The prototype of an object whose properties are C names (`what` they are, with their article left out). Own properties
 * never reach it, so that only misspelt names pay for a Proxy. The names that JavaScript itself asks for (await, JSON),
 * and what is no C name, stay undefined; symbols are those of `methods`.
 */
export function unknownNames(
  what: string,
  place: ErrorLocation,
  names: readonly string[],
  methods: object = printable(),
): object {
  const refuse = (key: string): undefined => {
    if (key === "then" || key === "toJSON" || key === "constructor" || !/^[A-Za-z_]\w*$/.test(key)) return undefined;
    throw new NotFoundError(`no ${what} ${key}${nearNames(key, names)}`, place);
  };
  return new Proxy(Object.freeze(methods), {
    get: (target, key) => (typeof key === "symbol" ? Reflect.get(target, key) : refuse(key)),
    set: (_, key) => {
      if (typeof key !== "symbol") refuse(key);
      return false;
    },
    has: () => false,
  });
}

/** Node's `util.inspect` asks objects for names that are none of theirs; it is told what to print instead. */
function printable(): object {
  const key = Symbol.for("nodejs.util.inspect.custom");
  return Object.defineProperty(Object.create(null) as object, key, {
    value(this: object): object {
      return { ...this };
    },
  });
}
