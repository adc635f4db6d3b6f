// Which kernel functions programs of the fentry family can be put on, as far as their types tell (libbpf.md 2.3, rule
// trace-multi): the kernel's trampolines pass no other arguments and results.

import type { Btf } from "../btf/index.js";

/** Kernel: MAX_BPF_FUNC_ARGS. */
const MAX_ARGUMENTS = 12;
/** Bytes of an argument that is passed in registers: a struct in two at most. */
const MAX_ARGUMENT_SIZE = 16;

/**
 * True for a function with up to 12 arguments of up to 16 bytes each, no variable ones, that returns no struct or union.
 *
 * libbpf: `btf_is_traceable_func` (internal).
 * @param id of a function
 */
export function hasTraceableType(btf: Btf, id: number): boolean {
  const func = btf.type(id);
  if (func.kind !== "func") return false;
  const prototype = btf.type(func.type);
  if (prototype.kind !== "funcProto" || prototype.params.length > MAX_ARGUMENTS) return false;
  if (isComposite(btf, prototype.returnType)) return false;
  return prototype.params.every(({ type }) => {
    const resolved = btf.resolve(type);
    // Void stands for variable arguments.
    if (resolved === 0) return false;
    const { kind } = btf.type(resolved);
    if (kind === "ptr" || kind === "int" || kind === "enum" || kind === "enum64") return true;
    return isComposite(btf, resolved) && btf.sizeOf(resolved) <= MAX_ARGUMENT_SIZE;
  });
}

function isComposite(btf: Btf, id: number): boolean {
  const resolved = btf.resolve(id);
  if (resolved === 0) return false;
  const { kind } = btf.type(resolved);
  return kind === "struct" || kind === "union";
}
