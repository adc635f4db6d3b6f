// Sizes of maps that the kernel would refuse, or that depend on the machine (libbpf.md 3.3, "Quirks at creation").

import { ArgumentError } from "../errors.js";
import { type MapSpec, mapTypeName, mapTypeRule } from "../object/index.js";
import { pageSize, possibleCpuCount } from "../syscall/index.js";

/** Settles `maxEntries`: one per possible CPU where the declaration leaves it to us, whole pages for rings. */
export function settleSize(spec: MapSpec): void {
  const rule = mapTypeRule(mapTypeName(spec.type) ?? spec.type);
  if (rule.sizedByCpus === true && spec.maxEntries === 0) spec.maxEntries = possibleCpuCount();
  if (rule.ring === true) spec.maxEntries = ringSize(spec.maxEntries, pageSize());
}

/** The smallest power of two pages that holds `bytes`; 0 stays 0 and is the kernel's to refuse. */
function ringSize(bytes: number, page: number): number {
  if (bytes === 0) return 0;
  let size = page;
  while (size < bytes) size *= 2;
  if (size > 2 ** 31) throw new ArgumentError(`a ring buffer of ${bytes} bytes is too large; 2 GiB is the limit`);
  return size;
}
