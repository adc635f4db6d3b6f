// Numbers of the ELF format that BPF objects use (System V ABI; BPF part: UAPI linux/elf-em.h and LLVM's ELFRelocs/BPF.def).
// Tables of data only; prefixes are dropped because the table's name carries them.

/** `e_machine` values with a meaning here (EM_*). Old LLVM wrote 0 into BPF objects. */
export const ElfMachine = { NONE: 0, BPF: 247 } as const;

/** `sh_type` (SHT_*). */
export const SectionType = {
  NULL: 0,
  PROGBITS: 1,
  SYMTAB: 2,
  STRTAB: 3,
  RELA: 4,
  NOTE: 7,
  NOBITS: 8,
  REL: 9,
  DYNSYM: 11,
  GROUP: 17,
  SYMTAB_SHNDX: 18,
  LLVM_ADDRSIG: 0x6fff4c03,
} as const;

/** Bits of `sh_flags` (SHF_*). */
export const SectionFlag = {
  WRITE: 0x1,
  ALLOC: 0x2,
  EXECINSTR: 0x4,
  MERGE: 0x10,
  STRINGS: 0x20,
  INFO_LINK: 0x40,
  GROUP: 0x200,
  COMPRESSED: 0x800,
} as const;

/** Section indices with a meaning of their own (SHN_*). */
export const SpecialSection = {
  UNDEF: 0,
  /** First reserved index: nothing from here on is an ordinary `st_shndx`. */
  LORESERVE: 0xff00,
  ABS: 0xfff1,
  COMMON: 0xfff2,
  /** The real index lies in SHT_SYMTAB_SHNDX (or, for the header, in section 0). */
  XINDEX: 0xffff,
} as const;

/** Symbol type, low 4 bits of `st_info` (STT_*). */
export const SymbolType = { NOTYPE: 0, OBJECT: 1, FUNC: 2, SECTION: 3, FILE: 4 } as const;

/** Symbol binding, high 4 bits of `st_info` (STB_*). */
export const SymbolBinding = { LOCAL: 0, GLOBAL: 1, WEAK: 2 } as const;

/** Symbol visibility, low 2 bits of `st_other` (STV_*). */
export const SymbolVisibility = { DEFAULT: 0, INTERNAL: 1, HIDDEN: 2, PROTECTED: 3 } as const;

/** Relocation types of BPF objects (R_BPF_*). */
export const BpfRelocationType = {
  NONE: 0,
  /** Address of a symbol in an ldimm64 (16 bytes). */
  "64_64": 1,
  ABS64: 2,
  ABS32: 3,
  /** 32-bit value in .BTF and .BTF.ext that a linker does not adjust. */
  NODYLD32: 4,
  /** Call of a symbol, in the immediate of one instruction. */
  "64_32": 10,
} as const;
