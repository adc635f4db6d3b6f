// The ELF room: sections, symbols and relocations of BPF object files. Pure: bytes in, data out.

export { ByteReader } from "./byte-reader.js";
export {
  BpfRelocationType,
  ElfMachine,
  SectionFlag,
  SectionType,
  SpecialSection,
  SymbolBinding,
  SymbolType,
  SymbolVisibility,
} from "./constants.js";
export { addressToOffset, type BinaryFunction, BinaryFunctions } from "./functions.js";
export { type ElfFile, parseElf } from "./parse.js";
export { type ElfRanges, isElf, type RangeSource, readSectionTable, type Segment } from "./ranged.js";
export { parseRelocations } from "./relocations.js";
export type { ElfRelocation, ElfSection, ElfSymbol } from "./types.js";
export { MAX_USDT_ARGUMENTS, parseUsdtArguments, USDT_SPEC_SIZE, usdtSpec } from "./usdt-arguments.js";
export { readUsdtProbes, type UsdtProbe } from "./usdt-notes.js";
export { zipMember } from "./zip.js";
