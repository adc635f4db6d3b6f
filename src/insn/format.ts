// Prints one instruction in the words of the kernel's verifier log and of `bpftool prog dump xlated`, so that users read
// here what they read there. An encoding that no kernel knows prints as `(xx) ???`.

import { AluOp, AtomicOp, BPF_PSEUDO, InsnClass, InsnMode, InsnSize, InsnSource, JmpOp, Opcode } from "./constants.js";
import { type Insn, isLdimm64, ldimm64At, opcodeAt, readInsn } from "./insn.js";

/** How the immediate of a 64-bit load is meant; `low` and `high` are its halves. */
const pseudoLoads: Readonly<Record<number, (low: number, high: number) => string>> = {
  [BPF_PSEUDO.MAP_FD]: (fd) => `map[fd:${fd}]`,
  [BPF_PSEUDO.MAP_VALUE]: (fd, offset) => `map[fd:${fd}][0]+${offset >>> 0}`,
  [BPF_PSEUDO.BTF_ID]: (id, fd) => `btf_id[${id >>> 0}]${fd === 0 ? "" : ` of btf[fd:${fd}]`}`,
  [BPF_PSEUDO.FUNC]: (distance) => `subprog[${signed(distance)}]`,
  [BPF_PSEUDO.MAP_IDX]: (index) => `map[idx:${index}]`,
  [BPF_PSEUDO.MAP_IDX_VALUE]: (index, offset) => `map[idx:${index}][0]+${offset >>> 0}`,
};

const sizeBits: Readonly<Record<number, number>> = {
  [InsnSize.B]: 8,
  [InsnSize.H]: 16,
  [InsnSize.W]: 32,
  [InsnSize.DW]: 64,
};

const aluOperators: Readonly<Record<number, string>> = {
  [AluOp.ADD]: "+=",
  [AluOp.SUB]: "-=",
  [AluOp.MUL]: "*=",
  [AluOp.DIV]: "/=",
  [AluOp.OR]: "|=",
  [AluOp.AND]: "&=",
  [AluOp.LSH]: "<<=",
  [AluOp.RSH]: ">>=",
  [AluOp.MOD]: "%=",
  [AluOp.XOR]: "^=",
  [AluOp.MOV]: "=",
  [AluOp.ARSH]: "s>>=",
};

const jumpOperators: Readonly<Record<number, string>> = {
  [JmpOp.JEQ]: "==",
  [JmpOp.JGT]: ">",
  [JmpOp.JGE]: ">=",
  [JmpOp.JSET]: "&",
  [JmpOp.JNE]: "!=",
  [JmpOp.JSGT]: "s>",
  [JmpOp.JSGE]: "s>=",
  [JmpOp.JLT]: "<",
  [JmpOp.JLE]: "<=",
  [JmpOp.JSLT]: "s<",
  [JmpOp.JSLE]: "s<=",
};

const atomicNames: Readonly<Record<number, string>> = {
  [AtomicOp.ADD]: "add",
  [AtomicOp.OR]: "or",
  [AtomicOp.AND]: "and",
  [AtomicOp.XOR]: "xor",
};

const signedBits: readonly number[] = [8, 16, 32];
// Offset fields with which a 64-bit register move is a conversion between address spaces.
const ADDR_SPACE_CAST = 1;
const ADDR_PERCPU = -1;

const formatters: Readonly<Record<number, (insn: Insn) => string | undefined>> = {
  [InsnClass.LD]: formatPacketLoad,
  [InsnClass.LDX]: formatLoad,
  [InsnClass.ST]: formatStoreImmediate,
  [InsnClass.STX]: formatStore,
  [InsnClass.ALU]: formatAlu,
  [InsnClass.JMP]: formatJump,
  [InsnClass.JMP32]: formatJump,
  [InsnClass.ALU64]: formatAlu,
};

