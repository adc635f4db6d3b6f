// Makes small BPF objects by hand: sections, symbols, relocations, BTF and .BTF.ext, in either byte order. The BTF writer
// is its own (not BtfBuilder), so that a fault there cannot hide one here.

import { SectionType, SymbolBinding, SymbolType } from "../../src/elf/index.js";
import { INSN_SIZE, type Insn, Opcode, swapInsns, writeInsn } from "../../src/insn/index.js";
import { buildElf, type RelocationInput, relocationTable, type SectionInput, symbolTable } from "../elf/builder.js";

export const exit: Insn = { opcode: Opcode.EXIT, dst: 0, src: 0, off: 0, imm: 0 };
export const mov: Insn = { opcode: 0xb7, dst: 0, src: 0, off: 0, imm: 0 };
const pad: Insn = { opcode: 0, dst: 0, src: 0, off: 0, imm: 0 };

export const load = (imm = 0, src = 0): Insn[] => [{ opcode: Opcode.LDIMM64, dst: 1, src, off: 0, imm }, pad];
/** A call of a function; -1 is what compilers write when a relocation tells the target. */
export const call = (imm = -1, src = 1): Insn => ({ opcode: Opcode.CALL, dst: 0, src, off: 0, imm });

export function code(...insns: readonly (Insn | Insn[])[]): Uint8Array {
  const flat = insns.flat();
  const bytes = new Uint8Array(flat.length * INSN_SIZE);
  flat.forEach((insn, i) => {
    writeInsn(bytes, i, insn);
  });
  return bytes;
}

type Words = (number | bigint)[];

/** Writes BTF as the compiler does. Every method returns the new type's id. */
export class TypeWriter {
  readonly littleEndian: boolean;
  #types: number[] = [];
  #strings = [0];
  #count = 0;

  constructor(littleEndian = true) {
    this.littleEndian = littleEndian;
  }

  string(text: string): number {
    if (text === "") return 0;
    const at = this.#strings.length;
    this.#strings.push(...new TextEncoder().encode(text), 0);
    return at;
  }

