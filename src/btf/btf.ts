// `Btf`: type information opened for reading. Opening finds and checks every type but makes no object of any; types,
// names and strings are decoded when asked for. What is resident beside the blob is four bytes a type, and eight more
// once a name was looked up. Rules: libbpf.md 5.1 and 5.2.

import { decodeType } from "./decode.js";
import { NameIndex } from "./name-index.js";
import { MAX_NAME, StringTable } from "./strings.js";
import { BtfKind, type BtfKindName, type BtfKindNumber, type BtfType } from "./types.js";
import { checkReferences, indexTypes } from "./validate.js";
import {
  invalidBtf,
  kindNumbers,
  kindOfInfo,
  MAX_LINKS,
  parseHeader,
  type RecordSizes,
  recordSizes,
  typeWords,
  vlenOfInfo,
} from "./wire.js";

/** Options of {@link Btf.parse}. */
export interface BtfParseOptions {
  /** The BTF that this one continues (split BTF of a kernel module): ids and string offsets go on where it ends. */
  base?: Btf | undefined;
  /** Copy the bytes first. Without it they are read in place and must not change while the Btf is in use. */
  copy?: boolean | undefined;
  /**
   * The bytes come from the kernel itself: every type is found, but what types refer to is checked only when it is
   * followed, which halves the time to open a kernel's BTF.
   */
  trusted?: boolean | undefined;
}

/** BPF and every kernel that bpfkit runs on have 64-bit pointers. */
const POINTER_SIZE = 8;

/** Decoded types kept at most; a program's own BTF stays below, a scan over a kernel's does not fill the memory. */
const MEMO_LIMIT = 8192;

/** Bytes of all names of one type: they may overlap. */
const MAX_NAMES_OF_TYPE = 1 << 24;
/** Bytes of names in the memo. */
const MEMO_NAMES_LIMIT = 1 << 26;

const bit = (...kinds: readonly BtfKindNumber[]): number => {
  let bits = 0;
  for (const kind of kinds) bits |= 1 << kind;
  return bits;
};

/** Sets of kinds as bits, one a kind number. */
const MODIFIERS = bit(BtfKind.Const, BtfKind.Volatile, BtfKind.Restrict, BtfKind.TypeTag);
const ALIASES = MODIFIERS | bit(BtfKind.Typedef);
/** What a size or an alignment is passed through. */
const TRANSPARENT = ALIASES | bit(BtfKind.Var, BtfKind.DeclTag);
const SCALARS = bit(BtfKind.Int, BtfKind.Enum, BtfKind.Enum64, BtfKind.Float);
const SIZED = SCALARS | bit(BtfKind.Struct, BtfKind.Union, BtfKind.DataSec);

// Kinds above 31 exist in no version yet; a shift by 32 or more would wrap around.
const isIn = (kinds: number, kind: BtfKindNumber): boolean => kind < 32 && (kinds & (1 << kind)) !== 0;

/** BPF type information (the contents of `.BTF`, or of `/sys/kernel/btf/…`), read in place. */
export class Btf {
  readonly bytes: Uint8Array;
  readonly littleEndian: boolean;
  readonly base: Btf | undefined;
  /** Including void and the base's types: valid ids are 0 … typeCount-1. */
  readonly typeCount: number;
  /** Lowest id of this BTF's own types: 1, or the base's `typeCount`. */
  readonly firstId: number;
  /** @internal Strings of this BTF and its base. */
  readonly strings: StringTable;
  /** @internal Sizes of the kinds. */
  readonly sizes: RecordSizes;

  readonly #words: Uint32Array;
  /** Index in `#words` of every own type. */
  readonly #offsets: Uint32Array;
  readonly #typeStart: number;
  readonly #text: (offset: number) => string;
  /** Length of the names decoded for the present type, and of those in the memo. */
  #namesOfType = 0;
  #namesInMemo = 0;
  #names: NameIndex | undefined;
  readonly #types = new Map<number, BtfType>();
  readonly #alignments = new Map<number, number>();

