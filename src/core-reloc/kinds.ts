// The 13 kinds of CO-RE relocation as a table: what each asks about, and what it yields when no target matches
// (libbpf.md 4.2; UAPI linux/bpf.h, enum bpf_core_relo_kind). The matched values are computed in values.ts.

/** BPF_CORE_* numbers of a record's `kind` field, under the names that libbpf prints. */
export const CoreRelocationKind = {
  byte_off: 0,
  byte_sz: 1,
  field_exists: 2,
  signed: 3,
  lshift_u64: 4,
  rshift_u64: 5,
  local_type_id: 6,
  target_type_id: 7,
  type_exists: 8,
  type_size: 9,
  enumval_exists: 10,
  enumval_value: 11,
  type_matches: 12,
} as const;

/** Kinds whose access string is a path of members and array indices. */
export type FieldKindName = "byte_off" | "byte_sz" | "field_exists" | "signed" | "lshift_u64" | "rshift_u64";
/** Kinds about a type as a whole; their access string is "0". */
export type TypeKindName = "local_type_id" | "target_type_id" | "type_exists" | "type_size" | "type_matches";
/** Kinds about one enumerator; their access string is its index. */
export type EnumeratorKindName = "enumval_exists" | "enumval_value";

interface RuleFor<Subject, Name> {
  readonly subject: Subject;
  readonly name: Name;
  /** What the instruction gets when no candidate matches. */
  readonly unmatched: "zero" | "poison";
}

/** One row of the table of kinds. */
export type KindRule =
  | RuleFor<"field", FieldKindName>
  | RuleFor<"type", TypeKindName>
  | RuleFor<"enumerator", EnumeratorKindName>;

/** The table, indexed by the number in the record. */
export const kindRules: readonly KindRule[] = [
  { name: "byte_off", subject: "field", unmatched: "poison" },
  { name: "byte_sz", subject: "field", unmatched: "poison" },
  { name: "field_exists", subject: "field", unmatched: "zero" },
  { name: "signed", subject: "field", unmatched: "poison" },
  { name: "lshift_u64", subject: "field", unmatched: "poison" },
  { name: "rshift_u64", subject: "field", unmatched: "poison" },
  // Asks nothing of the target, so it is never unmatched.
  { name: "local_type_id", subject: "type", unmatched: "zero" },
  { name: "target_type_id", subject: "type", unmatched: "zero" },
  { name: "type_exists", subject: "type", unmatched: "zero" },
  { name: "type_size", subject: "type", unmatched: "zero" },
  { name: "enumval_exists", subject: "enumerator", unmatched: "zero" },
  { name: "enumval_value", subject: "enumerator", unmatched: "poison" },
  { name: "type_matches", subject: "type", unmatched: "zero" },
];
