// Reading, writing and patching instructions in bytes. Always little-endian: instructions of big-endian objects are swapped
// once when they are opened. No DataView and no object is made where a single field is wanted: relocation visits every
// instruction of a program.

import { ArgumentError } from "../errors.js";
import { INSN_SIZE, Opcode } from "./constants.js";

/** One instruction, decoded. */
export interface Insn {
  /** 0 to 255. */
  readonly opcode: number;
  /** Destination register, 0 to 15. */
  readonly dst: number;
  /** Source register, or a BPF_PSEUDO_* value; 0 to 15. */
  readonly src: number;
  /** Signed 16 bits. */
  readonly off: number;
  /** Signed 32 bits. */
  readonly imm: number;
}

/** A call of helper 0: spread it and set `imm`. */
export const BPF_CALL_INSN: Insn = { opcode: Opcode.CALL, dst: 0, src: 0, off: 0, imm: 0 };

/** Decodes the instruction at `index` (in instructions, not bytes). Throws ArgumentError outside of `bytes`. */
export function readInsn(bytes: Uint8Array, index: number): Insn {
  const at = position(bytes, index);
  const registers = bytes[at + 1]!;
  return {
    opcode: bytes[at]!,
    dst: registers & 0xf,
    src: registers >> 4,
    off: ((bytes[at + 2]! | (bytes[at + 3]! << 8)) << 16) >> 16,
    imm: imm32(bytes, at),
  };
}

/**
 * Encodes `insn` at `index` (in instructions). `imm` may be given signed or unsigned (-2^31 to 2^32 - 1).
 *
 * @throws ArgumentError when a field does not fit, or `index` lies outside of `bytes`
 */
export function writeInsn(bytes: Uint8Array, index: number, insn: Insn): void {
  const at = position(bytes, index);
  const { opcode, dst, src, off, imm } = insn;
  check("opcode", opcode, 0, 0xff);
  check("destination register", dst, 0, 0xf);
  check("source register", src, 0, 0xf);
  check("offset", off, -0x8000, 0x7fff);
  checkImm(imm);
  bytes[at] = opcode;
  bytes[at + 1] = dst | (src << 4);
  putOff(bytes, at, off);
  putImm(bytes, at, imm);
}

/** Opcode of the instruction at `index`. Throws ArgumentError outside of `bytes`. */
export function opcodeAt(bytes: Uint8Array, index: number): number {
  return bytes[position(bytes, index)]!;
}

/** Whether the instruction at `index` is the first half of a 64-bit immediate load whose second half is there too. */
export function isLdimm64(bytes: Uint8Array, index: number): boolean {
  return opcodeAt(bytes, index) === Opcode.LDIMM64 && (index + 2) * INSN_SIZE <= bytes.length;
}

/** Replaces the source register (or BPF_PSEUDO_* value) of the instruction at `index`. Throws ArgumentError. */
export function setSource(bytes: Uint8Array, index: number, src: number): void {
  const at = position(bytes, index);
  check("source register", src, 0, 0xf);
  bytes[at + 1] = (bytes[at + 1]! & 0xf) | (src << 4);
}

/** Replaces the offset field (signed 16 bits) of the instruction at `index`. Throws ArgumentError when it does not fit. */
export function setOff(bytes: Uint8Array, index: number, off: number): void {
  const at = position(bytes, index);
  check("offset", off, -0x8000, 0x7fff);
  putOff(bytes, at, off);
}

/** Replaces the immediate (-2^31 to 2^32 - 1) of the instruction at `index`. Throws ArgumentError when it does not fit. */
export function setImm(bytes: Uint8Array, index: number, imm: number): void {
  const at = position(bytes, index);
  checkImm(imm);
  putImm(bytes, at, imm);
}

/** The 64-bit immediate of the load at `index`, unsigned. Throws ArgumentError when there is no such load. */
export function ldimm64At(bytes: Uint8Array, index: number): bigint {
  const at = ldimm64Position(bytes, index);
  const high = imm32(bytes, at + INSN_SIZE) >>> 0;
  return (BigInt(high) << 32n) | BigInt(imm32(bytes, at) >>> 0);
}

/**
 * Replaces the 64-bit immediate (-2^63 to 2^64 - 1) of the load at `index`, over both halves.
 *
 * @throws ArgumentError when there is no such load, or the value does not fit
 */
export function setLdimm64(bytes: Uint8Array, index: number, value: bigint): void {
  const at = ldimm64Position(bytes, index);
  if (value !== BigInt.asIntN(64, value) && value !== BigInt.asUintN(64, value)) {
    throw new ArgumentError(`${value} does not fit the 64-bit immediate of an instruction`);
  }
  putImm(bytes, at, Number(BigInt.asIntN(32, value)));
  putImm(bytes, at + INSN_SIZE, Number(BigInt.asIntN(32, value >> 32n)));
}

/**
 * Turns instructions of the other byte order around, in place. In a big-endian file the register fields are swapped as
 * well (they are bit fields), and the two multi-byte fields each.
 *
 * libbpf: `bpf_insn_bswap`.
 *
 * @throws ArgumentError when the length is no multiple of 8
 */
export function swapInsns(bytes: Uint8Array): void {
  if (bytes.length % INSN_SIZE !== 0) {
    throw new ArgumentError(`${bytes.length} bytes are no whole number of ${INSN_SIZE}-byte instructions`);
  }
  for (let at = 0; at < bytes.length; at += INSN_SIZE) {
    const registers = bytes[at + 1]!;
    bytes[at + 1] = (registers >> 4) | (registers << 4);
    exchange(bytes, at + 2, at + 3);
    exchange(bytes, at + 4, at + 7);
    exchange(bytes, at + 5, at + 6);
  }
}

function exchange(bytes: Uint8Array, a: number, b: number): void {
  const byte = bytes[a]!;
  bytes[a] = bytes[b]!;
  bytes[b] = byte;
}

/** Byte position of instruction `index`, checked. */
function position(bytes: Uint8Array, index: number): number {
  if (Number.isInteger(index) && index >= 0 && (index + 1) * INSN_SIZE <= bytes.length) return index * INSN_SIZE;
  throw new ArgumentError(`no instruction ${index} among ${Math.floor(bytes.length / INSN_SIZE)}`);
}

function ldimm64Position(bytes: Uint8Array, index: number): number {
  if (isLdimm64(bytes, index)) return index * INSN_SIZE;
  throw new ArgumentError(`instruction ${index} is no load of a 64-bit immediate`);
}

function imm32(bytes: Uint8Array, at: number): number {
  return bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24);
}

function putOff(bytes: Uint8Array, at: number, off: number): void {
  bytes[at + 2] = off;
  bytes[at + 3] = off >> 8;
}

function putImm(bytes: Uint8Array, at: number, imm: number): void {
  bytes[at + 4] = imm;
  bytes[at + 5] = imm >> 8;
  bytes[at + 6] = imm >> 16;
  bytes[at + 7] = imm >> 24;
}

function checkImm(imm: number): void {
  check("immediate", imm, -0x8000_0000, 0xffff_ffff);
}

// Typed arrays keep the low byte of anything, even of NaN; a loader must not write a wrong program in silence.
function check(what: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new ArgumentError(`${value} does not fit the ${what} of an instruction`);
}
