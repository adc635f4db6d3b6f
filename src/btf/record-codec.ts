// The codec of records that a program writes, of the C type that the user names: in ring buffers and from iterators.

import { BtfError, type ErrorLocation } from "../errors.js";
import { nearNames } from "../near-names.js";
import type { Btf } from "./btf.js";
import { type BtfTypeCodec, type CodecOptions, compileCodec } from "./codec.js";

/** What a name without its kind may be, in the order in which it is looked for. */
const kinds = ["struct", "union", "typedef", "enum", "int"] as const;

/**
 * Finds a type by its C name (`event`, `struct event`) and makes its codec.
 *
 * @param where the map or program that the records come from, for messages
 * @throws BtfError when there is no BTF, or no such type, naming near ones
 */
export function recordCodec(
  btf: Btf | undefined,
  typeName: string,
  options: CodecOptions,
  where: ErrorLocation,
): BtfTypeCodec {
  if (btf === undefined) {
    throw new BtfError("BTF_MISSING", `records cannot be decoded as ${typeName}: the object has no BTF`, {
      ...where,
      hint: "compile the BPF program with -g",
    });
  }
  const name = typeName.replace(/^(struct|union|enum) /, "");
  const id = kinds.map((kind) => btf.findByName(name, kind)).find((found) => found !== undefined);
  if (id === undefined) {
    throw new BtfError("BTF_TYPE_NOT_FOUND", `the object has no type ${typeName}${nearNames(name, structNames(btf))}`, {
      ...where,
      hint: `clang leaves out types that nothing refers to; a line "const struct ${name} *unused __attribute__((unused));" in the BPF program keeps it`,
    });
  }
  return compileCodec(btf, id, options);
}

function* structNames(btf: Btf): Generator<string> {
  for (let id = btf.firstId; id < btf.typeCount; id++) {
    const type = btf.type(id);
    if ((type.kind === "struct" || type.kind === "typedef") && type.name !== "") yield type.name;
  }
}
