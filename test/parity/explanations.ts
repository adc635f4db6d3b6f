// Differences that somebody has looked at. Data: the first entry that fits explains a difference; what fits none is
// unexplained and fails the run. `intended` differences stay; a `gap` is a feature that libbpf has and bpfkit lacks.

import type { Difference } from "./compare.js";

/** Why a difference is there. */
export interface Explanation {
  readonly name: string;
  readonly state: "intended" | "gap";
  readonly reason: string;
  readonly fits: (difference: Difference) => boolean;
}

/** Fits when bpfkit's side of the difference matches. */
const bpfkitSays =
  (pattern: RegExp) =>
  ({ bpfkit }: Difference): boolean =>
    pattern.test(bpfkit);

/** In order; the first that fits counts. */
export const explanations: readonly Explanation[] = [
  {
    name: "zeros are not written",
    state: "intended",
    reason: "a new array is all zeros: one system call less for .bss",
    fits: ({ kind, libbpf, bpfkit }) => kind === "initial value" && bpfkit === "nothing" && libbpf.startsWith("zeros"),
  },
  {
    name: "externs",
    state: "gap",
    reason: "kconfig variables, kernel symbols and kernel functions are not resolved",
    fits: bpfkitSays(/an extern of \.(kconfig|ksyms)/),
  },
];

/** The explanation of a difference, or undefined. */
export function explain(difference: Difference): Explanation | undefined {
  return explanations.find((candidate) => candidate.fits(difference));
}
