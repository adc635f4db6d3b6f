// Tables of jump targets, which compilers make of large switches (section `.jumptables`, LLVM 22; libbpf.md 3.7 point 8).
// An entry is the byte offset of an instruction in the section of the function that jumps.

import { ByteReader, type ElfSection, type ElfSymbol } from "../elf/index.js";
import { ObjectError } from "../errors.js";
import { INSN_SIZE } from "../insn/index.js";
import type { FunctionSpec } from "./spec.js";

const ENTRY_SIZE = 8;

/** Reads the tables of one object, each once. */
export class JumpTables {
  readonly #section: ElfSection;
  readonly #reader: ByteReader;
  /** By offset and size of the table: byte offsets in a code section. */
  readonly #known = new Map<string, readonly number[]>();
  #unread: number;

  constructor(section: ElfSection, littleEndian: boolean) {
    this.#section = section;
    this.#reader = new ByteReader(section.data, littleEndian, section.name);
    this.#unread = section.size / ENTRY_SIZE;
  }

  /**
   * Where the table that `symbol` names leads, as indices of instructions of `owner`, whose instruction loads it.
   *
   * @throws ObjectError for a table that is no whole number of entries, or leads out of the function
   */
  targets({ name, value, size }: ElfSymbol, owner: FunctionSpec): readonly number[] {
    const first = owner.sectionOffset;
    return this.#entries(name, value, size).map((offset) => {
      if (offset % INSN_SIZE === 0 && offset >= first && offset < first + owner.insns.length) {
        return (offset - first) / INSN_SIZE;
      }
      throw invalid(`jump table \`${name}\` leads to 0x${offset.toString(16)}, out of the function that uses it`);
    });
  }

  #entries(name: string, value: number, size: number): readonly number[] {
    const key = `${value}:${size}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (size === 0 || value % ENTRY_SIZE !== 0 || size % ENTRY_SIZE !== 0 || value + size > this.#section.size) {
      throw invalid(`jump table \`${name}\` (${size} bytes at 0x${value.toString(16)}) is no list of 8-byte entries`);
    }
    // Tables that overlap could make more work than the file has bytes.
    this.#unread -= size / ENTRY_SIZE;
    if (this.#unread < 0) throw invalid(`jump table \`${name}\` overlaps another one`);
    const entries = Array.from({ length: size / ENTRY_SIZE }, (_, i) => this.#reader.safeU64(value + i * ENTRY_SIZE));
    this.#known.set(key, entries);
    return entries;
  }
}

function invalid(reason: string): ObjectError {
  return new ObjectError("OBJECT_INVALID", reason);
}
