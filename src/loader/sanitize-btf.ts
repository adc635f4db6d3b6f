// Type information for kernels that are older than its kinds: what they lack is rewritten into something they know, with
// ids, names of globals and offsets unchanged (libbpf.md 3.8). One row of the table a kind.

import { type Btf, BtfBuilder, type BtfKindName, type BtfType, type BtfTypeInput } from "../btf/index.js";
import { log } from "../log.js";
import { btfLoad } from "../syscall/index.js";

/** What a kernel may not know yet. */
interface NewerFeature {
  readonly name: string;
  /** First kernel that knows it. */
  readonly since: string;
  /** Whether a type uses it. */
  readonly uses: (type: BtfType) => boolean;
  /** Adds the smallest type that uses it, to try whether the kernel takes it. */
  readonly probe: (builder: BtfBuilder) => void;
  /** The substitute for a type that uses it. `placeholder` is the id of a 1-byte integer. */
  readonly rewrite: (type: BtfType, placeholder: number) => BtfTypeInput;
}

/** The row of a feature that consists of a kind of its own. */
function kind<K extends BtfKindName>(
  name: K,
  since: string,
  probe: NewerFeature["probe"],
  rewrite: (type: Extract<BtfType, { kind: K }>, placeholder: number) => BtfTypeInput,
): NewerFeature {
  return {
    name: `BTF kind ${name}`,
    since,
    uses: (type) => type.kind === name,
    probe,
    rewrite: (type, placeholder) => rewrite(type as Extract<BtfType, { kind: K }>, placeholder),
  };
}

const features: readonly NewerFeature[] = [
  kind(
    "float",
    "5.13",
    (builder) => builder.addFloat("float", 4),
    ({ size }) => ({ kind: "struct", name: "", size, members: [] }),
  ),
  kind(
    "declTag",
    "5.16",
    (builder) => builder.addDeclTag("tag", builder.addTypedef("type", builder.addInt("int", 4))),
    () => ({ kind: "int", name: "decl_tag", size: 1, bits: 8, bitOffset: 0, signed: false, char: false, bool: false }),
  ),
  kind(
    "typeTag",
    "5.17",
    (builder) => builder.addPtr(builder.addTypeTag("tag", builder.addInt("int", 4))),
    ({ type }) => ({ kind: "const", name: "", type }),
  ),
  {
    name: "signed BTF enums",
    since: "6.0",
    uses: (type) => type.kind === "enum" && type.signed,
    probe: (builder) => builder.addEnum("e", [{ name: "v", value: -1 }], { signed: true }),
    rewrite: (type) => {
      const { name, size, values } = type as Extract<BtfType, { kind: "enum" }>;
      return { kind: "enum", name, size, signed: false, values: values.map((v) => ({ ...v, value: v.value >>> 0 })) };
    },
  },
  kind(
    "enum64",
    "6.0",
    (builder) => builder.addEnum64("e", [{ name: "v", value: 1n }]),
    ({ name, size, values }, placeholder) => ({
      kind: "union",
      name,
      size,
      members: values.map((value) => ({ name: value.name, type: placeholder, bitOffset: 0, bitSize: 0 })),
    }),
  ),
  {
    name: "question marks in names of data sections",
    since: "6.9",
    uses: (type) => type.kind === "datasec" && type.name.includes("?"),
    probe: (builder) => {
      const variable = builder.addVar("v", builder.addInt("int", 4), 0);
      builder.addDataSec("?.data", 4, [{ type: variable, offset: 0, size: 4 }]);
    },
    rewrite: (type) => ({ ...(type as Extract<BtfType, { kind: "datasec" }>), name: type.name.replaceAll("?", "_") }),
  },
];

/** What this process has found out about its kernel. */
const known = new Map<NewerFeature, boolean>();

function kernelKnows(feature: NewerFeature): boolean {
  let answer = known.get(feature);
  if (answer === undefined) {
    const builder = new BtfBuilder();
    feature.probe(builder);
    const { fd } = btfLoad({ bytes: builder.build() });
    fd?.close();
    answer = fd !== undefined;
    known.set(feature, answer);
  }
  return answer;
}

/**
 * The type information without what `isKnown` says the kernel lacks; undefined when nothing had to be changed.
 * By default the kernel is asked, once per feature and process, and only about what the object uses.
 */
export function sanitizeBtf(btf: Btf, isKnown: (name: string) => boolean = asksKernel): Uint8Array | undefined {
  const builder = BtfBuilder.from(btf);
  let placeholder: number | undefined;
  const changed = new Set<string>();
  for (let id = btf.firstId; id < btf.typeCount; id++) {
    const type = btf.type(id);
    const feature = features.find((candidate) => candidate.uses(type) && !isKnown(candidate.name));
    if (feature === undefined) continue;
    placeholder ??= builder.addInt("placeholder", 1);
    builder.replaceType(id, feature.rewrite(type, placeholder));
    changed.add(`${feature.name} (${feature.since})`);
  }
  if (changed.size === 0) return undefined;
  log.debug(() => `the kernel does not know ${[...changed].join(", ")}: type information rewritten`);
  return builder.build();
}

function asksKernel(name: string): boolean {
  return kernelKnows(features.find((feature) => feature.name === name)!);
}
