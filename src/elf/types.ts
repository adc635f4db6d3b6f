// What the ELF room hands to the rooms above: plain data, all offsets checked against the file.

/** One section of an object file. */
export interface ElfSection {
  readonly index: number;
  readonly name: string;
  /** Raw `sh_type` (SHT_*). */
  readonly type: number;
  /** Raw `sh_flags`, low 32 bits (all flags that BPF objects use). */
  readonly flags: number;
  /** `sh_addr`. */
  readonly address: number;
  /** File offset of the contents. */
  readonly offset: number;
  /** Size in bytes; for SHT_NOBITS the size in memory. */
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly alignment: number;
  readonly entrySize: number;
  /** Contents: a view into the file's bytes; zeros of `size` for SHT_NOBITS. */
  readonly data: Uint8Array;
}

/** One entry of the symbol table. */
export interface ElfSymbol {
  readonly index: number;
  readonly name: string;
  /** `st_value`: in a relocatable object the byte offset inside its section. */
  readonly value: number;
  readonly size: number;
  /** STT_*, low 4 bits of `st_info`. */
  readonly type: number;
  /** STB_*, high 4 bits of `st_info`. */
  readonly binding: number;
  /** STV_*, low 2 bits of `st_other`. */
  readonly visibility: number;
  /** `st_shndx`, with SHN_XINDEX resolved; SHN_UNDEF, SHN_ABS and SHN_COMMON as they are. */
  readonly sectionIndex: number;
}

/** One SHT_REL or SHT_RELA entry. */
export interface ElfRelocation {
  /** Byte offset inside the section that is relocated. */
  readonly offset: number;
  /** R_BPF_*. */
  readonly type: number;
  /** Index into the symbol table. */
  readonly symbolIndex: number;
  /** RELA only; for REL the addend lies in the relocated place. */
  readonly addend: bigint | undefined;
}
