// A few types with all that their values consist of, as BTF of their own: small enough to be given to the kernel with a map,
// and without what older kernels refuse in the rest of an object.

import { BtfError } from "../errors.js";
import type { Btf } from "./btf.js";
import type { BtfBuilder } from "./builder.js";
import type { BtfType } from "./types.js";

/** Types in types, modifiers included; of a damaged file they may be circles. */
const MAX_DEPTH = 256;

/**
 * Copies types from one BTF into a builder, with what they refer to. What pointers point to is not part of a value and
 * becomes `void`, but for tagged pointers (`__kptr`): the kernel wants to know the name of what these point to.
 */
export class BtfSubset {
  readonly #from: Btf;
  readonly #to: BtfBuilder;
  readonly #copies = new Map<number, number>();
  #depth = 0;

  constructor(from: Btf, to: BtfBuilder) {
    this.#from = from;
    this.#to = to;
  }

  /** The id of a copy. @throws BtfError for a type that contains itself */
  copy(id: number): number {
    if (id === 0) return 0;
    let copy = this.#copies.get(id);
    if (copy === undefined) {
      if (++this.#depth > MAX_DEPTH) {
        throw new BtfError("BTF_INVALID", `type ${id} is nested more than ${MAX_DEPTH} deep`);
      }
      copy = this.#add(this.#from.type(id));
      this.#depth--;
      this.#copies.set(id, copy);
    }
    return copy;
  }

  #add(type: BtfType): number {
    switch (type.kind) {
      case "ptr":
        return this.#to.addPtr(this.#target(type.type));
      case "array":
        return this.#to.addArray(this.copy(type.elementType), this.copy(type.indexType), type.count);
      case "struct":
      case "union": {
        const members = type.members.map((member) => ({ ...member, type: this.copy(member.type) }));
        return this.#to.addType({ ...type, members });
      }
      case "typedef":
      case "const":
      case "volatile":
      case "restrict":
      case "typeTag":
        return this.#to.addType({ ...type, type: this.copy(type.type) });
      case "int":
      case "float":
      case "enum":
      case "enum64":
      case "fwd":
        return this.#to.addType(type);
      default:
        return 0;
    }
  }

  /** What a tagged pointer points to, by name only. */
  #target(id: number): number {
    const type = this.#from.type(id);
    if (type.kind !== "typeTag") return 0;
    const target = this.#from.type(this.#from.skipModifiers(type.type));
    if (target.kind !== "struct" && target.kind !== "union") return 0;
    return this.#to.addTypeTag(type.name, this.#to.addType({ ...target, members: [] }), type.attribute === true);
  }
}
