// The wire format of .BTF as tables and one header parser: what every other file of this room reads and writes by.
// Everything behind the header is made of 32-bit words, so the byte order is dealt with once, when words are taken
// from bytes. Rules: libbpf.md 5.1, UAPI linux/btf.h.

import { BtfError } from "../errors.js";
import { BtfKind, type BtfKindName, type BtfKindNumber } from "./types.js";

export const BTF_MAGIC = 0xeb9f;
export const BTF_VERSION = 1;
/** Header up to str_len; the oldest there is. */
export const HEADER_SIZE = 24;
/** Header with layout_off and layout_len. */
export const HEADER_SIZE_WITH_LAYOUT = 32;
/** Largest vlen of the info word. */
export const MAX_VLEN = 0xffffff;
/** Links followed by every walk over references, as in libbpf's btf__resolve_size. */
export const MAX_LINKS = 32;

/** name_off, info, and size or type: the words that every type begins with. */
export const COMMON_WORDS = 3;

const kindFacts: { readonly [K in keyof typeof BtfKind]: readonly [BtfKindName, fixed: number, element: number] } = {
  Void: ["void", 0, 0],
  Int: ["int", 1, 0],
  Ptr: ["ptr", 0, 0],
  Array: ["array", 3, 0],
  Struct: ["struct", 0, 3],
  Union: ["union", 0, 3],
  Enum: ["enum", 0, 2],
  Fwd: ["fwd", 0, 0],
  Typedef: ["typedef", 0, 0],
  Volatile: ["volatile", 0, 0],
  Const: ["const", 0, 0],
  Restrict: ["restrict", 0, 0],
  Func: ["func", 0, 0],
  FuncProto: ["funcProto", 0, 2],
  Var: ["var", 1, 0],
  DataSec: ["datasec", 0, 3],
  Float: ["float", 0, 0],
  DeclTag: ["declTag", 1, 0],
  TypeTag: ["typeTag", 0, 0],
  Enum64: ["enum64", 0, 3],
};

const kinds = Object.keys(kindFacts) as (keyof typeof BtfKind)[];

/** BTF_KIND_* by the name used in {@link BtfType}. */
export const kindNumbers = Object.fromEntries(
  kinds.map((kind) => [kindFacts[kind][0], BtfKind[kind]]),
) as unknown as Readonly<Record<BtfKindName, BtfKindNumber>>;

/** Number of kinds that this version knows, void included. */
export const KNOWN_KINDS = kinds.length;

/** A kind whose size is unknown, in {@link RecordSizes.fixed}. */
export const UNKNOWN_SIZE = 255;

/** Words behind the common three, by kind number. */
export interface RecordSizes {
  /** Words once per type; {@link UNKNOWN_SIZE} when the kind is not known. */
  readonly fixed: Uint8Array;
  /** Words per element (vlen of them). */
  readonly element: Uint8Array;
}

function knownSizes(): { fixed: Uint8Array; element: Uint8Array } {
  const fixed = new Uint8Array(128).fill(UNKNOWN_SIZE);
  const element = new Uint8Array(128);
  for (const kind of kinds) {
    if (kind === "Void") continue; // never stored: id 0 is implied
    fixed[BtfKind[kind]] = kindFacts[kind][1];
    element[BtfKind[kind]] = kindFacts[kind][2];
  }
  return { fixed, element };
}

/** Of the kinds that this version knows. */
export const defaultSizes: RecordSizes = knownSizes();

/** Word `info` of a type taken apart. */
export const kindOfInfo = (info: number): BtfKindNumber => ((info >>> 24) & 0x7f) as BtfKindNumber;
export const vlenOfInfo = (info: number): number => info & MAX_VLEN;
export const flagOfInfo = (info: number): boolean => info >>> 31 === 1;

/** Where the parts of a .BTF blob are. Offsets count from the start of the blob, all in bytes. */
export interface BtfHeader {
  readonly littleEndian: boolean;
  readonly typeStart: number;
  readonly typeLength: number;
  readonly stringStart: number;
  readonly stringLength: number;
  readonly layoutStart: number;
  readonly layoutLength: number;
}

/** A damaged .BTF section; `offset` in bytes from its start. */
export function invalidBtf(reason: string, offset?: number): BtfError {
  return new BtfError("BTF_INVALID", reason, { section: ".BTF", offset });
}

/** Byte order by the magic: true for little-endian, undefined when it is no BTF magic in either order. */
export function byteOrder(bytes: Uint8Array): boolean | undefined {
  if (bytes[0] === 0x9f && bytes[1] === 0xeb) return true;
  if (bytes[0] === 0xeb && bytes[1] === 0x9f) return false;
  return undefined;
}

