// elfy 1.0.0 ships no types. Only the parts that are read from it are declared: the others are wrong for ELF64 or lossy
// (typescript.md section 2), and leaving them out keeps anyone from using them.

declare module "elfy" {
  /** What elfy needs of its input; Node's Buffer has it all. */
  interface ElfyInput {
    readonly length: number;
    readonly [index: number]: number;
    /** A view that shares memory (Buffer's meaning of `slice`). */
    slice(start?: number, end?: number): ElfyInput;
    /** The bytes as UTF-8. */
    toString(): string;
    readUInt16LE(offset: number): number;
    readUInt16BE(offset: number): number;
    readUInt32LE(offset: number): number;
    readUInt32BE(offset: number): number;
  }

  interface ElfySection {
    readonly name: string;
    readonly link: number;
    readonly info: number;
  }

  const elfy: {
    parse(bytes: ElfyInput): { readonly body: { readonly sections: readonly ElfySection[] } };
  };

  export type { ElfyInput };
  export default elfy;
}
