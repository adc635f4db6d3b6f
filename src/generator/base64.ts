// Base64 in lines, without Node.js: what an embedded object is written as.

const alphabet = new TextEncoder().encode("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const PADDING = 0x3d;
const LINE_BREAK = 0x0a;

/** Bytes of a line: 120 characters. */
const LINE = 90;

/** The bytes as base64, in lines of 120 characters that all end in a line break. */
export function encodeBase64(bytes: Uint8Array): string {
  // Characters are put into bytes: strings made of pieces take fifty times the object's size while they are made.
  const text = new Uint8Array(Math.ceil(bytes.length / 3) * 4 + Math.ceil(bytes.length / LINE));
  let at = 0;
  for (let start = 0; start < bytes.length; start += LINE) {
    const end = Math.min(start + LINE, bytes.length);
    for (let i = start; i < end; i += 3) {
      const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
      text[at++] = alphabet[group >> 18]!;
      text[at++] = alphabet[(group >> 12) & 63]!;
      text[at++] = i + 1 < end ? alphabet[(group >> 6) & 63]! : PADDING;
      text[at++] = i + 2 < end ? alphabet[group & 63]! : PADDING;
    }
    text[at++] = LINE_BREAK;
  }
  return new TextDecoder().decode(text);
}
