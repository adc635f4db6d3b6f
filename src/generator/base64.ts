// Base64 in lines, without Node.js: what an embedded object is written as.

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Bytes of a line: 120 characters. */
const LINE = 90;

/** The bytes as base64, in lines of 120 characters that all end in a line break. */
export function encodeBase64(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let start = 0; start < bytes.length; start += LINE) {
    let line = "";
    const end = Math.min(start + LINE, bytes.length);
    for (let i = start; i < end; i += 3) {
      const [a, b, c] = [bytes[i]!, bytes[i + 1] ?? 0, bytes[i + 2] ?? 0];
      line += alphabet[a >> 2]! + alphabet[((a & 3) << 4) | (b >> 4)]!;
      line += i + 1 < end ? alphabet[((b & 15) << 2) | (c >> 6)]! : "=";
      line += i + 2 < end ? alphabet[c & 63]! : "=";
    }
    lines.push(line, "\n");
  }
  return lines.join("");
}
