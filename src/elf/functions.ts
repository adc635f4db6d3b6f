// Functions of executables and shared objects, however large: where in the file they begin, for probes (libbpf.md 2.3,
// 3.11). Only tables of symbols and their strings are read.

import { ArgumentError, ElfError } from "../errors.js";
import { matchesGlob } from "../glob.js";
import { ByteReader } from "./byte-reader.js";
import { SectionType, SpecialSection, SymbolBinding, SymbolType } from "./constants.js";
import { type ElfRanges, type RangeSource, readSectionTable, type SectionRange, type Segment } from "./ranged.js";

/** A function of a binary. */
export interface BinaryFunction {
  /** As the table of symbols has it, with the version of a dynamic symbol: `memcpy@@GLIBC_2.14`. */
  readonly name: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** STB_*. */
  readonly binding: number;
}

/** UAPI linux/elf.h. */
const PT_LOAD = 1;
/** SHT_GNU_verdef, SHT_GNU_versym (LSB, "Symbol Versioning"). */
const SHT_GNU_VERDEF = 0x6fff_fffd;
const SHT_GNU_VERSYM = 0x6fff_ffff;
/** Bit of an entry of SHT_GNU_versym: not the version that a linker takes. */
const VERSYM_HIDDEN = 0x8000;

/** By size of words: Elf32_Sym and Elf64_Sym. */
const symbolLayouts = {
  4: { size: 16, info: 12, section: 14, value: 4 },
  8: { size: 24, info: 4, section: 6, value: 8 },
} as const;

/** Bytes of a table: below what a string of JavaScript can be long. */
const MAX_TABLE = 1 << 28;

const AT_SIGN = 0x40;

// One character a byte, whatever the bytes are.
const latin1 = new TextDecoder("latin1");

/** A table of symbols with what its names need. */
interface SymbolTable {
  readonly symbols: ByteReader;
  readonly strings: ByteReader;
  /** Version of a symbol with its at signs, such as `@@GLIBC_2.14`; empty for those without. */
  readonly version: (index: number) => string;
}

/** A defined function in a table of symbols. */
interface Entry {
  readonly index: number;
  readonly nameOffset: number;
}

/** The functions of one binary. Tables are read when they are needed; the source has to stay readable. */
export class BinaryFunctions {
  readonly #elf: ElfRanges;
  readonly #sections: readonly SectionRange[];
  readonly #segments: readonly Segment[];
  readonly #size: number;
  readonly #tables = new Map<number, SymbolTable | undefined>();

  /** @throws ElfError for what is no ELF file */
  constructor(source: RangeSource) {
    this.#elf = readSectionTable(source);
    this.#sections = this.#elf.sections();
    this.#segments = mappedSegments(this.#elf, source);
    this.#size = source.size;
  }

  /**
   * File offsets of functions, undefined for those that do not exist. A name may say a version: `NAME@VERSION`, or
   * `NAME@@VERSION` for the one that linkers take. Dynamic symbols are looked at first. Of several functions the more
   * strongly bound one counts.
   *
   * @throws ArgumentError when several, equally bound ones have the name; ElfError
   */
  find(names: readonly string[]): (number | undefined)[] {
    const found: (number | undefined)[] = names.map(() => undefined);
    for (const type of [SectionType.DYNSYM, SectionType.SYMTAB]) {
      const missing = [...names.keys()].filter((index) => found[index] === undefined);
      const table = missing.length === 0 ? undefined : this.#table(type);
      if (table === undefined) continue;
      const wanted = missing.map((index) => names[index]!);
      for (const [at, functions] of this.#named(table, wanted).entries()) {
        found[missing[at]!] = best(functions)?.offset;
      }
    }
    return found;
  }

  /** Functions whose names, without versions, match a pattern; one for each offset. @throws ElfError */
  matching(pattern: string): BinaryFunction[] {
    const found = new Map<number, BinaryFunction>();
    for (const each of this.all()) {
      if (matchesGlob(each.name.replace(/@.*/s, ""), pattern) && !found.has(each.offset)) found.set(each.offset, each);
    }
    return [...found.values()];
  }

