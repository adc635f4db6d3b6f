// Character and byte arrays. Names repeat (comm, interface names, paths), and making a string costs more than decoding
// all integers of an event, so short ones are looked up by their bytes, taken as 32-bit words (typescript.md 7).

/** Longest character array, in bytes, whose string is cached. */
const CACHED_TEXT_LENGTH = 32;

const SLOT_BITS = 10;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

// Two direct-mapped, bounded caches, for texts of up to 4 and 8 words: one string per slot, the newest wins. A slot's key
// is the array's bytes in zero-padded words, so arrays of different lengths share entries, and an empty slot (all zero,
// "") is a correct one.
const shortKeys = new Int32Array(4 << SLOT_BITS);
const shortTexts = new Array<string>(1 << SLOT_BITS).fill("");
const longKeys = new Int32Array(8 << SLOT_BITS);
const longTexts = new Array<string>(1 << SLOT_BITS).fill("");
const scratch = new Int32Array(8);

/** The string of a character array of at most 16 bytes, given as well as little-endian, zero-padded words. */
export function shortText(
  view: DataView,
  offset: number,
  length: number,
  a: number,
  b: number,
  c: number,
  d: number,
): string {
  const slot = slotOf(Math.imul(a ^ Math.imul(b, 0x9e3779b1), 0x85ebca77) ^ Math.imul(c ^ (d << 1), 0xc2b2ae3d));
  const key = slot << 2;
  if (shortKeys[key] === a && shortKeys[key + 1] === b && shortKeys[key + 2] === c && shortKeys[key + 3] === d) {
    return shortTexts[slot]!;
  }
  const text = decodeText(view, offset, length);
  shortKeys[key] = a;
  shortKeys[key + 1] = b;
  shortKeys[key + 2] = c;
  shortKeys[key + 3] = d;
  shortTexts[slot] = text;
  return text;
}

/** The top bits: those of a product depend on all bits of its factors. */
function slotOf(hash: number): number {
  return hash >>> (32 - SLOT_BITS);
}

/** The string of a character array, up to its first NUL. Bytes that are not UTF-8 become U+FFFD. */
export function readText(view: DataView, offset: number, length: number): string {
  if (length > CACHED_TEXT_LENGTH) return decodeText(view, offset, length);
  const words = scratch;
  words.fill(0);
  let hash = 0;
  for (let i = 0; i < length; i += 4) {
    const word = readWord(view, offset + i, length - i);
    words[i >> 2] = word;
    hash = Math.imul(hash ^ word ^ (hash >>> 15), 0x9e3779b1);
  }
  if (length <= 16) return shortText(view, offset, length, words[0]!, words[1]!, words[2]!, words[3]!);
  const slot = slotOf(hash);
  const key = slot << 3;
  let i = 0;
  while (i < 8 && longKeys[key + i] === words[i]) i++;
  if (i === 8) return longTexts[slot]!;
  const text = decodeText(view, offset, length);
  longKeys.set(words, key);
  longTexts[slot] = text;
  return text;
}

function readWord(view: DataView, offset: number, available: number): number {
  if (available >= 4) return view.getInt32(offset, true);
  let word = 0;
  for (let i = 0; i < available; i++) word |= view.getUint8(offset + i) << (8 * i);
  return word;
}

function decodeText(view: DataView, offset: number, length: number): string {
  const codes: number[] = [];
  for (let i = 0; i < length; i++) {
    const byte = view.getUint8(offset + i);
    if (byte === 0) return String.fromCharCode(...codes);
    // Long or not ASCII: leave it to the platform's decoder.
    if (byte >= 0x80 || codes.length === 64) return decodeLongText(view, offset, length);
    codes.push(byte);
  }
  return String.fromCharCode(...codes);
}

function decodeLongText(view: DataView, offset: number, length: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, length);
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** A copy of `length` bytes. */
export function readBytes(view: DataView, offset: number, length: number): Uint8Array {
  if (length > 64) return new Uint8Array(view.buffer, view.byteOffset + offset, length).slice();
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = view.getUint8(offset + i);
  return bytes;
}

/** Copies all of `bytes` to `offset`. */
export function writeBytes(view: DataView, offset: number, bytes: Uint8Array): void {
  if (bytes.length > 64) {
    new Uint8Array(view.buffer, view.byteOffset + offset, bytes.length).set(bytes);
  } else {
    for (let i = 0; i < bytes.length; i++) view.setUint8(offset + i, bytes[i]!);
  }
}

/** Sets `length` bytes to zero. */
export function writeZeros(view: DataView, offset: number, length: number): void {
  if (length > 64) {
    new Uint8Array(view.buffer, view.byteOffset + offset, length).fill(0);
  } else {
    for (let i = 0; i < length; i++) view.setUint8(offset + i, 0);
  }
}

/** Writes `text` if it is short, fits in `length` bytes and is ASCII without a NUL; false when it is not. */
export function writeAscii(view: DataView, offset: number, text: string, length: number): boolean {
  if (text.length > length || text.length > 64) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // What is written until then gets overwritten: the UTF-8 of a text begins with its ASCII head.
    if (code === 0 || code >= 0x80) return false;
    view.setUint8(offset + i, code);
  }
  return true;
}

/** The bytes of `text` in UTF-8. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}
