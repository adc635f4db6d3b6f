// CO-RE: adapts compiled BPF instructions to the types of another kernel (libbpf.md 4). Pure: bytes and BTF in, patched
// bytes out.

export type { CoreTargets } from "./candidates.js";
export { CoreRelocationKind } from "./kinds.js";
export { typesAreCompatible } from "./match-type.js";
export { CORE_POISON_CALL } from "./patch.js";
export { type CoreRelocationResult, CoreRelocator } from "./relocator.js";