  private constructor(bytes: Uint8Array, base: Btf | undefined, trusted: boolean) {
    const header = parseHeader(bytes);
    this.bytes = bytes;
    this.littleEndian = header.littleEndian;
    this.base = base;
    this.firstId = base?.typeCount ?? 1;
    this.#typeStart = header.typeStart;
    const { stringStart, stringLength } = header;
    this.strings = new StringTable(bytes.subarray(stringStart, stringStart + stringLength), stringStart, base?.strings);
    this.sizes = recordSizes(bytes, header);
    this.#words = typeWords(bytes, header);
    this.#offsets = indexTypes(this.#words, this.sizes, this.firstId, header.typeStart);
    this.typeCount = this.firstId + this.#offsets.length;
    this.#text = (offset) => {
      const name = this.strings.decode(offset, MAX_NAME);
      this.#namesOfType += name.length;
      if (this.#namesOfType > MAX_NAMES_OF_TYPE) throw invalidBtf("the names of a type overlap beyond reason", 0);
      return name;
    };
    if (trusted) return;
    checkReferences(this.#words, this.#offsets, {
      firstId: this.firstId,
      typeCount: this.typeCount,
      stringEnd: this.strings.end,
      typeStart: header.typeStart,
      baseKind: (id) => base?.kindOf(id) ?? BtfKind.Void,
    });
  }

  /**
   * Opens raw BTF of either byte order and checks all of it: afterwards every id and name in it is known to exist.
   *
   * @throws BtfError `BTF_INVALID`, with the offset in bytes from the start of the BTF data (libbpf: btf__new_split)
   */
  static parse(bytes: Uint8Array, options: BtfParseOptions = {}): Btf {
    return new Btf(options.copy ? Uint8Array.from(bytes) : bytes, options.base, options.trusted ?? false);
  }

  /**
   * A type as plain data; the same object for the same id as long as it is remembered.
   *
   * @throws BtfError `BTF_INVALID` for an id that does not exist, or a kind known only by its layout
   */
  type(id: number): BtfType {
    if (id < this.firstId) return this.base === undefined ? this.#void(id) : this.base.type(id);
    let type = this.#types.get(id);
    if (type === undefined) {
      this.#namesOfType = 0;
      type = decodeType(this.#words, this.#at(id), id, this.#text);
      this.#remember(id, type);
    }
    return type;
  }

  #remember(id: number, type: BtfType): void {
    if (this.#types.size >= MEMO_LIMIT || this.#namesInMemo > MEMO_NAMES_LIMIT) {
      this.#types.clear();
      this.#namesInMemo = 0;
    }
    this.#types.set(id, type);
    this.#namesInMemo += this.#namesOfType;
  }

  /**
   * BTF_KIND_* of a type. A kind newer than this version (possible with a layout section) is returned as it is, above
   * `BtfKind.Enum64`.
   *
   * @throws BtfError `BTF_INVALID` for an id that does not exist
   */
  kindOf(id: number): BtfKindNumber {
    return kindOfInfo(this.#info(id));
  }

  /** Name of a type, "" when it has none. @throws BtfError `BTF_INVALID` for an id that does not exist */
  nameOf(id: number): string {
    if (id < this.firstId) return this.base === undefined ? this.#void(id).name : this.base.nameOf(id);
    return this.strings.decode(this.#words[this.#at(id)]!, MAX_NAME);
  }

  /**
   * Number of members, enumerators, parameters or variables; for a FUNC its linkage.
   *
   * @throws BtfError `BTF_INVALID` for an id that does not exist
   */
  vlenOf(id: number): number {
    return vlenOfInfo(this.#info(id));
  }

  /** String at an offset of the string section. @throws BtfError `BTF_INVALID` when it is out of range */
  string(offset: number): string {
    return this.strings.decode(offset);
  }

  /**
   * Lowest id of the type with exactly that name, the base's types first; undefined when there is none. "void" is 0
   * (libbpf: btf__find_by_name, btf__find_by_name_kind).
   */
  findByName(name: string, kind?: BtfKindName): number | undefined {
    if (name === "void" && (kind === undefined || kind === "void")) return 0;
    return this.base?.findByName(name, kind) ?? this.findOwnByName(name, kind);
  }

  /**
   * {@link findByName} among the own types only, not the base's: what a kernel module itself has
   * (libbpf: btf__find_by_name_kind_own, internal).
   */
  findOwnByName(name: string, kind?: BtfKindName): number | undefined {
    if (name === "") return undefined;
    const wanted = kind === undefined ? undefined : kindNumbers[kind];
    const index = this.#nameIndex().first(
      name,
      (i) => wanted === undefined || kindOfInfo(this.#words[this.#offsets[i]! + 1]!) === wanted,
    );
    return index === undefined ? undefined : this.firstId + index;
  }

  /** Names of the own types (not the base's) of a kind, in the order of their ids; those without a name are left out. */
  *names(kind: BtfKindName): Generator<string, void, void> {
    const wanted = kindNumbers[kind];
    for (let id = this.firstId; id < this.typeCount; id++) {
      if (kindOfInfo(this.#words[this.#offsets[id - this.firstId]! + 1]!) !== wanted) continue;
      const name = this.nameOf(id);
      if (name !== "") yield name;
    }
  }

  /**
   * Own types (not the base's) whose name is `name` when the CO-RE flavors of both are ignored, ascending
   * (libbpf.md 4.4 rule 1).
   */
  idsByEssentialName(name: string): readonly number[] {
    return this.#nameIndex()
      .essential(name)
      .map((index) => this.firstId + index);
  }

  /**
   * The type behind const, volatile, restrict and type tags.
   *
   * @throws BtfError `BTF_INVALID` behind more than 32 of them
   */
  skipModifiers(id: number): number {
    return this.#follow(id, MODIFIERS);
  }

  /**
   * The type behind modifiers and typedefs.
   *
   * @throws BtfError `BTF_INVALID` behind more than 32 of them
   */
  resolve(id: number): number {
    return this.#follow(id, ALIASES);
  }

  /**
   * Size in bytes; modifiers, typedefs, variables and arrays are followed (libbpf: btf__resolve_size).
   *
   * @throws BtfError `BTF_INVALID` when the type has no size, it exceeds 32 bits, or behind more than 32 links
   */
  sizeOf(id: number): number {
    let count = 1;
    let at = id;
    for (let links = 0; links <= MAX_LINKS; links++) {
      const kind = this.kindOf(at);
      if (isIn(TRANSPARENT, kind)) {
        at = this.#word(at, 2);
      } else if (kind === BtfKind.Array) {
        count *= this.#word(at, 5);
        if (count > 0xffffffff) throw this.#invalid(id, "is too large");
        at = this.#word(at, 3);
      } else {
        if (kind !== BtfKind.Ptr && !isIn(SIZED, kind)) throw this.#invalid(id, "has no size");
        const size = count * (kind === BtfKind.Ptr ? POINTER_SIZE : this.#word(at, 2));
        if (size > 0xffffffff) throw this.#invalid(id, "is too large");
        return size;
      }
    }
    throw this.#tooDeep(id);
  }

  /**
   * Alignment in bytes, 1 for packed structs and unions (libbpf: btf__align_of). At most 8: 16-byte integers count as
   * aligned to 8, as in libbpf.
   *
   * @throws BtfError `BTF_INVALID` when the type has none, or it is nested more than 32 deep
   */
  alignOf(id: number): number {
    return this.#alignOf(id, 0);
  }

  /** @internal The words of an own type, as numbers of the host. */
  wordsOf(id: number): Uint32Array {
    const at = this.#at(id);
    return this.#words.subarray(at, this.#offsets[id - this.firstId + 1] ?? this.#words.length);
  }

  #alignOf(id: number, depth: number): number {
    const known = this.#alignments.get(id);
    if (known !== undefined) return known;
    let at = id;
    let kind = this.kindOf(at);
    for (let links = 0; isIn(TRANSPARENT, kind) || kind === BtfKind.Array; links++) {
      if (links === MAX_LINKS) throw this.#tooDeep(id);
      at = this.#word(at, kind === BtfKind.Array ? 3 : 2);
      kind = this.kindOf(at);
    }
    if (kind === BtfKind.Ptr) return POINTER_SIZE;
    if (isIn(SCALARS, kind)) return Math.min(POINTER_SIZE, this.#word(at, 2));
    if (kind !== BtfKind.Struct && kind !== BtfKind.Union) throw this.#invalid(id, "has no alignment");
    if (depth === MAX_LINKS) throw this.#tooDeep(id);
    // Remembered by composite: members of one type many times over must not multiply the work.
    const alignment = this.#alignments.get(at) ?? this.#compositeAlignment(at, depth);
    this.#alignments.set(at, alignment);
    return alignment;
  }

  #compositeAlignment(id: number, depth: number): number {
    const composite = this.type(id);
    if (composite.kind !== "struct" && composite.kind !== "union") return 1;
    let alignment = 1;
    let packed = false;
    for (const member of composite.members) {
      const own = this.#alignOf(member.type, depth + 1);
      alignment = Math.max(alignment, own);
      if (member.bitSize === 0 && member.bitOffset % (8 * own) !== 0) packed = true;
    }
    return packed || composite.size % alignment !== 0 ? 1 : alignment;
  }

  #follow(id: number, kinds: number): number {
    let at = id;
    for (let links = 0; links <= MAX_LINKS; links++) {
      if (!isIn(kinds, this.kindOf(at))) return at;
      at = this.#word(at, 2);
    }
    throw this.#tooDeep(id);
  }

  #nameIndex(): NameIndex {
    this.#names ??= new NameIndex(this.#words, this.#offsets, this.strings);
    return this.#names;
  }

  #info(id: number): number {
    if (id >= this.firstId) return this.#words[this.#at(id) + 1]!;
    return this.base === undefined ? this.#voidInfo(id) : this.base.#info(id);
  }

  /** Word `index` of the record of `id`; the caller knows by its kind that it has so many. */
  #word(id: number, index: number): number {
    let owner: Btf = this;
    while (id < owner.firstId && owner.base !== undefined) owner = owner.base;
    return owner.#words[owner.#at(id) + index]!;
  }

  #at(id: number): number {
    const at = this.#offsets[id - this.firstId];
    if (at === undefined) throw this.#noType(id);
    return at;
  }

  #void(id: number): BtfType {
    if (id !== 0) throw this.#noType(id);
    return { kind: "void", id: 0, name: "" };
  }

  #voidInfo(id: number): number {
    if (id !== 0) throw this.#noType(id);
    return 0;
  }

  #noType(id: number): Error {
    return invalidBtf(`there is no type ${id}; ids end at ${this.typeCount - 1}`);
  }

  #tooDeep(id: number): Error {
    return this.#invalid(id, `is a loop, or nested more than ${MAX_LINKS} deep`);
  }

  #invalid(id: number, what: string): Error {
    const name = this.nameOf(id);
    const offset = id < this.firstId ? undefined : this.#typeStart + this.#at(id) * 4;
    return invalidBtf(`type ${id}${name === "" ? "" : ` '${name}'`} ${what}`, offset);
  }
}
