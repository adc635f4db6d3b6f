// Type information for kernels that are older than its kinds: what they lack is rewritten into something they know, with
// ids, names of globals and offsets unchanged (libbpf.md 3.8). One row of the table a rewrite.

import { type Btf, BtfBuilder, type BtfKindName, BtfLinkage, type BtfType, type BtfTypeInput } from "../btf/index.js";
import { type FeatureName, featureTable, knownMissing } from "../kernel/index.js";
import { log } from "../log.js";
import type { FileDescriptor } from "../syscall/index.js";

/** How to do without something that a kernel may not know yet. */
interface Rewrite {
  /** What the kernel may lack. */
  readonly feature: FeatureName;
  /** Whether a type uses it. */
  readonly uses: (type: BtfType) => boolean;
  /** The substitute for a type that uses it. `placeholder` is the id of a 1-byte integer. */
  readonly rewrite: (type: BtfType, placeholder: number, btf: Btf) => BtfTypeInput;
}

/** The row of a feature that shows in one kind; `also` narrows it. */
function kind<K extends BtfKindName>(
  feature: FeatureName,
  name: K,
  rewrite: (type: Extract<BtfType, { kind: K }>, placeholder: number, btf: Btf) => BtfTypeInput,
  also: (type: Extract<BtfType, { kind: K }>) => boolean = () => true,
): Rewrite {
  type Wanted = Extract<BtfType, { kind: K }>;
  return {
    feature,
    uses: (type) => type.kind === name && also(type as Wanted),
    rewrite: (type, placeholder, btf) => rewrite(type as Wanted, placeholder, btf),
  };
}

const byte = { kind: "int", size: 1, bits: 8, bitOffset: 0, signed: false, char: false, bool: false } as const;

/** The first row that fits a type and that the kernel lacks is applied. */
const rewrites: readonly Rewrite[] = [
  // One byte, since a larger integer could reach beyond the variable, and so beyond the section.
  kind("btf_datasec", "var", ({ name }) => ({ ...byte, name })),
  kind("btf_datasec", "datasec", ({ name, size, variables }, _, btf) => ({
    kind: "struct",
    name: name.replaceAll(/[.?]/g, "_"),
    size,
    members: variables.map(({ type, offset }) => ({ name: btf.nameOf(type), type, bitOffset: offset * 8, bitSize: 0 })),
  })),
  kind(
    "btf_qmark_datasec",
    "datasec",
    (type) => ({ ...type, name: type.name.replaceAll("?", "_") }),
    ({ name }) => name.includes("?"),
  ),
  kind("btf_func", "func", ({ name, type }) => ({ kind: "typedef", name, type })),
  // Without enumerators: parameters need no name, enumerators do.
  kind("btf_func", "funcProto", () => ({ kind: "enum", name: "", size: 4, signed: false, values: [] })),
  kind(
    "btf_global_func",
    "func",
    (type) => ({ ...type, linkage: BtfLinkage.Static }),
    ({ linkage }) => linkage === BtfLinkage.Global,
  ),
  kind("btf_float", "float", ({ size }) => ({ kind: "struct", name: "", size, members: [] })),
  kind("btf_decl_tag", "declTag", () => ({ ...byte, name: "decl_tag" })),
  kind("btf_type_tag", "typeTag", ({ type }) => ({ kind: "const", name: "", type })),
  kind(
    "btf_enum64",
    "enum",
    ({ name, size, values }) => {
      const unsigned = values.map((value) => ({ ...value, value: value.value >>> 0 }));
      return { kind: "enum", name, size, signed: false, values: unsigned };
    },
    ({ signed }) => signed,
  ),
  kind("btf_enum64", "enum64", ({ name, size, values }, placeholder) => ({
    kind: "union",
    name,
    size,
    members: values.map((value) => ({ name: value.name, type: placeholder, bitOffset: 0, bitSize: 0 })),
  })),
];

/** True when an earlier refusal has shown that type information may have to be rewritten: then it is done at once. */
export function mayNeedSanitizing(token?: FileDescriptor | undefined): boolean {
  return knownMissing("btf_layout", token) || rewrites.some(({ feature }) => knownMissing(feature, token));
}

/**
 * The type information without what the kernel lacks; undefined when nothing had to be changed. `lacks` is asked only about
 * what the object uses. libbpf: `bpf_object__sanitize_btf`.
 */
export function sanitizeBtf(btf: Btf, lacks: (feature: FeatureName) => boolean): Uint8Array | undefined {
  const builder = BtfBuilder.from(btf);
  let placeholder: number | undefined;
  const missing = new Set<FeatureName>();
  // Whatever is built anew has no layout section.
  if (hasLayout(btf) && lacks("btf_layout")) missing.add("btf_layout");
  for (let id = btf.firstId; id < btf.typeCount; id++) {
    const type = btf.type(id);
    const row = rewrites.find((candidate) => candidate.uses(type) && lacks(candidate.feature));
    if (row === undefined) continue;
    placeholder ??= builder.addInt("placeholder", 1);
    builder.replaceType(id, row.rewrite(type, placeholder, btf));
    missing.add(row.feature);
  }
  if (missing.size === 0) return undefined;
  const described = [...missing].map((feature) => `${featureTable[feature].what} (${featureTable[feature].since})`);
  log.debug(() => `the kernel does not know ${described.join(", ")}: type information rewritten`);
  return builder.build();
}

/** UAPI linux/btf.h: a header of 32 bytes or more ends with offset and length of the layout section. */
const LAYOUT_LENGTH_AT = 28;

function hasLayout({ bytes, littleEndian }: Btf): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint32(4, littleEndian) >= LAYOUT_LENGTH_AT + 4 && view.getUint32(LAYOUT_LENGTH_AT, littleEndian) > 0;
}
