// Probes that a program defines itself (USDT, sys/sdt.h): the notes of section .note.stapsdt (libbpf.md 6).

import { ElfError } from "../errors.js";
import { ByteReader } from "./byte-reader.js";
import { addressToOffset, mappedSegments } from "./functions.js";
import { type RangeSource, readSectionTable } from "./ranged.js";

/** One place of a probe; a probe may have several. */
export interface UsdtProbe {
  readonly provider: string;
  readonly name: string;
  /** In memory, relative to where the file is loaded. */
  readonly address: number;
  /** Bytes from the beginning of the file. */
  readonly offset: number;
  /** File offset of the counter of those who watch; undefined for probes without one. */
  readonly semaphore: number | undefined;
  /** In the grammar of the machine. */
  readonly args: string;
}

/** The probes of a file. */
export interface UsdtProbes {
  /** EM_*. */
  readonly machine: number;
  readonly wordSize: 4 | 8;
  /** Loaded at the addresses in the file (ET_EXEC), not anywhere. */
  readonly fixed: boolean;
  readonly probes: readonly UsdtProbe[];
}

const SECTION = ".note.stapsdt";
const OWNER = "stapsdt";
const NOTE_TYPE = 3;
const PF_X = 1;
const ET_EXEC = 2;
const MAX_NOTES = 1 << 26;

/** Reads all probes of an executable or shared object. @throws ElfError */
export function readUsdtProbes(source: RangeSource): UsdtProbes {
  const elf = readSectionTable(source);
  const { machine, wordSize } = elf;
  const about = { machine, wordSize, fixed: elf.type === ET_EXEC };
  const section = elf.find(SECTION);
  if (section === undefined) return { ...about, probes: [] };
  if (section.size > MAX_NOTES) {
    throw new ElfError("ELF_UNSUPPORTED", `notes of ${section.size} bytes`, { section: SECTION });
  }
  const notes = new ByteReader(elf.contents(section, SECTION), elf.littleEndian, SECTION);
  const base = elf.find(".stapsdt.base")?.address ?? 0;
  const segments = mappedSegments(elf, source);
  const code = segments.filter(({ flags }) => (flags & PF_X) !== 0);
  const data = segments.filter(({ flags }) => (flags & PF_X) === 0);
  const probes: UsdtProbe[] = [];
  for (let at = 0; at < notes.length; ) {
    const [nameSize, size, type] = [notes.u32(at), notes.u32(at + 4), notes.u32(at + 8)];
    const start = at + 12 + align4(nameSize);
    notes.need(start, size);
    if (type !== NOTE_TYPE || notes.string(at + 12, start) !== OWNER) {
      throw new ElfError("ELF_INVALID", "a note that is none of a USDT probe", { section: SECTION, offset: at });
    }
    const word = (index: number): number =>
      wordSize === 8 ? notes.safeU64(start + 8 * index) : notes.u32(start + 4 * index);
    const [location, notedBase, semaphore] = [word(0), word(1), word(2)];
    // A prelinker moves the code and not what the notes say.
    const address = base !== 0 && notedBase !== 0 ? location + base - notedBase : location;
    const end = start + size;
    const providerAt = start + 3 * wordSize;
    const nameAt = notes.stringEnd(providerAt, end) + 1;
    const argsAt = notes.stringEnd(nameAt, end) + 1;
    const [provider, name, args] = [
      notes.string(providerAt, end),
      notes.string(nameAt, end),
      notes.string(argsAt, end),
    ];
    if (provider === "" || name === "") {
      throw new ElfError("ELF_INVALID", "a USDT probe without a name", { section: SECTION, offset: at });
    }
    const offset = addressToOffset(code, address);
    if (offset === undefined) throw outside(`the probe ${provider}:${name} is in no executable segment`, at);
    const counter = semaphore === 0 ? undefined : addressToOffset(data, semaphore);
    if (semaphore !== 0 && counter === undefined) {
      throw outside(`the semaphore of the probe ${provider}:${name} is in no segment of data`, at);
    }
    probes.push({ provider, name, address, offset, semaphore: counter, args });
    at = start + align4(size);
  }
  return { ...about, probes };
}

function outside(reason: string, offset: number): ElfError {
  return new ElfError("ELF_INVALID", reason, { section: SECTION, offset });
}

function align4(size: number): number {
  return Math.ceil(size / 4) * 4;
}
