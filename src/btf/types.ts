// BTF types as plain data, one shape per kind, told apart by `kind`. Wire format: libbpf.md 5.1 (UAPI linux/btf.h).

/** BTF_KIND_* of the wire format. */
export const BtfKind = {
  Void: 0,
  Int: 1,
  Ptr: 2,
  Array: 3,
  Struct: 4,
  Union: 5,
  Enum: 6,
  Fwd: 7,
  Typedef: 8,
  Volatile: 9,
  Const: 10,
  Restrict: 11,
  Func: 12,
  FuncProto: 13,
  Var: 14,
  DataSec: 15,
  Float: 16,
  DeclTag: 17,
  TypeTag: 18,
  Enum64: 19,
} as const;
export type BtfKindNumber = (typeof BtfKind)[keyof typeof BtfKind];

/** Linkage of BTF_KIND_FUNC and BTF_KIND_VAR. */
export const BtfLinkage = { Static: 0, Global: 1, Extern: 2 } as const;
export type BtfLinkageNumber = (typeof BtfLinkage)[keyof typeof BtfLinkage];

interface Named {
  /** BTF id; 0 is void. */
  readonly id: number;
  /** Empty for anonymous types. */
  readonly name: string;
}

export interface BtfVoid extends Named {
  readonly kind: "void";
}
export interface BtfInt extends Named {
  readonly kind: "int";
  /** Bytes. */
  readonly size: number;
  readonly bits: number;
  /** Deprecated bit offset inside the storage, 0 in practice. */
  readonly bitOffset: number;
  readonly signed: boolean;
  readonly char: boolean;
  readonly bool: boolean;
}
/** A pointer. */
export interface BtfPtr extends Named {
  readonly kind: "ptr";
  readonly type: number;
}
export interface BtfArray extends Named {
  readonly kind: "array";
  readonly elementType: number;
  readonly indexType: number;
  readonly count: number;
}
export interface BtfMember {
  readonly name: string;
  readonly type: number;
  /** From the start of the enclosing struct or union. */
  readonly bitOffset: number;
  /** Width of a bitfield; 0 when the member is none. */
  readonly bitSize: number;
}
export interface BtfComposite extends Named {
  readonly kind: "struct" | "union";
  readonly size: number;
  readonly members: readonly BtfMember[];
}
export interface BtfEnum extends Named {
  readonly kind: "enum";
  readonly size: number;
  readonly signed: boolean;
  /** Values as the 32-bit integer they denote, signed or unsigned by `signed`. */
  readonly values: readonly { readonly name: string; readonly value: number }[];
}
export interface BtfEnum64 extends Named {
  readonly kind: "enum64";
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly { readonly name: string; readonly value: bigint }[];
}
export interface BtfFwd extends Named {
  readonly kind: "fwd";
  /** True for `union x;`, false for `struct x;`. */
  readonly union: boolean;
}
/** A type that only refers to another one. */
export interface BtfReference extends Named {
  readonly kind: "typedef" | "volatile" | "const" | "restrict" | "typeTag";
  readonly type: number;
  /** TYPE_TAG only: the tag is a generic attribute (kflag). */
  readonly attribute?: boolean;
}
export interface BtfFunc extends Named {
  readonly kind: "func";
  /** A FUNC_PROTO. */
  readonly type: number;
  readonly linkage: BtfLinkageNumber;
}
export interface BtfFuncProto extends Named {
  readonly kind: "funcProto";
  readonly returnType: number;
  /** A last parameter with name "" and type 0 stands for `...`. */
  readonly params: readonly { readonly name: string; readonly type: number }[];
}
export interface BtfVar extends Named {
  readonly kind: "var";
  readonly type: number;
  readonly linkage: BtfLinkageNumber;
}
export interface BtfDataSecEntry {
  /** Id of a VAR (or FUNC, for extern functions). */
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}
export interface BtfDataSec extends Named {
  readonly kind: "datasec";
  readonly size: number;
  readonly variables: readonly BtfDataSecEntry[];
}
export interface BtfFloat extends Named {
  readonly kind: "float";
  readonly size: number;
}
export interface BtfDeclTag extends Named {
  readonly kind: "declTag";
  readonly type: number;
  /** Member or parameter index; -1 for the whole declaration. */
  readonly componentIndex: number;
  readonly attribute?: boolean;
}

/** Any BTF type. */
export type BtfType =
  | BtfVoid
  | BtfInt
  | BtfPtr
  | BtfArray
  | BtfComposite
  | BtfEnum
  | BtfEnum64
  | BtfFwd
  | BtfReference
  | BtfFunc
  | BtfFuncProto
  | BtfVar
  | BtfDataSec
  | BtfFloat
  | BtfDeclTag;

/** The name of a kind in {@link BtfType}. */
export type BtfKindName = BtfType["kind"];
