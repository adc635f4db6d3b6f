// Which types of the target could be meant by a local type: those of the same name, flavors ignored, and a compatible
// kind, in the kernel, else in its modules (libbpf.md 4.4).

import { type Btf, BtfKind, type BtfKindNumber, essentialName } from "../btf/index.js";
import { CoreRelocationError } from "../errors.js";

/** The type information to relocate against. */
export type CoreTargets = {
  /** BTF of vmlinux, or the custom BTF that replaces it. */
  readonly kernel: Btf;
  /** Split BTF of the modules; called at most once, when a type is not found in `kernel`. */
  readonly modules?: () => readonly { readonly name: string; readonly btf: Btf }[];
  /** `kernel` is a custom BTF: it stands for the whole kernel, modules are not asked (libbpf's `btf_custom_path`). */
  readonly custom?: boolean;
};

/** A type of the target that could be meant. */
export interface Candidate {
  readonly btf: Btf;
  readonly id: number;
}

/** Finds candidates; asks for the modules' BTF at most once. */
export class CandidateFinder {
  readonly #local: Btf;
  readonly #targets: CoreTargets;
  #modules: readonly { readonly name: string; readonly btf: Btf }[] | undefined;

  constructor(local: Btf, targets: CoreTargets) {
    this.#local = local;
    this.#targets = targets;
  }

  /**
   * All candidates for a local type, in the order in which they are tried; none is a valid answer.
   * CoreRelocationError when the type has no name to search for. libbpf: `bpf_core_find_cands`.
   */
  find(localTypeId: number): Candidate[] {
    const name = essentialName(this.#local.nameOf(localTypeId));
    // libbpf.md 4.4 rule 2
    if (name === "") throw new CoreRelocationError("CORE_INVALID", "an anonymous type cannot be searched for");
    const kind = this.#local.kindOf(localTypeId);

    const { kernel, custom, modules } = this.#targets;
    const candidates = kernel.base === undefined ? [] : candidatesIn(kernel.base, name, kind);
    candidates.push(...candidatesIn(kernel, name, kind));
    if (candidates.length > 0 || custom === true || modules === undefined) return candidates;

    this.#modules ??= modules();
    return this.#modules.flatMap((module) => candidatesIn(module.btf, name, kind));
  }
}

/** libbpf.md 4.4 rule 3. For split BTF only its own ids: the base has been searched already. */
function candidatesIn(btf: Btf, name: string, kind: BtfKindNumber): Candidate[] {
  const candidates: Candidate[] = [];
  for (const id of btf.idsByEssentialName(name)) {
    if (areKindsCompatible(kind, btf.kindOf(id))) candidates.push({ btf, id });
  }
  return candidates;
}

/** Equal kinds, or enum with enum64. libbpf: `btf_kind_core_compat`. */
export function areKindsCompatible(local: BtfKindNumber, target: BtfKindNumber): boolean {
  return local === target || (isEnumKind(local) && isEnumKind(target));
}

function isEnumKind(kind: BtfKindNumber): boolean {
  return kind === BtfKind.Enum || kind === BtfKind.Enum64;
}
