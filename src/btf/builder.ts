// `BtfBuilder`: makes BTF, from nothing or from an opened one. A builder made from a Btf keeps its ids and its string
// offsets, so that .BTF.ext and instructions which refer to them stay right while single types are replaced
// (DATASEC fix-ups, rewriting for old kernels, libbpf.md 3.8).

import { ArgumentError } from "../errors.js";
import type { Btf } from "./btf.js";
import { type BtfMemberInput, type BtfTypeInput, encodeType } from "./encode.js";
import type { BtfDataSecEntry, BtfEnum, BtfEnum64, BtfFuncProto, BtfInt, BtfLinkageNumber } from "./types.js";
import {
  BTF_MAGIC,
  BTF_VERSION,
  defaultSizes,
  HEADER_SIZE,
  HEADER_SIZE_WITH_LAYOUT,
  KNOWN_KINDS,
  kindOfInfo,
  type RecordSizes,
  UNKNOWN_SIZE,
} from "./wire.js";

const utf8 = new TextEncoder();
const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Options of {@link BtfBuilder}. */
export interface BtfBuilderOptions {
  /** Byte order of the result; little-endian by default. */
  littleEndian?: boolean | undefined;
  /** Build split BTF that continues this one: its types can be referred to, its strings are used. */
  base?: Btf | undefined;
}

/** Collects types and writes what `Btf.parse` reads. Types may refer to ids that are added later. */
export class BtfBuilder {
  readonly #littleEndian: boolean;
  readonly #base: Btf | undefined;
  /** Types are copied from here unless `#records` has them. */
  #source: Btf | undefined;
  readonly #firstId: number;
  #nextId: number;
  /** By id: the words of new and replaced types. */
  readonly #records = new Map<number, readonly number[]>();
  readonly #strings: StringCollector;

  constructor(options: BtfBuilderOptions = {}) {
    this.#littleEndian = options.littleEndian ?? true;
    this.#base = options.base;
    this.#firstId = options.base?.typeCount ?? 1;
    this.#nextId = this.#firstId;
    this.#strings = new StringCollector(options.base);
  }

  /**
   * A builder that holds the types and strings of `btf`, at the same ids and string offsets. A layout section is not
   * kept unless a type needs it. Further strings are added behind the existing ones.
   */
  static from(btf: Btf, options: { littleEndian?: boolean | undefined } = {}): BtfBuilder {
    const builder = new BtfBuilder({ littleEndian: options.littleEndian ?? btf.littleEndian, base: btf.base });
    builder.#source = btf;
    builder.#nextId = btf.typeCount;
    builder.#strings.load(btf.strings.bytes);
    return builder;
  }

  /** The id that the next added type gets. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Offset of a string, which is added when it is new. @throws ArgumentError for a string with a NUL */
  addString(text: string): number {
    return this.#strings.add(text);
  }

  /** Appends a type of any kind and returns its id. @throws ArgumentError when a number does not fit its field */
  addType(type: BtfTypeInput): number {
    const words = this.#encode(type);
    const id = this.#nextId++;
    this.#records.set(id, words);
    return id;
  }

  /**
   * Puts another type, of any kind, in the place of type `id`.
   *
   * @throws ArgumentError when there is no such type of its own, or a number does not fit its field
   */
  replaceType(id: number, type: BtfTypeInput): void {
    if (!Number.isInteger(id) || id < this.#firstId || id >= this.#nextId) {
      throw new ArgumentError(`there is no type ${id} to replace`);
    }
    this.#records.set(id, this.#encode(type, this.#nameOf(id)));
  }