/**
 * The instruction at `index` (in instructions) as text, without its number and opcode: `r1 = *(u32 *)(r10 -4)`,
 * `if w1 s> 0x0 goto pc+3`, `r1 = 0x2 ll`, `r1 = map[fd:5]`, `call 14`. The second half of a 64-bit immediate load, which is
 * no instruction of its own, gives an empty string. Unknown encodings give `(xx) ???` with the opcode in hexadecimal.
 *
 * Differs from the verifier's text in two points: helpers are numbers, and plain 64-bit immediates end in ` ll`.
 *
 * @throws ArgumentError when `index` lies outside of `bytes`; never for an instruction, whatever it contains
 */
export function formatInsn(bytes: Uint8Array, index: number): string {
  const insn = readInsn(bytes, index);
  if (isLdimm64(bytes, index)) return formatLdimm64(insn, ldimm64At(bytes, index));
  if (isSecondHalf(bytes, index, insn)) return "";
  return formatters[insn.opcode & 7]?.(insn) ?? `(${insn.opcode.toString(16).padStart(2, "0")}) ???`;
}

function isSecondHalf(bytes: Uint8Array, index: number, { opcode }: Insn): boolean {
  return opcode === 0 && index > 0 && opcodeAt(bytes, index - 1) === Opcode.LDIMM64;
}

function formatLdimm64({ dst, src, imm }: Insn, value: bigint): string {
  const high = Number(BigInt.asIntN(32, value >> 32n));
  return `r${dst} = ${pseudoLoads[src]?.(imm, high) ?? `0x${value.toString(16)} ll`}`;
}

/** Classic access to packet data, BPF_ABS and BPF_IND. */
function formatPacketLoad(insn: Insn): string | undefined {
  const size = insn.opcode & 0x18;
  if (size === InsnSize.DW) return undefined;
  const access = `r0 = *(u${sizeBits[size]} *)skb`;
  switch (insn.opcode & 0xe0) {
    case InsnMode.ABS:
      return `${access}[${insn.imm}]`;
    case InsnMode.IND:
      return `${access}[r${insn.src} + ${insn.imm}]`;
    default:
      return undefined;
  }
}

function formatLoad(insn: Insn): string | undefined {
  const mode = insn.opcode & 0xe0;
  const isSigned = mode === InsnMode.MEMSX;
  if (mode !== InsnMode.MEM && !(isSigned && (insn.opcode & 0x18) !== InsnSize.DW)) return undefined;
  return `r${insn.dst} = ${memory(insn, insn.src, isSigned ? "s" : "u")}`;
}

function formatStoreImmediate(insn: Insn): string | undefined {
  if ((insn.opcode & 0xe0) !== InsnMode.MEM) return undefined;
  return `${memory(insn, insn.dst)} = ${insn.imm}`;
}

function formatStore(insn: Insn): string | undefined {
  switch (insn.opcode & 0xe0) {
    case InsnMode.MEM:
      return `${memory(insn, insn.dst)} = r${insn.src}`;
    case InsnMode.ATOMIC:
      return formatAtomic(insn);
    default:
      return undefined;
  }
}

function formatAtomic(insn: Insn): string | undefined {
  const { dst, src, imm } = insn;
  if (imm === AtomicOp.LOAD_ACQ) return `r${dst} = load_acquire(${address(insn, src)})`;
  if (imm === AtomicOp.STORE_REL) return `store_release(${address(insn, dst)}, r${src})`;

  // Read-modify-write instructions exist for 32 and 64 bits.
  const size = insn.opcode & 0x18;
  if (size !== InsnSize.W && size !== InsnSize.DW) return undefined;
  const place = address(insn, dst);
  const atomic = size === InsnSize.DW ? "atomic64" : "atomic";
  if (imm === AtomicOp.XCHG) return `r${src} = ${atomic}_xchg(${place}, r${src})`;
  if (imm === AtomicOp.CMPXCHG) return `r0 = ${atomic}_cmpxchg(${place}, r0, r${src})`;

  const operation = imm & ~AtomicOp.FETCH;
  const name = atomicNames[operation];
  if (name === undefined) return undefined;
  if (imm !== operation) return `r${src} = ${atomic}_fetch_${name}(${place}, r${src})`;
  return `lock ${memory(insn, dst)} ${aluOperators[operation]} r${src}`;
}

