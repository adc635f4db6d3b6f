// What feature probes are made of: the smallest programs, maps and type information, tried on the running kernel. The
// tables of src/kernel/features*.ts combine them.

import { BtfBuilder } from "../btf/index.js";
import { SystemCallError } from "../errors.js";
import { INSN_SIZE, type Insn, Opcode, writeInsn } from "../insn/index.js";
import {
  btfLoad,
  Errno,
  type FileDescriptor,
  type MapCreateOptions,
  mapCreate,
  type ProgLoadOptions,
  progLoad,
  textOf,
} from "../syscall/index.js";

/** True: the kernel can do it. False: it cannot. Undefined: cannot be told, for want of rights or memory. */
export type Answer = boolean | undefined;

/** Refusals that say something about this process or moment, and nothing about the kernel. */
const inconclusive: ReadonlySet<number> = new Set([
  Errno.EPERM,
  Errno.ENOSYS,
  Errno.EMFILE,
  Errno.ENFILE,
  Errno.ENOMEM,
  Errno.EAGAIN,
  Errno.EINTR,
]);

/** What a call's errno (0: it succeeded) tells about the feature that it needs. */
export function answerOf(errno: number): Answer {
  if (errno === 0) return true;
  return inconclusive.has(errno) ? undefined : false;
}

/** Encodes a program; fields that are left out are 0. */
export function insns(...list: readonly Partial<Insn>[]): Uint8Array {
  const bytes = new Uint8Array(list.length * INSN_SIZE);
  for (const [index, insn] of list.entries()) {
    writeInsn(bytes, index, { opcode: 0, dst: 0, src: 0, off: 0, imm: 0, ...insn });
  }
  return bytes;
}

/** 64-bit move of a constant, and of a register, and the addition of a constant. */
const MOV_K = 0xb7;
const MOV_X = 0xbf;
const ADD_K = 0x07;

/** `rDST = value`. */
export const set = (dst: number, imm: number): Partial<Insn> => ({ opcode: MOV_K, dst, imm });
/** `rDST = rSRC`. */
export const copy = (dst: number, src: number): Partial<Insn> => ({ opcode: MOV_X, dst, src });
/** `rDST += value`. */
export const add = (dst: number, imm: number): Partial<Insn> => ({ opcode: ADD_K, dst, imm });
/** Call of a helper by its number. */
export const call = (imm: number): Partial<Insn> => ({ opcode: Opcode.CALL, imm });
export const exit: Partial<Insn> = { opcode: Opcode.EXIT };

/** `return 0`. */
export const returnZero: readonly Partial<Insn>[] = [set(0, 0), exit];

let token: FileDescriptor | undefined;

/** Runs a probe whose experiments are made with a BPF token. A variable is enough: probes do not wait for anything. */
export function withToken<T>(used: FileDescriptor | undefined, probe: () => T): T {
  const before = token;
  token = used;
  try {
    return probe();
  } finally {
    token = before;
  }
}

/** Tries to load a program; the license is GPL and the program returns 0 unless said otherwise. */
export function tryProgram(options: Partial<ProgLoadOptions> & { type: number }): number {
  const { fd, errno } = progLoad({ license: "GPL", insns: insns(...returnZero), token, ...options });
  fd?.close();
  return errno;
}

/** The same, with what the verifier says. */
export function tryProgramWithLog(options: Partial<ProgLoadOptions> & { type: number }): {
  errno: number;
  log: string;
} {
  const buffer = new Uint8Array(16 * 1024);
  const errno = tryProgram({ ...options, log: { level: 1, buffer } });
  return { errno, log: textOf(buffer) };
}

/** Loads a program for `body`; the answer is undefined where that fails already. */
export function withProgram(
  options: Partial<ProgLoadOptions> & { type: number },
  body: (program: FileDescriptor) => Answer,
): Answer {
  const { fd } = progLoad({ license: "GPL", insns: insns(...returnZero), token, ...options });
  if (fd === undefined) return undefined;
  try {
    return body(fd);
  } finally {
    fd.close();
  }
}

/** Creates a map for `body`; a map that is refused is a conclusive no, where its creation is what is being asked. */
export function tryMap(options: MapCreateOptions, body: (map: FileDescriptor) => Answer = () => true): Answer {
  let map: FileDescriptor;
  try {
    map = mapCreate({ token, ...options });
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    return answerOf(error.errno);
  }
  try {
    return body(map);
  } finally {
    map.close();
  }
}

/** Loads type information made by `build` for `body`. */
export function tryBtf(
  build: (builder: BtfBuilder) => void,
  body: (btf: FileDescriptor) => Answer = () => true,
  options?: { layout?: boolean },
): Answer {
  const builder = new BtfBuilder();
  build(builder);
  const { fd, errno } = btfLoad({ bytes: builder.build(options), token });
  if (fd === undefined) return answerOf(errno);
  try {
    return body(fd);
  } finally {
    fd.close();
  }
}