  /** Name of a type of the source and its offset, so that a replacement of the same name needs no search. */
  #nameOf(id: number): { text: string; offset: number } | undefined {
    const source = this.#source;
    if (source === undefined || id >= source.typeCount) return undefined;
    return { text: source.nameOf(id), offset: source.wordsOf(id)[0]! };
  }

  /** `size` in bytes; `bits` is 8 × size unless given. */
  addInt(name: string, size: number, options: Partial<Omit<BtfInt, "id" | "kind" | "name" | "size">> = {}): number {
    const { bits = size * 8, bitOffset = 0, signed = false, char = false, bool = false } = options;
    return this.addType({ kind: "int", name, size, bits, bitOffset, signed, char, bool });
  }

  addPtr(type: number): number {
    return this.addType({ kind: "ptr", name: "", type });
  }

  addArray(elementType: number, indexType: number, count: number): number {
    return this.addType({ kind: "array", name: "", elementType, indexType, count });
  }

  /** `size` in bytes, offsets of members in bits. */
  addStruct(name: string, size: number, members: readonly BtfMemberInput[]): number {
    return this.addType({ kind: "struct", name, size, members: members.map(withBitSize) });
  }

  /** `size` in bytes, offsets of members in bits. */
  addUnion(name: string, size: number, members: readonly BtfMemberInput[]): number {
    return this.addType({ kind: "union", name, size, members: members.map(withBitSize) });
  }

  /** Signed when not said otherwise and a value is negative; 4 bytes when not said otherwise. */
  addEnum(name: string, values: BtfEnum["values"], options: { size?: number; signed?: boolean } = {}): number {
    const { size = 4, signed = values.some(({ value }) => value < 0) } = options;
    return this.addType({ kind: "enum", name, size, signed, values });
  }

  /** Signed when not said otherwise and a value is negative; 8 bytes when not said otherwise. */
  addEnum64(name: string, values: BtfEnum64["values"], options: { size?: number; signed?: boolean } = {}): number {
    const { size = 8, signed = values.some(({ value }) => value < 0n) } = options;
    return this.addType({ kind: "enum64", name, size, signed, values });
  }

  addFwd(name: string, union = false): number {
    return this.addType({ kind: "fwd", name, union });
  }

  addTypedef(name: string, type: number): number {
    return this.addType({ kind: "typedef", name, type });
  }

  addVolatile(type: number): number {
    return this.addType({ kind: "volatile", name: "", type });
  }

  addConst(type: number): number {
    return this.addType({ kind: "const", name: "", type });
  }

  addRestrict(type: number): number {
    return this.addType({ kind: "restrict", name: "", type });
  }

  addTypeTag(name: string, type: number, attribute = false): number {
    return this.addType({ kind: "typeTag", name, type, attribute });
  }

  /** `type` is the id of a FUNC_PROTO. */
  addFunc(name: string, type: number, linkage: BtfLinkageNumber): number {
    return this.addType({ kind: "func", name, type, linkage });
  }

  addFuncProto(returnType: number, params: BtfFuncProto["params"]): number {
    return this.addType({ kind: "funcProto", name: "", returnType, params });
  }

  addVar(name: string, type: number, linkage: BtfLinkageNumber): number {
    return this.addType({ kind: "var", name, type, linkage });
  }

  addDataSec(name: string, size: number, variables: readonly BtfDataSecEntry[]): number {
    return this.addType({ kind: "datasec", name, size, variables });
  }

  addFloat(name: string, size: number): number {
    return this.addType({ kind: "float", name, size });
  }

  addDeclTag(name: string, type: number, componentIndex = -1, attribute = false): number {
    return this.addType({ kind: "declTag", name, type, componentIndex, attribute });
  }

  /**
   * Writes everything collected so far: header, types, layout (when needed, or asked for: Linux 7.x reads it), strings.
   */
  build(options: { layout?: boolean | undefined } = {}): Uint8Array {
    let typeLength = 0;
    let needsLayout = options.layout ?? false;
    for (let id = this.#firstId; id < this.#nextId; id++) {
      const words = this.#words(id);
      typeLength += words.length * 4;
      if (kindOfInfo(words[1]!) >= KNOWN_KINDS) needsLayout = true;
    }
    const layout = needsLayout ? layoutEntries(this.#source?.sizes ?? defaultSizes) : [];
    const strings = this.#strings.bytes();
    const headerSize = needsLayout ? HEADER_SIZE_WITH_LAYOUT : HEADER_SIZE;
    const stringOffset = typeLength + layout.length * 4;

    const bytes = new Uint8Array(headerSize + stringOffset + strings.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, BTF_MAGIC, this.#littleEndian);
    view.setUint8(2, BTF_VERSION);
    let at = 4;
    const put = (word: number): void => {
      view.setUint32(at, word, this.#littleEndian);
      at += 4;
    };
    for (const word of [headerSize, 0, typeLength, stringOffset, strings.length]) put(word);
    if (needsLayout) for (const word of [typeLength, layout.length * 4]) put(word);
    for (let id = this.#firstId; id < this.#nextId; id++) {
      const words = this.#words(id);
      for (let i = 0; i < words.length; i++) put(words[i]!);
    }
    for (const [fixed, element] of layout) {
      bytes[at] = fixed;
      bytes[at + 1] = element;
      at += 4;
    }
    bytes.set(strings, at);
    return bytes;
  }

  #encode(type: BtfTypeInput, known?: { text: string; offset: number }): readonly number[] {
    return encodeType(type, (text) => (text === known?.text ? known.offset : this.#strings.add(text)));
  }

  #words(id: number): ArrayLike<number> {
    const own = this.#records.get(id);
    if (own !== undefined) return own;
    // Ids without a record of their own exist only in a builder made from a Btf.
    return this.#source!.wordsOf(id);
  }
}

const withBitSize = (member: BtfMemberInput): BtfMemberInput & { bitSize: number } => ({
  ...member,
  bitSize: member.bitSize ?? 0,
});

/** Fixed and per-element bytes by kind, up to the last that has a size. */
function layoutEntries(sizes: RecordSizes): [fixed: number, element: number][] {
  const entries: [number, number][] = [];
  const last = sizes.fixed.findLastIndex((fixed) => fixed !== UNKNOWN_SIZE);
  for (let kind = 0; kind <= last; kind++) {
    const fixed = sizes.fixed[kind]!;
    entries.push(fixed === UNKNOWN_SIZE ? [0, 0] : [fixed * 4, sizes.element[kind]! * 4]);
  }
  return entries;
}

/** A growing string section that holds each string once. */
class StringCollector {
  readonly #start: number;
  readonly #base: Btf | undefined;
  #bytes: Uint8Array = new Uint8Array(64);
  #length = 0;
  /** Offsets by string; made when the first string is added. */
  #offsets: Map<string, number> | undefined;

  constructor(base: Btf | undefined) {
    this.#base = base;
    this.#start = base?.strings.end ?? 0;
    if (base === undefined) this.#length = 1; // the empty string
  }

  /** Begins with an existing section instead of an empty one. */
  load(section: Uint8Array): void {
    this.#bytes = Uint8Array.from(section);
    this.#length = section.length;
  }

  add(text: string): number {
    if (text === "") return 0;
    this.#offsets ??= this.#collect();
    const known = this.#offsets.get(text);
    if (known !== undefined) return known;
    if (text.includes("\0")) throw new ArgumentError("a BTF string contains a NUL character");
    const encoded = utf8.encode(text);
    const needed = this.#length + encoded.length + 1;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(needed * 2);
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(encoded, this.#length);
    const offset = this.#start + this.#length;
    this.#length = needed;
    this.#offsets.set(text, offset);
    return offset;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #collect(): Map<string, number> {
    const offsets = new Map<string, number>();
    const scan = (bytes: Uint8Array, start: number): void => {
      for (let from = 0; from < bytes.length; ) {
        const end = bytes.indexOf(0, from);
        const encoded = bytes.subarray(from, end);
        const text = utf8Decoder.decode(encoded);
        if (!offsets.has(text) && isFaithful(text, encoded)) offsets.set(text, start + from);
        from = end + 1;
      }
    };
    for (let table = this.#base?.strings; table !== undefined; table = table.base) scan(table.bytes, table.start);
    scan(this.bytes(), this.#start);
    return offsets;
  }
}

/** Whether the text stands for these very bytes: what damaged UTF-8 decodes to does not. */
function isFaithful(text: string, encoded: Uint8Array): boolean {
  if (!text.includes("\ufffd")) return true;
  const again = utf8.encode(text);
  return again.length === encoded.length && again.every((byte, i) => byte === encoded[i]);
}
