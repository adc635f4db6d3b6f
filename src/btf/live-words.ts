// Live arrays of plain numbers as typed arrays over the same memory: reading an element of those costs what it costs in C,
// where a live array asks a Proxy, about a hundred times as much.

import { ArgumentError } from "../errors.js";
import type { Plan } from "./codec-plan.js";
import { liveStates } from "./live-state.js";
import { hostIsLittleEndian } from "./wire.js";

/** The typed arrays of integers and floating-point numbers. */
export type Words =
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** The class of a typed array. */
export interface WordsClass<T extends Words> {
  readonly name: string;
  new (buffer: ArrayBuffer, offset: number, length: number): T;
}

/** By what the elements are. */
const classes: Readonly<Record<string, string>> = {
  s8: "Int8Array",
  s16: "Int16Array",
  s32: "Int32Array",
  s64: "BigInt64Array",
  u8: "Uint8Array",
  u16: "Uint16Array",
  u32: "Uint32Array",
  u64: "BigUint64Array",
  float4: "Float32Array",
  float8: "Float64Array",
};

/**
 * The memory of a live array of numbers as a typed array, without copying; nested arrays in one row. For arrays that are
 * read or written all the time:
 *
 * ```ts
 * const hist = typedArray(obj.bss.hist, BigUint64Array);    // __u64 hist[64]
 * hist[3];                                                  // a read of memory, of less than 2 ns
 * ```
 *
 * Good until the object is closed; afterwards it is empty, or all zeros. 64-bit integers are bigints whatever `int64` says.
 *
 * @param live an array in `obj.bss` and its like, or `map.live`
 * @param type the class that fits the elements
 * @throws ArgumentError for what is no live array of such numbers, without gaps and aligned; StateError before load, after
 *   close and for constants; UnsupportedError where the kernel cannot share the memory (before Linux 5.5)
 */
export function typedArray<T extends Words>(live: unknown, type: WordsClass<T>): T {
  const state = typeof live === "object" && live !== null ? liveStates.get(live) : undefined;
  const plan = state?.plan;
  if (state === undefined || plan?.kind !== "array") {
    throw new ArgumentError("typedArray() takes a live array, for example typedArray(obj.bss.hist, BigUint64Array)");
  }
  const place = state.place("0");
  if (place === undefined) return new type(new ArrayBuffer(0), 0, 0);
  const { count, element } = flat(plan);
  const path = place.path.replace(/\[0\]$/, "");
  const fits = classOf(element);
  if (fits !== type.name) {
    const what = fits === undefined ? "are no plain numbers" : `make up ${fits}, not ${type.name}`;
    throw new ArgumentError(`the elements of ${path} ${what}`);
  }
  if (place.littleEndian !== hostIsLittleEndian) {
    throw new ArgumentError(`${path} is in the byte order of another machine`);
  }
  const view = place.memory.resident();
  const offset = view.byteOffset + place.offset;
  if (plan.size !== count * element.size || offset % element.size !== 0) {
    throw new ArgumentError(`the elements of ${path} do not lie side by side in memory, each aligned`);
  }
  return new type(view.buffer as ArrayBuffer, offset, count);
}

/** An array of arrays as one. */
function flat(plan: Plan): { readonly count: number; readonly element: Plan } {
  if (plan.kind !== "array") return { count: 1, element: plan };
  const inner = flat(plan.element);
  return { count: plan.count * inner.count, element: inner.element };
}

function classOf(plan: Plan): string | undefined {
  if (plan.kind === "float") return classes[`float${plan.size}`];
  return plan.kind === "int" ? classes[`${plan.signed ? "s" : "u"}${plan.size * 8}`] : undefined;
}
