// Local and target BTF for relocation tests, made of short type expressions, and one call that relocates one instruction.

import { Btf, BtfBuilder, type CoreRelocationRecord } from "../../src/btf/index.js";
import { type CoreRelocationKind, CoreRelocator, type CoreTargets } from "../../src/core-reloc/index.js";
import { CoreRelocationKind as kinds } from "../../src/core-reloc/kinds.js";
import { type Insn, readInsn, setLdimm64, writeInsn } from "../../src/insn/index.js";

/** Adds a type to a builder and returns its id. */
export type TypeMaker = (types: BtfBuilder) => number;
type Types = TypeMaker | number;

const make = (types: BtfBuilder, type: Types): number => (typeof type === "number" ? type : type(types));

/** Bit offset, type, and for bitfields the width. */
type Member = readonly [name: string, bitOffset: number, type: Types, bitSize?: number];

const composite =
  (add: "addStruct" | "addUnion") =>
  (name: string, size: number, ...members: readonly Member[]): TypeMaker =>
  (types) =>
    types[add](
      name,
      size,
      members.map(([member, bitOffset, type, bitSize]) => ({
        name: member,
        bitOffset,
        type: make(types, type),
        bitSize,
      })),
    );

export const struct = composite("addStruct");
export const union = composite("addUnion");
export const int =
  (
    name: string,
    size: number,
    signed = false,
    more: { char?: boolean; bool?: boolean; bitOffset?: number } = {},
  ): TypeMaker =>
  (types) =>
    types.addInt(name, size, { signed, ...more });
export const u8 = int("unsigned char", 1);
export const u16 = int("unsigned short", 2);
export const u32 = int("unsigned int", 4);
export const u64 = int("unsigned long", 8);
export const s32 = int("int", 4, true);
export const s64 = int("long", 8, true);
export const float =
  (name: string, size: number): TypeMaker =>
  (types) =>
    types.addFloat(name, size);
export const ptr =
  (type: Types = 0): TypeMaker =>
  (types) =>
    types.addPtr(make(types, type));
export const array =
  (type: Types, count: number): TypeMaker =>
  (types) =>
    types.addArray(make(types, type), u32(types), count);
export const typedef =
  (name: string, type: Types): TypeMaker =>
  (types) =>
    types.addTypedef(name, make(types, type));
export const qualified =
  (type: Types): TypeMaker =>
  (types) =>
    types.addConst(types.addVolatile(types.addRestrict(types.addTypeTag("user", make(types, type)))));
export const fwd =
  (name: string, isUnion = false): TypeMaker =>
  (types) =>
    types.addFwd(name, isUnion);
export const proto =
  (returnType: Types, ...params: readonly Types[]): TypeMaker =>
  (types) =>
    types.addFuncProto(
      make(types, returnType),
      params.map((type) => ({ name: "", type: make(types, type) })),
    );
export const enumeration =
  (name: string, values: Readonly<Record<string, number>>, options?: { size?: number; signed?: boolean }): TypeMaker =>
  (types) =>
    types.addEnum(
      name,
      Object.entries(values).map(([key, value]) => ({ name: key, value })),
      options,
    );
export const enumeration64 =
  (name: string, values: Readonly<Record<string, bigint>>, options?: { size?: number; signed?: boolean }): TypeMaker =>
  (types) =>
    types.addEnum64(
      name,
      Object.entries(values).map(([key, value]) => ({ name: key, value })),
      options,
    );

/** BTF that holds these types (and what they are made of); the ids of the types, in order. */
export function btfOf(
  makers: readonly TypeMaker[],
  options: { littleEndian?: boolean; base?: Btf; strings?: readonly string[] } = {},
): { btf: Btf; ids: readonly number[]; offsets: readonly number[] } {
  const types = new BtfBuilder({ littleEndian: options.littleEndian ?? true, base: options.base });
  const ids = makers.map((maker) => maker(types));
  const offsets = (options.strings ?? []).map((text) => types.addString(text));
  const btf = Btf.parse(types.build(), options.base === undefined ? {} : { base: options.base });
  return { btf, ids, offsets };
}

export const kernelOf = (...makers: readonly TypeMaker[]): Btf => btfOf(makers).btf;

/** Instructions to relocate. Registers and immediates without meaning are 0. */
export const mov = (imm: number): Insn => ({ opcode: 0xb7, dst: 1, src: 0, off: 0, imm });
export const ldx = (size: "B" | "H" | "W" | "DW", off: number): Insn => ({
  opcode: 0x61 | { W: 0, H: 8, B: 0x10, DW: 0x18 }[size],
  dst: 2,
  src: 1,
  off,
  imm: 0,
});
export const exit: Insn = { opcode: 0x95, dst: 0, src: 0, off: 0, imm: 0 };

export function code(...insns: readonly (Insn | bigint)[]): Uint8Array {
  const bytes = new Uint8Array(8 * insns.reduce((count, insn) => count + (typeof insn === "bigint" ? 2 : 1), 0));
  let index = 0;
  for (const insn of insns) {
    if (typeof insn === "bigint") {
      writeInsn(bytes, index, { opcode: 0x18, dst: 3, src: 0, off: 0, imm: 0 });
      setLdimm64(bytes, index, insn);
      index += 2;
    } else writeInsn(bytes, index++, insn);
  }
  return bytes;
}

export const decode = (bytes: Uint8Array): Insn[] =>
  Array.from({ length: bytes.length / 8 }, (_, index) => readInsn(bytes, index));

export type Kind = keyof typeof CoreRelocationKind;

/** A record of the (only) local type, and the relocator for it. */
export function setUp(
  local: TypeMaker,
  targets: CoreTargets | Btf,
  access: string,
  kind: Kind,
  options: { littleEndian?: boolean } = {},
): { relocator: CoreRelocator; record: CoreRelocationRecord; local: Btf } {
  const { btf, ids, offsets } = btfOf([local], { ...options, strings: [access] });
  const relocator = new CoreRelocator(btf, targets instanceof Btf ? { kernel: targets } : targets);
  const record = { insnOffset: 0, typeId: ids[0]!, accessOffset: offsets[0]!, kind: kinds[kind] };
  return { relocator, record, local: btf };
}

/**
 * The value that a relocation gives, "poison" when it poisons; errors pass. The instruction, a 64-bit immediate, holds
 * `original`, which the relocation must agree with where it is validated.
 */
export function relocate(
  local: TypeMaker,
  targets: CoreTargets | Btf,
  access: string,
  kind: Kind,
  original: bigint,
  options: { littleEndian?: boolean } = {},
): bigint | "poison" {
  const { relocator, record } = setUp(local, targets, access, kind, options);
  const result = relocator.apply(code(original), record);
  return result.poisoned ? "poison" : result.value;
}
