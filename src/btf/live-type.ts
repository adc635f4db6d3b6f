// What the views of structs (live.ts) and of arrays (live-array.ts) share.

import { ValueError } from "../errors.js";
import type { BtfCodec } from "./codec.js";
import type { BtfValue } from "./codec-value.js";
import type { LiveMemory, LivePlace, LiveState } from "./live-state.js";

/** How values of one type are read and written in place. */
export interface LiveType {
  readonly codec: BtfCodec;
  /** Makes a view; undefined for types whose values are read as a whole. */
  readonly view: ((place: LivePlace) => object) | undefined;
  /** @throws ValueError whose path begins with `value`: see {@link named} */
  write(memory: LiveMemory, offset: number, value: BtfValue): void;
}

/** The key under which Node's `util.inspect` looks for what to print. */
export const inspectCustom: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;

/** @param whole gives the value now */
export function stateOf(place: LivePlace, whole: () => BtfValue, placeOf: LiveState["place"]): LiveState {
  const { memory, offset, plan } = place;
  return {
    plan,
    bytes: () => {
      const view = memory.view();
      return new Uint8Array(view.buffer, view.byteOffset + offset, plan.size).slice();
    },
    snapshot: whole,
    place: placeOf,
  };
}

/** The error of a codec, which calls what it encodes `value`, with the path that a user knows. */
export function named(error: unknown, path: string): unknown {
  if (!(error instanceof ValueError)) return error;
  return new ValueError(
    "VALUE",
    error.reason.replace(/^value/, () => path),
  );
}
