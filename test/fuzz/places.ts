// Where the numbers are in ELF files and type information: fields that count, point or measure something, which a blind
// bit flip seldom hits. Reads damaged files too, and then finds fewer.

/** An integer field of a file. */
export interface Place {
  readonly offset: number;
  readonly size: 1 | 2 | 4 | 8;
}

/** A part of a file that has a form of its own. */
export interface Part {
  readonly name: string;
  /** Where the section header is, and what it says. */
  readonly header: number;
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}

const known = new WeakMap<Uint8Array, readonly Place[]>();

/** The places of an ELF file, or of raw type information. Kept per array: mutators copy, they do not change. */
export function placesOf(bytes: Uint8Array): readonly Place[] {
  let places = known.get(bytes);
  if (places === undefined) {
    const list: Place[] = [];
    if (isElf(bytes)) elfPlaces(bytes, list);
    else if (isBtf(bytes)) btfPlaces(bytes, 0, bytes.length, list);
    places = list.filter(({ offset, size }) => offset >= 0 && offset + size <= bytes.length);
    known.set(bytes, places);
  }
  return places;
}

/** By the magic number. */
export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 64 && bytes[0] === 0x7f && bytes[1] === 0x45;
}

/** By the magic number. */
function isBtf(bytes: Uint8Array): boolean {
  return bytes.length >= 24 && ((bytes[0] === 0x9f && bytes[1] === 0xeb) || (bytes[0] === 0xeb && bytes[1] === 0x9f));
}

/** True for ELFDATA2LSB. */
export const littleEndianElf = (bytes: Uint8Array): boolean => bytes[5] !== 2;

/** No file of ours has more of anything; damaged counts would take all the time. */
const MOST = 4096;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The sections that lie inside the file. */
export function partsOf(bytes: Uint8Array): Part[] {
  if (!isElf(bytes)) return [];
  const view = viewOf(bytes);
  const little = littleEndianElf(bytes);
  const table = Number(view.getBigUint64(40, little));
  const count = Math.min(view.getUint16(60, little), MOST);
  const parts: Part[] = [];
  for (let i = 0; i < count && table + (i + 1) * 64 <= bytes.length; i++) {
    const header = table + i * 64;
    const offset = Number(view.getBigUint64(header + 24, little));
    const size = Number(view.getBigUint64(header + 32, little));
    const type = view.getUint32(header + 4, little);
    if (offset + size <= bytes.length || type === 8) parts.push({ name: "", header, type, offset, size });
  }
  const names = parts.find(({ header }) => header === table + view.getUint16(62, little) * 64);
  return parts.map((part) => ({ ...part, name: names === undefined ? "" : nameAt(bytes, names, part.header, little) }));
}

function nameAt(bytes: Uint8Array, { offset, size }: Part, header: number, little: boolean): string {
  const start = offset + viewOf(bytes).getUint32(header, little);
  const end = bytes.indexOf(0, start);
  if (start >= offset + size || end < 0 || end - start > 64) return "";
  return new TextDecoder("latin1").decode(bytes.subarray(start, end));
}

const headerFields: readonly (readonly [number, Place["size"]])[] = [
  ...([4, 5, 6, 7].map((at) => [at, 1]) as [number, 1][]),
  ...([16, 18, 52, 54, 56, 58, 60, 62].map((at) => [at, 2]) as [number, 2][]),
  ...([20, 48].map((at) => [at, 4]) as [number, 4][]),
  ...([24, 32, 40].map((at) => [at, 8]) as [number, 8][]),
];
const sectionFields: readonly (readonly [number, Place["size"]])[] = [
  ...([0, 4, 40, 44].map((at) => [at, 4]) as [number, 4][]),
  ...([8, 16, 24, 32, 48, 56].map((at) => [at, 8]) as [number, 8][]),
];
const symbolFields = [
  [0, 4],
  [4, 1],
  [5, 1],
  [6, 2],
  [8, 8],
  [16, 8],
] as const;
const relocationFields = [
  [0, 8],
  [8, 4],
  [12, 4],
] as const;
const insnFields = [
  [0, 1],
  [1, 1],
  [2, 2],
  [4, 4],
] as const;

function elfPlaces(bytes: Uint8Array, list: Place[]): void {
  const put = (at: number, fields: readonly (readonly [number, Place["size"]])[]): void => {
    for (const [offset, size] of fields) list.push({ offset: at + offset, size });
  };
  const table = (part: Part, size: number, fields: Parameters<typeof put>[1]): void => {
    const end = part.offset + Math.min(part.size, size * MOST);
    for (let at = part.offset; at + size <= end; at += size) put(at, fields);
  };
  put(0, headerFields);
  for (const part of partsOf(bytes)) {
    put(part.header, sectionFields);
    if (part.type === 2) table(part, 24, symbolFields);
    else if (part.type === 9) table(part, 16, relocationFields);
    else if (part.type === 4) table(part, 24, [...relocationFields, [16, 8]]);
    else if (part.name === ".BTF") btfPlaces(bytes, part.offset, part.size, list);
    else if (part.name === ".BTF.ext") words(part.offset, part.size, list);
    else if (part.name === ".jumptables") table(part, 8, [[0, 8]]);
    else if (part.type === 1 && part.size % 8 === 0) table(part, 8, insnFields);
  }
}

function words(offset: number, size: number, list: Place[]): void {
  const end = offset + Math.min(size, 4 * MOST);
  for (let at = offset; at + 4 <= end; at += 4) list.push({ offset: at, size: 4 });
}

/** Words of the header and of the types, of which the info word has a kind, a flag and a count. */
function btfPlaces(bytes: Uint8Array, offset: number, size: number, list: Place[]): void {
  if (size < 24 || offset + size > bytes.length) return;
  const view = viewOf(bytes);
  const little = bytes[offset] === 0x9f;
  list.push({ offset: offset + 2, size: 1 }, { offset: offset + 3, size: 1 });
  const header = view.getUint32(offset + 4, little);
  words(offset + 4, Math.min(header, 32) - 4, list);
  const start = offset + header + view.getUint32(offset + 8, little);
  const length = view.getUint32(offset + 12, little);
  if (start + length > offset + size) return;
  words(start, length, list);
  for (let at = start; at + 8 <= start + Math.min(length, 4 * MOST); at += 4) {
    list.push({ offset: at + (little ? 3 : 0), size: 1 }, { offset: at + (little ? 0 : 2), size: 2 });
  }
}
