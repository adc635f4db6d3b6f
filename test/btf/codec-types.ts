// A short notation for BTF types, as plain data: codecs need no file for them, and hostile shapes can be written that no
// builder would let through.

import type { BtfMember, BtfType } from "../../src/btf/types.js";

type Distribute<T> = T extends BtfType ? Omit<T, "id"> : never;

/** The part of a `Btf` that codecs use. */
export class Types {
  readonly littleEndian: boolean;
  readonly #types: BtfType[] = [{ id: 0, kind: "void", name: "" }];

  constructor(littleEndian = true) {
    this.littleEndian = littleEndian;
  }

  get nextId(): number {
    return this.#types.length;
  }

  type(id: number): BtfType {
    const type = this.#types[id];
    if (type === undefined) throw new Error(`no type ${id}`);
    return type;
  }

  resolve(id: number): number {
    const type = this.type(id);
    switch (type.kind) {
      case "typedef":
      case "const":
      case "volatile":
      case "restrict":
      case "typeTag":
        return this.resolve(type.type);
      default:
        return id;
    }
  }

  add(type: Distribute<BtfType>): number {
    const id = this.#types.length;
    this.#types.push({ ...type, id } as BtfType);
    return id;
  }

  int(name: string, size: number, encoding: "" | "signed" | "char" | "bool" = "", bits = size * 8): number {
    const [signed, char, bool] = [encoding === "signed", encoding === "char", encoding === "bool"];
    return this.add({ kind: "int", name, size, bits, bitOffset: 0, signed, char, bool });
  }

  array(elementType: number, count: number): number {
    return this.add({ kind: "array", name: "", elementType, indexType: 0, count });
  }

  /** Members as `[name, type, bit offset, bit size]`. */
  struct(name: string, size: number, members: [string, number, number, number?][]): number {
    return this.add({ kind: "struct", name, size, members: members.map(member) });
  }

  union(name: string, size: number, members: [string, number, number?, number?][]): number {
    return this.add({ kind: "union", name, size, members: members.map(member) });
  }
}

function member([name, type, bitOffset = 0, bitSize = 0]: [string, number, number?, number?]): BtfMember {
  return { name, type, bitOffset, bitSize };
}
