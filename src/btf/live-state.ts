// What lies behind a live view: which memory, where in it, of which type. Views are plain objects and arrays on the outside
// (a C member may have any name), so this is kept beside them.

import type { Plan } from "./codec-plan.js";
import type { BtfValue } from "./codec-value.js";

/** Memory that live views lie in: of a program that is running, or an image of it. */
export interface LiveMemory {
  /** The bytes as they are now. @throws StateError when they cannot be read (any more) */
  view(): DataView;
  /** Puts `bytes` at `offset`; an aligned scalar in one piece. @throws StateError when nothing may be written (any more) */
  write(offset: number, bytes: DataView): void;
  /**
   * The bytes themselves, for atomic access.
   * @param access `"write"` when they are to be changed
   * @throws StateError as the others, UnsupportedError when `view()` only gives copies
   */
  shared(access: "read" | "write"): DataView;
  /**
   * The bytes themselves, to be read and written without asking again until the memory is closed.
   * @throws StateError as the others, and before load, when they are going to move; UnsupportedError as `shared`
   */
  resident(): DataView;
}

/** One value in memory. */
export interface LivePlace {
  readonly memory: LiveMemory;
  /** Bytes from the start of the memory. */
  readonly offset: number;
  readonly plan: Plan;
  readonly littleEndian: boolean;
  /** How C would call it, for messages. */
  readonly path: string;
}

/** What a view is a view of. */
export interface LiveState {
  /** The type of the view; undefined for all variables of a section. */
  readonly plan: Plan | undefined;
  /** A copy of its bytes. */
  bytes(): Uint8Array;
  /** Its value as it is now. */
  snapshot(): BtfValue;
  /** A member, element or variable; undefined when there is none of that name. */
  place(key: string): LivePlace | undefined;
}

/** The states of all views. */
export const liveStates: WeakMap<object, LiveState> = new WeakMap();

/**
 * What a live view (`obj.bss`, `obj.bss.stats`, `obj.bss.hist`) shows at this moment, as a plain value that does not
 * change any more: a nested struct as an object, an array as an array. Other values are returned as they are.
 */
export function snapshot<T>(live: T): T {
  const state = typeof live === "object" && live !== null ? liveStates.get(live) : undefined;
  return state === undefined ? live : (state.snapshot() as T);
}
