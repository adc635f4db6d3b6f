// A path as text, in libbpf's format (libbpf.md 4.13): in error messages, in debug lines, and in place of the verifier's
// complaint about a poisoned instruction (3.9). Scripts search logs for it, so the format is kept to the letter.

import type { Btf } from "../btf/index.js";
import type { AccessSpec } from "./access-spec.js";
import type { KindRule } from "./kinds.js";

/**
 * For example `<byte_off> [7] struct task_struct.group_leader.tgid (0:18:2 @ offset 1180)`.
 * libbpf: `bpf_core_format_spec`.
 */
export function formatSpec(spec: AccessSpec): string {
  return `${formatRoot(spec.btf, spec.rule, spec.rootTypeId)}${formatPath(spec)}`;
}

/** The part before the path: `<byte_off> [7] struct task_struct`. */
export function formatRoot(btf: Btf, rule: KindRule, typeId: number): string {
  const { kind, name } = btf.type(typeId);
  return `<${rule.name}> [${typeId}] ${formatKind(kind)} ${name === "" ? "<anon>" : name}`;
}

function formatPath({ btf, rule, accessors, raw, bitOffset }: AccessSpec): string {
  switch (rule.subject) {
    case "type":
      return "";
    case "enumerator": {
      const { typeId, index, name } = accessors[0]!;
      const type = btf.type(typeId);
      const value = type.kind === "enum" || type.kind === "enum64" ? type.values[index]!.value : 0;
      return `::${name} = ${value}`;
    }
    case "field": {
      const steps = accessors.map(({ name, index }, position) => {
        if (name !== undefined) return `.${name}`;
        return position === 0 && index === 0 ? "" : `[${index}]`;
      });
      const bits = bitOffset % 8;
      const offset = `${(bitOffset - bits) / 8}${bits === 0 ? "" : `.${bits}`}`;
      return `${steps.join("")} (${raw.join(":")} @ offset ${offset})`;
    }
  }
}

/** libbpf writes kinds as in the UAPI header, in lower case. */
function formatKind(kind: string): string {
  return kind === "void" ? "unknown" : kind.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