/**
 * Reads and checks the header (libbpf.md 5.1).
 *
 * @throws BtfError `BTF_INVALID`
 */
export function parseHeader(bytes: Uint8Array): BtfHeader {
  if (bytes.length < HEADER_SIZE) throw invalidBtf(`${bytes.length} bytes are too few for a BTF header`, 0);
  const littleEndian = byteOrder(bytes);
  if (littleEndian === undefined) throw invalidBtf("no BTF magic", 0);
  if (bytes[2] !== BTF_VERSION) throw invalidBtf(`BTF version ${bytes[2]} is not supported`, 2);
  if (bytes[3] !== 0) throw invalidBtf(`BTF flags 0x${bytes[3]!.toString(16)} are not supported`, 3);

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (offset: number): number => view.getUint32(offset, littleEndian);
  const headerLength = word(4);
  if (headerLength < HEADER_SIZE || headerLength > bytes.length) {
    throw invalidBtf(`header length ${headerLength} is out of range`, 4);
  }
  for (let at = HEADER_SIZE_WITH_LAYOUT; at < headerLength; at++) {
    if (bytes[at] !== 0) throw invalidBtf("the header has fields that are not known", at);
  }

  const part = (name: string, at: number): { start: number; length: number } => {
    const start = headerLength + word(at);
    const length = word(at + 4);
    if (start + length > bytes.length) {
      throw invalidBtf(
        `the ${name} section (${length} bytes at ${start}) exceeds the ${bytes.length} bytes of data`,
        at,
      );
    }
    return { start, length };
  };
  const types = part("type", 8);
  const strings = part("string", 16);
  const hasLayout = headerLength >= HEADER_SIZE_WITH_LAYOUT && word(28) !== 0;
  const layout = hasLayout ? part("layout", 24) : { start: 0, length: 0 };

  if (word(8) % 4 !== 0 || types.length % 4 !== 0) throw invalidBtf("the type section is not made of 32-bit words", 8);
  if (types.start + types.length > strings.start) throw invalidBtf("the type section overlaps the strings", 16);
  if (hasLayout) {
    if (word(24) % 4 !== 0 || layout.length % 4 !== 0) throw invalidBtf("the layout section is not aligned", 24);
    const apart = (other: { start: number; length: number }): boolean =>
      layout.start + layout.length <= other.start || other.start + other.length <= layout.start;
    if (!apart(types) || !apart(strings)) throw invalidBtf("the layout section overlaps another", 24);
  }
  return {
    littleEndian,
    typeStart: types.start,
    typeLength: types.length,
    stringStart: strings.start,
    stringLength: strings.length,
    layoutStart: layout.start,
    layoutLength: layout.length,
  };
}

/**
 * Sizes by kind: the known ones, and what the layout section says of kinds newer than this code.
 * A layout entry is {u8 fixed bytes, u8 bytes per element, u16 flags}, indexed by kind.
 *
 * @throws BtfError `BTF_INVALID` when an entry of an unknown kind is not a multiple of four bytes
 */
export function recordSizes(bytes: Uint8Array, header: BtfHeader): RecordSizes {
  const entries = Math.min(header.layoutLength / 4, 128);
  if (entries <= KNOWN_KINDS) return defaultSizes;
  const sizes = knownSizes();
  for (let kind = KNOWN_KINDS; kind < entries; kind++) {
    const at = header.layoutStart + kind * 4;
    const fixed = bytes[at]!;
    const element = bytes[at + 1]!;
    if (fixed % 4 !== 0 || element % 4 !== 0) {
      throw invalidBtf(`the layout of kind ${kind} is not a multiple of four bytes`, at);
    }
    sizes.fixed[kind] = fixed / 4;
    sizes.element[kind] = element / 4;
  }
  return sizes;
}

/** Whether this machine keeps the low byte of a word first. */
export const hostIsLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** The type section as words of the host: a view where alignment and byte order allow it, a copy otherwise. */
export function typeWords(bytes: Uint8Array, header: BtfHeader): Uint32Array {
  const start = bytes.byteOffset + header.typeStart;
  const length = header.typeLength / 4;
  if (start % 4 === 0 && header.littleEndian === hostIsLittleEndian) {
    return new Uint32Array(bytes.buffer, start, length);
  }
  const words = new Uint32Array(length);
  const view = new DataView(bytes.buffer, start, header.typeLength);
  for (let i = 0; i < length; i++) words[i] = view.getUint32(i * 4, header.littleEndian);
  return words;
}
