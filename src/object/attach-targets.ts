// How the targets of programs that are attached by BTF id are written: `[MODULE:]NAME` (libbpf.md 2.3). Pure.

import { AttachType } from "./uapi.js";

const multiTypes: ReadonlySet<number> = new Set([
  AttachType.trace_fentry_multi,
  AttachType.trace_fexit_multi,
  AttachType.trace_fsession_multi,
]);

/** True for the attach types of the fentry family that stand for many functions, which are known at attachment only. */
export function isTracingMulti(attachType: number): boolean {
  return multiTypes.has(attachType);
}

/** The parts of `[MODULE:]NAME`; the name may be a pattern. */
export function splitModule(target: string): { readonly module: string | undefined; readonly name: string } {
  const colon = target.indexOf(":");
  return colon < 0
    ? { module: undefined, name: target }
    : { module: target.slice(0, colon), name: target.slice(colon + 1) };
}