  /** All functions of both tables; many are in both. @throws ElfError */
  *all(): Generator<BinaryFunction> {
    for (const type of [SectionType.DYNSYM, SectionType.SYMTAB]) {
      const table = this.#table(type);
      if (table === undefined) continue;
      const names = latin1.decode(table.strings.bytes);
      // Names may share their ends, and not much else: a file whose names are all of the table would take for ever.
      let budget = 16 * names.length + (1 << 20);
      for (const entry of this.#functions(table, () => true)) {
        const end = names.indexOf("\0", entry.nameOffset);
        if (end <= entry.nameOffset) continue;
        budget -= end - entry.nameOffset;
        if (budget < 0) throw new ElfError("ELF_INVALID", "the names of symbols overlap each other", { offset: 0 });
        const found = this.#describe(table, entry, names.slice(entry.nameOffset, end));
        if (found !== undefined) yield found;
      }
    }
  }

  get #layout(): (typeof symbolLayouts)[4 | 8] {
    return symbolLayouts[this.#elf.wordSize];
  }

  #at(index: number): number {
    return index * this.#layout.size;
  }

  /** Undefined for what is not in the file. */
  #describe(table: SymbolTable, { index, nameOffset }: Entry, text?: string): BinaryFunction | undefined {
    const offset = this.#offset(table, index);
    if (offset === undefined) return undefined;
    // Names are UTF-8; those that are not ASCII are decoded anew.
    const name = text !== undefined && /^[ -~]*$/.test(text) ? text : table.strings.string(nameOffset);
    const binding = table.symbols.u8(this.#at(index) + this.#layout.info) >> 4;
    return { name: `${name}${table.version(index)}`, offset, binding };
  }

  /** Defined functions whose names are where they should be. One look at each of a hundred thousand: no checks, no objects. */
  #functions({ symbols }: SymbolTable, wanted: (nameOffset: number) => boolean): Entry[] {
    const { size, info, section } = this.#layout;
    const { bytes, littleEndian } = symbols;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const found: Entry[] = [];
    for (let index = 0, at = 0; at + size <= bytes.length; index++, at += size) {
      if ((bytes[at + info]! & 0xf) !== SymbolType.FUNC) continue;
      const nameOffset = view.getUint32(at, littleEndian);
      if (!wanted(nameOffset) || view.getUint16(at + section, littleEndian) === SpecialSection.UNDEF) continue;
      found.push({ index, nameOffset });
    }
    return found;
  }

  /** The functions that have each of the names. */
  #named(table: SymbolTable, names: readonly string[]): BinaryFunction[][] {
    const places = new Map<number, number[]>();
    for (const [which, name] of names.entries()) {
      for (const place of occurrences(table.strings.bytes, name.replace(/@.*/s, ""))) {
        const there = places.get(place);
        if (there === undefined) places.set(place, [which]);
        else there.push(which);
      }
    }
    const found: BinaryFunction[][] = names.map(() => []);
    if (places.size === 0) return found;
    for (const entry of this.#functions(table, (nameOffset) => places.has(nameOffset))) {
      const each = this.#describe(table, entry);
      if (each === undefined) continue;
      for (const which of places.get(entry.nameOffset)!) {
        if (answersTo(each.name, names[which]!)) found[which]!.push(each);
      }
    }
    return found;
  }

  /** Where in the file a symbol is: by the segment that holds it, else by its section. Undefined for what is not in it. */
  #offset({ symbols }: SymbolTable, index: number): number | undefined {
    const { value, section } = this.#layout;
    const at = this.#at(index);
    const address = this.#elf.wordSize === 8 ? symbols.u64(at + value) : BigInt(symbols.u32(at + value));
    if (address > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
    const fileOffset = addressToOffset(this.#segments, Number(address));
    if (fileOffset !== undefined || this.#segments.length > 0) return fileOffset;
    const holder = this.#sections[symbols.u16(at + section)];
    const offset = holder === undefined ? -1 : Number(address) - holder.address + holder.offset;
    return offset >= 0 && offset < this.#size ? offset : undefined;
  }

  #table(type: number): SymbolTable | undefined {
    if (!this.#tables.has(type)) this.#tables.set(type, this.#readTable(type));
    return this.#tables.get(type);
  }

  #readTable(type: number): SymbolTable | undefined {
    const table = this.#sections.find((section) => section.type === type);
    const strings = table === undefined ? undefined : this.#sections[table.link];
    if (table === undefined || strings === undefined) return undefined;
    const name = type === SectionType.DYNSYM ? ".dynsym" : ".symtab";
    const symbols = this.#reader(table, name);
    const names = this.#reader(strings, `strings of ${name}`);
    return {
      symbols,
      strings: names,
      version: type === SectionType.DYNSYM ? this.#versions(names) : () => "",
    };
  }

  /** Names of versions by the index of a dynamic symbol. */
  #versions(names: ByteReader): (index: number) => string {
    const of = this.#sections.find(({ type }) => type === SHT_GNU_VERSYM);
    const definitions = this.#sections.find(({ type }) => type === SHT_GNU_VERDEF);
    if (of === undefined || definitions === undefined) return () => "";
    const entries = this.#reader(of, ".gnu.version");
    const known = versionNames(this.#reader(definitions, ".gnu.version_d"), names);
    return (index) => {
      if (2 * index + 2 > entries.length) return "";
      const entry = entries.u16(2 * index);
      const name = known.get(entry & ~VERSYM_HIDDEN);
      return name === undefined ? "" : `${(entry & VERSYM_HIDDEN) === 0 ? "@@" : "@"}${name}`;
    };
  }

  #reader(section: SectionRange, name: string): ByteReader {
    if (section.size > MAX_TABLE) {
      throw new ElfError("ELF_UNSUPPORTED", `a table of ${section.size} bytes; at most ${MAX_TABLE} are handled`, {
        section: name,
      });
    }
    return new ByteReader(this.#elf.contents(section, name), this.#elf.littleEndian, name);
  }
}

