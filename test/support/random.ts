// Pseudo-random numbers that are the same in every run (mulberry32), for tests whose failures must come again.

/** A generator of integers from 0 to `below` - 1. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return Math.floor(((t ^ (t >>> 14)) >>> 0) * 2 ** -32 * below);
  };
}
