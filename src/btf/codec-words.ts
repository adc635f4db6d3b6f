// Eight bytes through which 64-bit integers go between bytes and bigints, in two words: much faster on Node 20 than
// `getBigUint64` and `setBigUint64` (typescript.md 7: DataView and bigint do not go well together there). Whoever uses
// them stores and loads in one go, without any foreign code in between.

/** The two words, in the order of this machine. */
export const words: Uint32Array = new Uint32Array(2);
/** The same bytes as one integer. */
export const u64: BigUint64Array = new BigUint64Array(words.buffer);
export const s64: BigInt64Array = new BigInt64Array(words.buffer);

u64[0] = 1n;
/** Index in `words` of the low word. */
export const LOW: 0 | 1 = words[0] === 1 ? 0 : 1;
