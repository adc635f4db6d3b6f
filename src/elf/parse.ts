// From bytes to an ElfFile: header, sections, and symbols when somebody asks for them.

import { ArgumentError } from "../errors.js";
import { parseHeader } from "./header.js";
import { parseSections } from "./section-table.js";
import { findSymbolTable, parseSymbols } from "./symbols.js";
import type { ElfSection, ElfSymbol } from "./types.js";

/** A relocatable 64-bit BPF object file. Names, offsets and sizes of its sections are checked. */
export interface ElfFile {
  readonly bytes: Uint8Array;
  readonly littleEndian: boolean;
  /** `e_machine`: 247 (EM_BPF), or 0 from old LLVM. */
  readonly machine: number;
  /** In file order; `sections[i].index === i`. Section 0 is the empty one. */
  readonly sections: readonly ElfSection[];
  /** In file order; `symbols[i].index === i`. Empty without symbol table. Read on first use, which may throw ElfError. */
  readonly symbols: readonly ElfSymbol[];
  /** The section that holds the symbols. */
  readonly symbolTable: ElfSection | undefined;
  /** The first section of that name. */
  section(name: string): ElfSection | undefined;
}

/**
 * Parses a BPF object file: 64-bit ELF, relocatable, machine BPF (or none), either byte order. Section contents are views
 * into `bytes`, which must not change afterwards.
 *
 * libbpf: the first part of `bpf_object__open` (libbpf.md 3.1 step 2).
 *
 * @throws ElfError `ELF_INVALID`, `ELF_TRUNCATED` or `ELF_UNSUPPORTED`; ArgumentError when `bytes` is no Uint8Array
 */
export function parseElf(bytes: Uint8Array): ElfFile {
  const plain = plainBytes(bytes);
  const header = parseHeader(plain);
  const sections = parseSections(plain, header);
  const symbolTable = findSymbolTable(sections);
  const byName = new Map<string, ElfSection>();
  for (const section of sections) {
    if (!byName.has(section.name)) byName.set(section.name, section);
  }
  let symbols: readonly ElfSymbol[] | undefined;
  return {
    bytes: plain,
    littleEndian: header.littleEndian,
    machine: header.machine,
    sections,
    get symbols() {
      symbols ??= symbolTable === undefined ? [] : parseSymbols(sections, symbolTable, header.littleEndian);
      return symbols;
    },
    symbolTable,
    section: (name) => byName.get(name),
  };
}

/** The same bytes as a Uint8Array proper: a Buffer's `slice` and `toString` mean other things. */
function plainBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (!ArrayBuffer.isView(bytes)) throw new ArgumentError("an ELF file has to be given as a Uint8Array");
  const { buffer, byteOffset, byteLength } = bytes;
  if (buffer instanceof ArrayBuffer) return new Uint8Array(buffer, byteOffset, byteLength);
  // Shared memory could change between our checks and the use of what was checked.
  return new Uint8Array(new Uint8Array(buffer, byteOffset, byteLength));
}