  #add(
    name: string,
    kind: number,
    vlen: number,
    sizeOrType: number,
    extra: readonly number[] = [],
    flag = false,
  ): number {
    this.#types.push(this.string(name), ((flag ? 0x80000000 : 0) | (kind << 24) | vlen) >>> 0, sizeOrType, ...extra);
    return ++this.#count;
  }

  int(name = "int", size = 4): number {
    return this.#add(name, 1, 0, size, [size * 8]);
  }
  ptr(type: number): number {
    return this.#add("", 2, 0, type);
  }
  array(element: number, count: number): number {
    return this.#add("", 3, 0, 0, [element, element, count]);
  }
  struct(name: string, size: number, members: readonly (readonly [string, number])[]): number {
    const extra = members.flatMap(([member, type], i) => [this.string(member), type, i * 64]);
    return this.#add(name, 4, members.length, size, extra);
  }
  enum32(values: readonly number[]): number {
    return this.#add(
      "",
      6,
      values.length,
      4,
      values.flatMap((value, i) => [this.string(`v${i}`), value]),
    );
  }
  enum64(values: readonly bigint[]): number {
    const words = values.flatMap((v, i) => [this.string(`w${i}`), Number(v & 0xffffffffn), Number(v >> 32n)]);
    return this.#add("", 19, values.length, 8, words);
  }
  typedef(name: string, type: number): number {
    return this.#add(name, 8, 0, type);
  }
  proto(returnType = 0): number {
    return this.#add("", 13, 0, returnType);
  }
  func(name: string, linkage = 1, proto = this.proto()): number {
    return this.#add(name, 12, linkage, proto);
  }
  variable(name: string, type: number, linkage = 1): number {
    return this.#add(name, 14, 0, type, [linkage]);
  }
  datasec(name: string, entries: readonly (readonly [type: number, offset: number, size: number])[], size = 0): number {
    return this.#add(name, 15, entries.length, size, entries.flat());
  }
  declTag(text: string, type: number): number {
    return this.#add(text, 17, 0, type, [0xffffffff]);
  }

  /** `__uint(name, value)` */
  uint(value: number): number {
    return this.ptr(this.array(this.int(), value));
  }

  build(): Uint8Array {
    const types = words(this.#types, this.littleEndian);
    const header = words([0, 24, 0, types.length, types.length, this.#strings.length], this.littleEndian);
    return concat(magic(this.littleEndian), header.subarray(4), types, Uint8Array.from(this.#strings));
  }
}

/** Records of one kind for one section; each is its words, offset in bytes first. */
export interface ExtInput {
  section: string;
  records: readonly (readonly number[])[];
}

/** Contents of .BTF.ext. `types` gets the section names as strings. */
export function btfExt(
  types: TypeWriter,
  parts: { func?: ExtInput[]; line?: ExtInput[]; core?: ExtInput[] },
): Uint8Array {
  const part = (inputs: readonly ExtInput[] | undefined, recordSize: number): Words => {
    if (inputs === undefined) return [];
    return [
      recordSize,
      ...inputs.flatMap(({ section, records }) => [types.string(section), records.length, ...records.flat()]),
    ];
  };
  const func = part(parts.func, 8);
  const line = part(parts.line, 16);
  const core = part(parts.core, 16);
  const [f, l, c] = [func.length * 4, line.length * 4, core.length * 4];
  const header = words([0, 32, 0, f, f, l, f + l, c], types.littleEndian).subarray(4);
  return concat(magic(types.littleEndian), header, words([...func, ...line, ...core], types.littleEndian));
}

function magic(littleEndian: boolean): Uint8Array {
  return Uint8Array.from(littleEndian ? [0x9f, 0xeb, 1, 0] : [0xeb, 0x9f, 1, 0]);
}

function words(values: Words, littleEndian: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  values.forEach((value, i) => {
    view.setUint32(i * 4, Number(value), littleEndian);
  });
  return new Uint8Array(view.buffer);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

export interface SymbolOptions {
  value?: number;
  size?: number;
  type?: number;
  binding?: number;
  visibility?: number;
}

/** An object file under construction. Sections and symbols are named by the numbers that the methods return. */
export class ObjectWriter {
  readonly littleEndian: boolean;
  readonly #sections: SectionInput[] = [];
  readonly #symbols: (SymbolOptions & { name: string; sectionIndex: number })[] = [];
  readonly #relocations = new Map<number, RelocationInput[]>();
  #relocationType: number = SectionType.REL;

  constructor(littleEndian = true) {
    this.littleEndian = littleEndian;
  }

  section(name: string, data: Uint8Array, options: Partial<SectionInput> = {}): number {
    return this.#sections.push({ name, type: SectionType.PROGBITS, flags: 3, data, alignment: 8, ...options });
  }
  code(name: string, insns: Uint8Array): number {
    const data = insns.slice();
    if (!this.littleEndian) swapInsns(data);
    return this.section(name, data, { flags: 6 });
  }
  bss(name: string, size: number): number {
    return this.#sections.push({ name, type: SectionType.NOBITS, flags: 3, size, alignment: 8 });
  }
  btf(types: TypeWriter): number {
    return this.section(".BTF", types.build(), { flags: 0 });
  }

  symbol(name: string, sectionIndex: number, options: SymbolOptions = {}): number {
    return this.#symbols.push({
      type: SymbolType.OBJECT,
      binding: SymbolBinding.GLOBAL,
      ...options,
      name,
      sectionIndex,
    });
  }
  func(name: string, sectionIndex: number, value: number, size: number, options: SymbolOptions = {}): number {
    return this.symbol(name, sectionIndex, { type: SymbolType.FUNC, value, size, ...options });
  }
  sectionSymbol(sectionIndex: number): number {
    return this.symbol("", sectionIndex, { type: SymbolType.SECTION, binding: SymbolBinding.LOCAL });
  }
  extern(name: string, weak = false): number {
    const binding = weak ? SymbolBinding.WEAK : SymbolBinding.GLOBAL;
    return this.symbol(name, 0, { type: SymbolType.NOTYPE, binding });
  }

  relocate(sectionIndex: number, offset: number, symbolIndex: number, type = 1): void {
    const list = this.#relocations.get(sectionIndex) ?? [];
    this.#relocations.set(sectionIndex, list);
    list.push({ offset, type, symbolIndex });
  }
  /** Writes relocations as SHT_RELA. */
  withAddends(): void {
    this.#relocationType = SectionType.RELA;
    for (const relocation of [...this.#relocations.values()].flat()) relocation.addend = 0n;
  }

  build({ stripped = false }: { stripped?: boolean } = {}): Uint8Array {
    const sections = [...this.#sections];
    if (!stripped) {
      const symtab = sections.length + this.#relocations.size + 1;
      for (const [info, list] of this.#relocations) {
        sections.push({
          name: `.rel${this.#sections[info - 1]!.name}`,
          type: this.#relocationType,
          data: relocationTable(list, this.littleEndian),
          link: symtab,
          info,
          entrySize: this.#relocationType === SectionType.RELA ? 24 : 16,
        });
      }
      const tables = symbolTable(this.#symbols, this.littleEndian);
      sections.push({
        name: ".symtab",
        type: SectionType.SYMTAB,
        data: tables.symtab,
        link: symtab + 1,
        entrySize: 24,
      });
      sections.push({ name: ".strtab", type: SectionType.STRTAB, data: tables.strtab });
    }
    return buildElf(sections, this.littleEndian).bytes;
  }
}
