// .BTF.ext: what the compiler says about instructions. Opening checks the structure of its three parts; the records
// are taken out when someone reads them (record-list.ts). Rules: libbpf.md 5.1.

import { BtfError } from "../errors.js";
import type { Btf } from "./btf.js";
import { type RecordFormat, RecordList } from "./record-list.js";
import { BTF_VERSION, byteOrder, hostIsLittleEndian } from "./wire.js";

/** Where a function begins. */
export interface FuncInfoRecord {
  /** In bytes from the start of the ELF section. */
  readonly insnOffset: number;
  /** BTF id of the FUNC. */
  readonly typeId: number;
}

/** The source line of an instruction. */
export interface LineInfoRecord {
  /** In bytes from the start of the ELF section. */
  readonly insnOffset: number;
  /** String offset in the BTF. */
  readonly fileNameOffset: number;
  /** String offset of the line's text. */
  readonly lineOffset: number;
  /** From 1. */
  readonly line: number;
  /** From 1; 0 when unknown. */
  readonly column: number;
}

/** A CO-RE relocation as the compiler left it (libbpf.md 4.1). */
export interface CoreRelocationRecord {
  /** In bytes from the start of the ELF section. */
  readonly insnOffset: number;
  /** Local BTF id of the root type. */
  readonly typeId: number;
  /** String offset of the access string, `0:1:2`. */
  readonly accessOffset: number;
  /** BPF_CORE_*, see libbpf.md 4.2. */
  readonly kind: number;
}

/** The records of one ELF section. */
export interface BtfExtSection<R> {
  readonly sectionName: string;
  /** Made when first read. */
  readonly records: RecordList<R>;
}

/** The contents of `.BTF.ext`; a part that the file does not have is empty. */
export interface BtfExt {
  readonly funcInfo: readonly BtfExtSection<FuncInfoRecord>[];
  readonly lineInfo: readonly BtfExtSection<LineInfoRecord>[];
  readonly coreRelocations: readonly BtfExtSection<CoreRelocationRecord>[];
}

/** Header without, and with, the CO-RE part. */
const MIN_HEADER_SIZE = 24;
const CORE_HEADER_SIZE = 32;

type Words = (offset: number) => number;

interface PartFormat<R> extends RecordFormat<R> {
  readonly what: string;
}

const funcInfoFormat: PartFormat<FuncInfoRecord> = {
  what: "func_info",
  width: 2,
  read: (words, at) => ({ insnOffset: words[at]!, typeId: words[at + 1]! }),
};

const lineInfoFormat: PartFormat<LineInfoRecord> = {
  what: "line_info",
  width: 4,
  read: (words, at) => {
    const lineAndColumn = words[at + 3]!;
    return {
      insnOffset: words[at]!,
      fileNameOffset: words[at + 1]!,
      lineOffset: words[at + 2]!,
      line: lineAndColumn >>> 10,
      column: lineAndColumn & 0x3ff,
    };
  },
};

const coreFormat: PartFormat<CoreRelocationRecord> = {
  what: "core_relo",
  width: 4,
  read: (words, at) => ({
    insnOffset: words[at]!,
    typeId: words[at + 1]!,
    accessOffset: words[at + 2]!,
    kind: words[at + 3]!,
  }),
};

/** What functions without records have. */
export const NO_LINE_INFO: RecordList<LineInfoRecord> = new RecordList(new Uint32Array(), lineInfoFormat);
export const NO_CORE_RELOCATIONS: RecordList<CoreRelocationRecord> = new RecordList(new Uint32Array(), coreFormat);

/** `count` records of `stride` bytes from `start`, taken out when asked for. */
class LazySection<R> implements BtfExtSection<R> {
  readonly sectionName: string;
  #records: RecordList<R> | undefined;
  readonly #make: () => RecordList<R>;

  constructor(sectionName: string, make: () => RecordList<R>) {
    this.sectionName = sectionName;
    this.#make = make;
  }

  get records(): RecordList<R> {
    this.#records ??= this.#make();
    return this.#records;
  }
}

/**
 * Opens `.BTF.ext`, which must have the byte order of the BTF it belongs to. Structure and section names are checked
 * here; type ids and string offsets inside the records when they are used with `btf`. The bytes are read in place and
 * must not change.
 *
 * @throws BtfError `BTF_INVALID`, with the offset from the start of the section (libbpf: btf_ext__new)
 */
