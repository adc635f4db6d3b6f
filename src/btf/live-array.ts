// Live arrays: a Proxy, because an array may have any number of elements, and accessors for each would cost more than they.

import { ArgumentError } from "../errors.js";
import type { BtfCodec } from "./codec.js";
import type { ArrayPlan } from "./codec-plan.js";
import type { BtfValue } from "./codec-value.js";
import { type LivePlace, liveStates } from "./live-state.js";
import { inspectCustom, type LiveType, named, stateOf } from "./live-type.js";

/** Arrays of up to this many elements keep the views of their elements; of longer ones they are made on every access. */
const MAX_KEPT_ELEMENTS = 4096;

/**
 * An array in memory: an `Array` to all who look at it, whose length cannot change.
 *
 * @param codec of the whole; undefined when there are gaps between the elements
 */
export function arrayView(
  place: LivePlace,
  { count, stride, element: elementPlan }: Pick<ArrayPlan, "count" | "element"> & { readonly stride: number },
  element: LiveType,
  codec: BtfCodec | undefined,
): object {
  const { memory, offset } = place;
  const kept = count <= MAX_KEPT_ELEMENTS ? new Map<number, object>() : undefined;
  const elementPlace = (index: number): LivePlace => ({
    ...place,
    offset: offset + index * stride,
    plan: elementPlan,
    path: `${place.path}[${index}]`,
  });
  const { view: make } = element;
  const read = (index: number): BtfValue => {
    if (make === undefined) return element.codec.decode(memory.view(), offset + index * stride);
    memory.view();
    let view = kept?.get(index);
    if (view === undefined) {
      view = make(elementPlace(index));
      kept?.set(index, view);
    }
    return view as BtfValue;
  };
  const write = (index: number, value: BtfValue): void => {
    try {
      element.write(memory, offset + index * stride, value);
    } catch (error) {
      throw named(error, `${place.path}[${index}]`);
    }
  };
  /** The index that a key means; undefined when it is no index of an element. */
  const indexOf = (key: string | symbol): number | undefined => {
    if (typeof key === "symbol") return undefined;
    const index = canonicalIndex(key);
    return index < count ? index : undefined;
  };
  const refuse = (what: string): never => {
    throw new ArgumentError(`${place.path} is an array of ${count}: ${what}`);
  };

  const target: BtfValue[] = [];
  target.length = count;
  const view = new Proxy(target, {
    get: (_, key) => {
      const index = indexOf(key);
      return index === undefined ? (Reflect.get(target, key) as unknown) : read(index);
    },
    set: (_, key, value: BtfValue) => {
      const index = indexOf(key);
      if (index !== undefined) write(index, value);
      else if (key !== "length" || value !== count) refuse(`${String(key)} cannot be set`);
      return true;
    },
    has: (_, key) => indexOf(key) !== undefined || Reflect.has(target, key),
    deleteProperty: (_, key) => refuse(`${String(key)} cannot be deleted`),
    preventExtensions: () => refuse("it cannot be frozen"),
    ownKeys: () => [...Array.from({ length: count }, (_, index) => String(index)), "length"],
    getOwnPropertyDescriptor: (_, key) => {
      const index = indexOf(key);
      if (index === undefined) return Reflect.getOwnPropertyDescriptor(target, key);
      return { value: read(index), writable: true, enumerable: true, configurable: true };
    },
    defineProperty: (_, key, { value }) => {
      const index = indexOf(key);
      if (index === undefined || value === undefined) refuse(`${String(key)} cannot be defined`);
      else write(index, value as BtfValue);
      return true;
    },
  });
  const whole = (): BtfValue => {
    if (codec !== undefined) return codec.decode(memory.view(), offset);
    const now = memory.view();
    return Array.from({ length: count }, (_, index) => element.codec.decode(now, offset + index * stride));
  };
  const state = stateOf(place, whole, (key) => {
    const index = indexOf(key);
    return index === undefined ? undefined : elementPlace(index);
  });
  // Node prints the target of a Proxy, which has no elements.
  Object.defineProperty(target, inspectCustom, { value: () => state.snapshot(), configurable: true });
  liveStates.set(view, state);
  return view;
}

/** The number that a key spells as an index would be; Infinity for other keys. A Proxy gets every index as a string. */
function canonicalIndex(key: string): number {
  const { length } = key;
  let index = 0;
  for (let i = 0; i < length; i++) {
    const digit = key.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return Infinity;
    index = index * 10 + digit;
  }
  const leadingZero = length > 1 && key.charCodeAt(0) === 48;
  return length === 0 || length > 10 || leadingZero ? Infinity : index;
}
