// An assembler of .BTF for tests that shares nothing with src/: words and strings in, bytes out.

export interface RawBtf {
  /** The words of each type, ids from 1 (or from the base's end). */
  types: readonly (readonly number[])[];
  /** Contents of the string section. */
  strings: string;
  littleEndian?: boolean;
  /** Bytes of the layout section; with it the header has 32 bytes. */
  layout?: readonly number[];
  /** Zero bytes between the known header and the types. */
  headerPadding?: number;
}

export function rawBtf({ types, strings, littleEndian = true, layout, headerPadding = 0 }: RawBtf): Uint8Array {
  const words = types.flat();
  const text = new TextEncoder().encode(strings);
  const headerLength = (layout === undefined ? 24 : 32) + headerPadding;
  const layoutLength = layout?.length ?? 0;
  const stringOffset = words.length * 4 + layoutLength;
  const bytes = new Uint8Array(headerLength + stringOffset + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xeb9f, littleEndian);
  view.setUint8(2, 1);
  const header = [headerLength, 0, words.length * 4, stringOffset, text.length];
  if (layout !== undefined) header.push(words.length * 4, layoutLength);
  header.forEach((word, i) => {
    view.setUint32(4 + i * 4, word, littleEndian);
  });
  words.forEach((word, i) => {
    view.setUint32(headerLength + i * 4, word >>> 0, littleEndian);
  });
  bytes.set(layout ?? [], headerLength + words.length * 4);
  bytes.set(text, headerLength + stringOffset);
  return bytes;
}

/** The info word: kflag, kind, vlen. */
export const info = (kind: number, vlen = 0, flag = 0): number => ((flag << 31) | (kind << 24) | vlen) >>> 0;

/** Runs `body` and returns what it threw; fails when it threw nothing. */
export function thrownBy(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}