export function parseBtfExt(bytes: Uint8Array, btf: Btf): BtfExt {
  if (bytes.length < MIN_HEADER_SIZE) throw invalid(`${bytes.length} bytes are too few for a header`, 0);
  const littleEndian = byteOrder(bytes);
  if (littleEndian === undefined) throw invalid("no BTF magic", 0);
  if (littleEndian !== btf.littleEndian) throw invalid("the byte order differs from that of .BTF", 0);
  if (bytes[2] !== BTF_VERSION) throw invalid(`version ${bytes[2]} is not supported`, 2);
  if (bytes[3] !== 0) throw invalid(`flags 0x${bytes[3]!.toString(16)} are not supported`, 3);

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word: Words = (offset) => view.getUint32(offset, littleEndian);
  const headerLength = word(4);
  if (headerLength < MIN_HEADER_SIZE || headerLength > bytes.length) {
    throw invalid(`header length ${headerLength} is out of range`, 4);
  }

  const part = <R>(headerOffset: number, format: PartFormat<R>): BtfExtSection<R>[] => {
    const offset = word(headerOffset);
    const length = word(headerOffset + 4);
    if (length === 0) return [];
    const start = headerLength + offset;
    if (offset % 4 !== 0) throw invalid(`${format.what} is not aligned to four bytes`, headerOffset);
    if (start + length > bytes.length) throw invalid(`${format.what} exceeds the section`, headerOffset);
    return readPart({ word, bytes, btf }, start, start + length, format);
  };
  return {
    funcInfo: part(8, funcInfoFormat),
    lineInfo: part(16, lineInfoFormat),
    coreRelocations: headerLength < CORE_HEADER_SIZE ? [] : part(24, coreFormat),
  };
}

interface Source {
  readonly word: Words;
  readonly bytes: Uint8Array;
  readonly btf: Btf;
}

function readPart<R>(source: Source, start: number, end: number, format: PartFormat<R>): BtfExtSection<R>[] {
  const { word, btf } = source;
  const minimum = format.width * 4;
  if (end - start < 4) throw invalid(`${format.what} has no record size`, start);
  const stride = word(start);
  if (stride < minimum || stride % 4 !== 0) {
    throw invalid(`${format.what} has record size ${stride}, not a multiple of four from ${minimum}`, start);
  }
  const sections: BtfExtSection<R>[] = [];
  let at = start + 4;
  if (at === end) throw invalid(`${format.what} has no records`, start);
  while (at < end) {
    if (end - at < 8) throw invalid(`${format.what} ends inside a section header`, at);
    const name = sectionName(btf, word(at), at);
    const count = word(at + 4);
    const first = at + 8;
    if (count === 0) throw invalid(`${format.what} of section ${name} has no records`, at + 4);
    if (count * stride > end - first) {
      throw invalid(`${format.what} of section ${name}: ${count} records exceed the data`, at + 4);
    }
    sections.push(new LazySection(name, () => readRecords(source, first, count, stride, format)));
    at = first + count * stride;
  }
  return sections;
}

/** The known words of records, which may lie anywhere in the file, as words of the host. */
function readRecords<R>(
  { bytes, btf }: Source,
  first: number,
  count: number,
  stride: number,
  format: RecordFormat<R>,
): RecordList<R> {
  const { width } = format;
  if (stride === width * 4 && btf.littleEndian === hostIsLittleEndian) {
    return new RecordList(
      new Uint32Array(Uint8Array.from(bytes.subarray(first, first + count * stride)).buffer),
      format,
    );
  }
  const words = new Uint32Array(count * width);
  const view = new DataView(bytes.buffer, bytes.byteOffset + first, count * stride);
  const { littleEndian } = btf;
  let to = 0;
  for (let at = 0; at < view.byteLength; at += stride) {
    for (let word = 0; word < width; word++) words[to++] = view.getUint32(at + word * 4, littleEndian);
  }
  return new RecordList(words, format);
}

function sectionName(btf: Btf, offset: number, at: number): string {
  try {
    return btf.string(offset);
  } catch (cause) {
    throw new BtfError("BTF_INVALID", `section name at string offset ${offset} is out of range`, {
      section: ".BTF.ext",
      offset: at,
      cause,
    });
  }
}

function invalid(reason: string, offset: number): BtfError {
  return new BtfError("BTF_INVALID", reason, { section: ".BTF.ext", offset });
}
