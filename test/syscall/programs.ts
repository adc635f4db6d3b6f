// Hand-assembled programs and type information for the tests of this room, which stands below src/insn and src/btf.

/** One instruction. */
function insn(opcode: number, dst: number, src: number, off: number, imm: number): number[] {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, opcode);
  view.setUint8(1, dst | (src << 4));
  view.setInt16(2, off, true);
  view.setInt32(4, imm, true);
  return [...bytes];
}

const exit = insn(0x95, 0, 0, 0, 0);
const mov = (dst: number, imm: number) => insn(0xb7, dst, 0, 0, imm);
const call = (helper: number) => insn(0x85, 0, 0, 0, helper);
/** ldimm64 with BPF_PSEUDO_MAP_FD. */
const mapFd = (dst: number, fd: number) => [...insn(0x18, dst, 1, 0, fd), ...insn(0, 0, 0, 0, 0)];

/** Returns `value`. */
export function returning(value: number): Uint8Array {
  return Uint8Array.from([...mov(0, value), ...exit]);
}

/** Adds 1 to the u64 at key 0 of an array map, returns 0. */
export function counting(map: number): Uint8Array {
  return Uint8Array.from([
    ...insn(0x62, 10, 0, -4, 0),
    ...insn(0xbf, 2, 10, 0, 0),
    ...insn(0x07, 2, 0, 0, -4),
    ...mapFd(1, map),
    ...call(1),
    ...insn(0x15, 0, 0, 2, 0),
    ...mov(1, 1),
    ...insn(0xdb, 0, 1, 0, 0),
    ...mov(0, 0),
    ...exit,
  ]);
}

/** Puts `value` as u64 into a ring buffer, returns 0. */
export function emitting(ring: number, value: number): Uint8Array {
  return Uint8Array.from([
    ...insn(0x7a, 10, 0, -8, value),
    ...mapFd(1, ring),
    ...insn(0xbf, 2, 10, 0, 0),
    ...insn(0x07, 2, 0, 0, -8),
    ...mov(3, 8),
    ...mov(4, 0),
    ...call(130),
    ...mov(0, 0),
    ...exit,
  ]);
}

/** BTF with one type: `int` of 4 bytes, id 1. */
export function minimalBtf(): Uint8Array {
  const bytes = new Uint8Array(24 + 16 + 5);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xeb9f, true);
  view.setUint8(2, 1);
  view.setUint32(4, 24, true);
  view.setUint32(12, 16, true);
  view.setUint32(16, 16, true);
  view.setUint32(20, 5, true);
  view.setUint32(24, 1, true);
  view.setUint32(28, 1 << 24, true);
  view.setUint32(32, 4, true);
  view.setUint32(36, (1 << 24) | 32, true);
  bytes.set(new TextEncoder().encode("\0int\0"), 40);
  return bytes;
}

/** The u32 values as bytes. */
export function u32s(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

/** The u64 values as bytes. */
export function u64s(...values: bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values).buffer);
}

/** The first u64. */
export function asU64(bytes: Uint8Array | undefined): bigint | undefined {
  return bytes === undefined ? undefined : new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
}

/** BPF_MAP_TYPE_* as far as these tests use them. */
export const MapType = { hash: 1, array: 2, perCpuArray: 6, queue: 22, ringbuf: 27 } as const;
/** BPF_PROG_TYPE_* likewise. */
export const Prog = { socketFilter: 1, schedCls: 3, perfEvent: 7, cgroupSkb: 8, rawTracepoint: 17 } as const;
