// The instruction room: BPF instructions as bytes, as fields and as text. Pure.

export { BPF_PSEUDO, INSN_SIZE, InsnClass, InsnSize, InsnSource, Opcode } from "./constants.js";
export { formatInsn } from "./format.js";
export {
  BPF_CALL_INSN,
  type Insn,
  isLdimm64,
  ldimm64At,
  opcodeAt,
  readInsn,
  setImm,
  setLdimm64,
  setOff,
  setSource,
  swapInsns,
  writeInsn,
} from "./insn.js";
