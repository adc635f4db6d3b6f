// Encoding of BPF instructions (UAPI linux/bpf.h and linux/bpf_common.h; IETF RFC 9669). Tables of data only.

/** Bytes of one instruction. A 64-bit immediate load takes two. */
export const INSN_SIZE = 8;

/** Low 3 bits of the opcode. */
export const InsnClass = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, JMP32: 6, ALU64: 7 } as const;

/** Bits 3 and 4 of the opcode of a load or store: width of the access. */
export const InsnSize = { W: 0x00, H: 0x08, B: 0x10, DW: 0x18 } as const;

/** Bits 5 to 7 of the opcode of a load or store. */
export const InsnMode = {
  IMM: 0x00,
  ABS: 0x20,
  IND: 0x40,
  MEM: 0x60,
  /** Sign-extending load. */
  MEMSX: 0x80,
  /** STX only. The operation is in the immediate: {@link AtomicOp}. */
  ATOMIC: 0xc0,
} as const;

/** Bit 3 of the opcode of an arithmetic or jump instruction: second operand is the immediate (K) or a register (X). */
export const InsnSource = { K: 0x00, X: 0x08 } as const;

/** High 4 bits of the opcode of an arithmetic instruction. */
export const AluOp = {
  ADD: 0x00,
  SUB: 0x10,
  MUL: 0x20,
  /** Signed when the offset field is 1; so is MOD. */
  DIV: 0x30,
  OR: 0x40,
  AND: 0x50,
  LSH: 0x60,
  RSH: 0x70,
  NEG: 0x80,
  MOD: 0x90,
  XOR: 0xa0,
  /** With a register: offset field 8, 16 or 32 sign-extends; 1 casts between address spaces (64 bit only). */
  MOV: 0xb0,
  ARSH: 0xc0,
  /** Byte swap of as many bits as the immediate says. */
  END: 0xd0,
} as const;

/** High 4 bits of the opcode of a jump instruction. */
export const JmpOp = {
  JA: 0x00,
  JEQ: 0x10,
  JGT: 0x20,
  JGE: 0x30,
  JSET: 0x40,
  JNE: 0x50,
  JSGT: 0x60,
  JSGE: 0x70,
  CALL: 0x80,
  EXIT: 0x90,
  JLT: 0xa0,
  JLE: 0xb0,
  JSLT: 0xc0,
  JSLE: 0xd0,
  /** may_goto. */
  JCOND: 0xe0,
} as const;

/** Immediate of an atomic instruction. ADD, AND, OR and XOR have the values of {@link AluOp}. */
export const AtomicOp = {
  ADD: 0x00,
  OR: 0x40,
  AND: 0x50,
  XOR: 0xa0,
  /** Added to one of the above: the source register receives the old value. */
  FETCH: 0x01,
  XCHG: 0xe1,
  CMPXCHG: 0xf1,
  LOAD_ACQ: 0x100,
  STORE_REL: 0x110,
} as const;

/** Whole opcodes that have a meaning of their own in a loader. */
export const Opcode = {
  /** `BPF_LD | BPF_IMM | BPF_DW`: load of a 64-bit immediate, two instructions long. */
  LDIMM64: 0x18,
  /** `BPF_JMP | BPF_CALL`. */
  CALL: 0x85,
  /** `BPF_JMP | BPF_EXIT`. */
  EXIT: 0x95,
} as const;

/** Source register fields that change the meaning of a 64-bit immediate load or of a call (BPF_PSEUDO_*). */
export const BPF_PSEUDO = {
  /** LDIMM64: the immediate is a map's descriptor. */
  MAP_FD: 1,
  /** LDIMM64: descriptor of a map; second immediate: offset into its first value. */
  MAP_VALUE: 2,
  /** LDIMM64: BTF id of a kernel variable; second immediate: descriptor of its module's BTF, or 0. */
  BTF_ID: 3,
  /** LDIMM64: distance in instructions to a function, from the next instruction. */
  FUNC: 4,
  /** LDIMM64: index into the descriptor array given at load. */
  MAP_IDX: 5,
  /** As MAP_VALUE, with an index into the descriptor array. */
  MAP_IDX_VALUE: 6,
  /** CALL: the immediate is the distance in instructions, from the next instruction. */
  CALL: 1,
  /** CALL: BTF id of a kernel function; offset: index into the descriptor array given at load, or 0 for vmlinux. */
  KFUNC_CALL: 2,
} as const;