function formatAlu(insn: Insn): string | undefined {
  const { opcode, dst, src, off, imm } = insn;
  const wide = (opcode & 7) === InsnClass.ALU64;
  const register = wide ? "r" : "w";
  const operation = opcode & 0xf0;
  if (operation === AluOp.END) return formatByteSwap(insn, wide);
  if (operation === AluOp.NEG) return `${register}${dst} = -${register}${dst}`;

  const operator = aluOperators[operation];
  if (operator === undefined) return undefined;
  const divides = operation === AluOp.DIV || operation === AluOp.MOD;
  const left = `${register}${dst} ${divides && off === 1 ? "s" : ""}${operator}`;
  if ((opcode & InsnSource.X) === 0) return `${left} ${imm}`;

  if (operation === AluOp.MOV && off !== 0) {
    if (wide && off === ADDR_SPACE_CAST) return `r${dst} = addr_space_cast(r${src}, ${imm >>> 16}, ${imm & 0xffff})`;
    if (wide && off === ADDR_PERCPU) return `r${dst} = &(void __percpu *)(r${src})`;
    if (signedBits.includes(off)) return `${left} (s${off})${register}${src}`;
    return undefined;
  }
  return `${left} ${register}${src}`;
}

function formatByteSwap({ opcode, dst, imm }: Insn, wide: boolean): string | undefined {
  if (imm !== 16 && imm !== 32 && imm !== 64) return undefined;
  const toBigEndian = (opcode & InsnSource.X) !== 0;
  // The unconditional swap has the class of 64-bit arithmetic and no direction.
  if (wide && toBigEndian) return undefined;
  return `r${dst} = ${wide ? "bswap" : toBigEndian ? "be" : "le"}${imm} r${dst}`;
}

function formatJump(insn: Insn): string | undefined {
  const { opcode, dst, src, off, imm } = insn;
  const wide = (opcode & 7) === InsnClass.JMP;
  const withRegister = (opcode & InsnSource.X) !== 0;
  const operation = opcode & 0xf0;
  const operator = jumpOperators[operation];
  if (operator !== undefined) {
    const register = wide ? "r" : "w";
    const right = withRegister ? `${register}${src}` : `0x${(imm >>> 0).toString(16)}`;
    return `if ${register}${dst} ${operator} ${right} goto pc${signed(off)}`;
  }
  if (operation === JmpOp.JA && !withRegister) return wide ? `goto pc${signed(off)}` : `gotol pc${signed(imm)}`;
  if (operation === JmpOp.JA && wide) return `gotox r${dst}`;
  if (!wide || withRegister) return undefined;
  if (operation === JmpOp.CALL) return formatCall(insn);
  if (operation === JmpOp.EXIT) return "exit";
  if (operation === JmpOp.JCOND) return `may_goto pc${signed(off)}`;
  return undefined;
}

function formatCall({ src, off, imm }: Insn): string | undefined {
  switch (src) {
    case 0:
      return `call ${imm}`;
    case BPF_PSEUDO.CALL:
      return `call pc${signed(imm)}`;
    case BPF_PSEUDO.KFUNC_CALL:
      return `call kernel-function#${imm}${off === 0 ? "" : ` of btf[idx:${off}]`}`;
    default:
      return undefined;
  }
}

/** The memory operand at `base` plus the offset field, dereferenced. */
function memory(insn: Insn, base: number, sign: "s" | "u" = "u"): string {
  return `*${address(insn, base, sign)}`;
}

function address({ opcode, off }: Insn, base: number, sign: "s" | "u" = "u"): string {
  return `(${sign}${sizeBits[opcode & 0x18]} *)(r${base} ${signed(off)})`;
}

function signed(value: number): string {
  return value < 0 ? `${value}` : `+${value}`;
}
