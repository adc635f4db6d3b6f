// Does a candidate enum have the enumerator that a local enum names? Values do not matter, they are what is asked for.
// As with types, a flavor (`X___old`) is ignored on both sides.

import { type Btf, essentialName } from "../btf/index.js";
import type { AccessSpec } from "./access-spec.js";

/**
 * The enumerator of `local` inside the enum `rootTypeId` of `btf` (modifiers and typedefs skipped), or undefined.
 * libbpf: `bpf_core_spec_match`.
 */
export function matchEnumerator(local: AccessSpec, btf: Btf, rootTypeId: number): AccessSpec | undefined {
  const typeId = btf.resolve(rootTypeId);
  const type = btf.type(typeId);
  if (type.kind !== "enum" && type.kind !== "enum64") return undefined;

  const wanted = essentialName(local.accessors[0]?.name ?? "");
  const index = type.values.findIndex(({ name }) => essentialName(name) === wanted);
  const found = type.values[index];
  if (found === undefined) return undefined;
  const accessors = [{ typeId, index, name: found.name }];
  return { btf, rule: local.rule, rootTypeId, accessors, raw: [index], bitOffset: 0 };
}