/** The segments that are mapped, as far as they are in the file: what is damaged may say anything. */
export function mappedSegments(elf: ElfRanges, { size }: RangeSource): Segment[] {
  return elf
    .segments()
    .filter((each) => each.type === PT_LOAD && each.offset <= size && each.size <= size - each.offset);
}

/** The file offset of an address, by {@link mappedSegments}; undefined for what is in none. */
export function addressToOffset(segments: readonly Segment[], address: number): number | undefined {
  const holder = segments.find((segment) => address >= segment.address && address - segment.address < segment.size);
  return holder === undefined ? undefined : address - holder.address + holder.offset;
}

/** Entries of SHT_GNU_verdef (Elf_Verdef, Elf_Verdaux: the same in both classes), by version index. */
function versionNames(definitions: ByteReader, names: ByteReader): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  // Each entry takes 20 bytes at least: no list of entries is longer, circles neither.
  const most = definitions.length / 20;
  for (let at = 0, count = 0; count < most; count++) {
    const index = definitions.u16(at + 4);
    const nameOffset = definitions.u32(at + definitions.u32(at + 12));
    // Index 1 is the file itself (VER_NDX_GLOBAL).
    if (index > 1) found.set(index, names.string(nameOffset));
    const next = definitions.u32(at + 16);
    if (next === 0) break;
    at += next;
  }
  return found;
}

/**
 * Offsets in a table of strings where `name` stands, up to its end or its version: each may be that of a symbol, because
 * names share their ends. Skips by what the last byte allows (Horspool): decoding the table would take three times as long.
 */
function* occurrences(table: Uint8Array, name: string): Generator<number> {
  const wanted = new TextEncoder().encode(name);
  const last = wanted.length - 1;
  if (last < 0) return;
  const skips = new Uint32Array(256).fill(wanted.length);
  for (let at = 0; at < last; at++) skips[wanted[at]!] = last - at;
  for (let end = last; end < table.length; end += skips[table[end]!]!) {
    let back = 0;
    while (back <= last && table[end - back] === wanted[last - back]) back++;
    const next = table[end + 1];
    if (back > last && (next === 0 || next === AT_SIGN)) yield end - last;
  }
}

/** Whether a function is meant by what the user wrote. */
function answersTo(name: string, wanted: string): boolean {
  const at = name.indexOf("@");
  if (name === wanted || at === -1) return name === wanted;
  if (name.slice(0, at) === wanted) return true;
  // One at sign is any version of that name.
  return name.replace("@@", "@") === wanted;
}

const strength = (binding: number): number =>
  binding === SymbolBinding.LOCAL ? 0 : binding === SymbolBinding.WEAK ? 1 : 2;

function best(functions: readonly BinaryFunction[]): BinaryFunction | undefined {
  let chosen: BinaryFunction | undefined;
  let rival: BinaryFunction | undefined;
  for (const each of functions) {
    const difference = chosen === undefined ? 1 : strength(each.binding) - strength(chosen.binding);
    if (difference > 0) [chosen, rival] = [each, undefined];
    else if (difference === 0 && each.offset !== chosen?.offset) rival = each;
  }
  if (chosen === undefined || rival === undefined) return chosen;
  const show = ({ name, offset }: BinaryFunction): string => `${name} at 0x${offset.toString(16)}`;
  throw new ArgumentError(`several functions have that name: ${show(chosen)} and ${show(rival)}`, {
    hint: "name the version, or attach to the offset",
  });
}
