// Makes the input of a finding smaller, or at least more like the seed it came from, as long as it fails alike.

import { replaced } from "./mutate-bytes.js";

const nothing = new Uint8Array(0);
/** Attempts; each runs the target once. */
const ATTEMPTS = 600;

/**
 * The smallest input found that `fails` still holds for. First what need not differ from one of `seeds` is put back, then
 * what can be left out is.
 */
export function minimize(
  input: Uint8Array,
  seeds: readonly Uint8Array[],
  fails: (candidate: Uint8Array) => boolean,
): Uint8Array {
  let left = ATTEMPTS;
  let best = input;
  const attempt = (candidate: Uint8Array): boolean => {
    if (left-- <= 0 || !fails(candidate)) return false;
    best = candidate;
    return true;
  };
  const seed = nearest(input, seeds);
  if (seed !== undefined) {
    for (let size = best.length; size >= 1 && left > 0; size >>= 1) {
      for (let at = 0; at < best.length && left > 0; at += size) {
        const original = seed.subarray(at, at + size);
        const now = best.subarray(at, at + original.length);
        if (original.length === 0 || original.every((byte, i) => byte === now[i])) continue;
        const candidate = best.slice();
        candidate.set(original.subarray(0, candidate.length - at), at);
        attempt(candidate);
      }
    }
  }
  left = Math.max(left, ATTEMPTS / 4);
  for (let size = best.length >> 1; size >= 1 && left > 0; size >>= 1) {
    for (let at = 0; at < best.length && left > 0; ) {
      const candidate = replaced(best, at, Math.min(size, best.length - at), nothing);
      if (!attempt(candidate)) at += size;
    }
  }
  return best;
}

/** The seed that has most bytes in common with the input; undefined when none has the same length. */
function nearest(input: Uint8Array, seeds: readonly Uint8Array[]): Uint8Array | undefined {
  let best: Uint8Array | undefined;
  let most = input.length / 2;
  for (const seed of seeds) {
    let same = 0;
    for (let i = 0; i < seed.length; i++) if (seed[i] === input[i]) same++;
    if (same >= most) [best, most] = [seed, same];
  }
  return best;
}
