// How far an object has come, and what is said to those who want something too early or too late.

import { StateError } from "../errors.js";

/** `loading` lasts while load() waits for the verifier. */
export type ObjectState = "open" | "prepared" | "loading" | "loaded" | "failed" | "closed";

/** @throws StateError unless `state` is one of those that allow it; `what` completes "cannot …" */
export function requireState(
  state: ObjectState,
  allowed: readonly ObjectState[],
  { what, file }: { readonly what: string; readonly file: string },
): void {
  if (allowed.includes(state)) return;
  const reasons: Readonly<Record<ObjectState, string>> = {
    open: `cannot ${what} before ${allowed.includes("prepared") ? "prepare() or load()" : "load()"}`,
    prepared: allowed.includes("loaded") ? `cannot ${what} before load()` : "the object was prepared already",
    loading: "load() has not ended yet",
    loaded: "the object was loaded already",
    failed: "prepare() or load() failed before; open the object anew",
    closed: "the object was used after close()",
  };
  throw new StateError(reasons[state], { file });
}
