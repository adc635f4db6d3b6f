// What a fuzz target is, and how it tells the errors that bpfkit throws on purpose from all others.

import { BpfkitError } from "../../src/errors.js";

/** Integers from 0 to `below` - 1, the same in every run with the same seed. */
export type Random = (below: number) => number;

/** One parser, or a chain of them, with everything a user can ask of its result. Never makes a system call. */
export interface FuzzTarget {
  readonly name: string;
  /** Sound inputs to begin with. */
  readonly seeds: () => readonly Uint8Array[];
  /** A damaged copy of `input`, perhaps with parts of `other`, another input of the target. */
  readonly mutate: (input: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;
  /** Whatever this throws is a finding. */
  readonly run: (input: Uint8Array) => void;
  /** Why it cannot run here, if it cannot. */
  readonly missing?: () => string | undefined;
}

/** A statement about a result that is not true. */
class BrokenPromise extends Error {
  override name = "BrokenPromise";
}

/** Throws unless `condition` holds. */
export function insist(condition: boolean, message: () => string): void {
  if (!condition) throw new BrokenPromise(message());
}

let listener: ((error: BpfkitError) => void) | undefined;

/** Tells `listen` about every error of bpfkit's own from now on. */
export function listenToOwnErrors(listen: ((error: BpfkitError) => void) | undefined): void {
  listener = listen;
}

/** The result of `body`, or undefined when it threw an error of bpfkit's own; any other error passes through. */
export function attempt<T>(body: () => T): T | undefined {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof BpfkitError)) throw error;
    insist(error.code !== undefined && error.reason !== "", () => "an error without a code or a reason");
    listener?.(error);
    return undefined;
  }
}

/** Two inputs in one: the length of the first in four bytes, little-endian, then both. */
export function pair(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + first.length + second.length);
  new DataView(bytes.buffer).setUint32(0, first.length, true);
  bytes.set(first, 4);
  bytes.set(second, 4 + first.length);
  return bytes;
}

/** The two inputs of {@link pair}, as copies. */
export function split(bytes: Uint8Array): [Uint8Array, Uint8Array] {
  if (bytes.length < 4) return [bytes.slice(), new Uint8Array(0)];
  const end = 4 + Math.min(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true), bytes.length - 4);
  return [bytes.slice(4, end), bytes.slice(end)];
}
