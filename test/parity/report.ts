// The result for people: tables of counts, then what differs, sorted by how many objects it costs.

import { asText, type Cells } from "../matrix/table.js";
import { type Difference, emptyTally, type ObjectComparison, type Tally, type Who } from "./compare.js";
import { type Explanation, explain } from "./explanations.js";

/** Differences of one explanation, or unexplained ones of one kind. */
export interface DifferenceGroup {
  readonly explanation: Explanation | undefined;
  /** Name of the explanation, or the kind. */
  readonly title: string;
  readonly differences: readonly Difference[];
  /** How many objects have such a difference. */
  readonly objects: number;
}

/** Sorts differences into groups: unexplained ones first, then by the number of objects. */
export function groupDifferences(comparisons: readonly ObjectComparison[]): DifferenceGroup[] {
  const groups = new Map<string, { explanation: Explanation | undefined; title: string; differences: Difference[] }>();
  const all = comparisons.flatMap(({ differences, facts }) => differences.map((difference) => ({ difference, facts })));
  for (const { difference, facts } of all) {
    const explanation = explain(difference, facts);
    const title = explanation?.name ?? difference.kind;
    const key = `${explanation === undefined} ${title}`;
    const group = groups.get(key) ?? { explanation, title, differences: [] };
    group.differences.push(difference);
    groups.set(key, group);
  }
  const rank = (group: { explanation: Explanation | undefined }): number =>
    group.explanation === undefined ? 0 : group.explanation.state === "gap" ? 1 : 2;
  return [...groups.values()]
    .map((group) => ({ ...group, objects: new Set(group.differences.map(({ object }) => object)).size }))
    .sort((a, b) => rank(a) - rank(b) || b.objects - a.objects || (a.title < b.title ? -1 : 1));
}

/** Objects opened and loaded by whom. */
export function objectCells(comparisons: readonly ObjectComparison[]): Cells {
  const row = (title: string, of: (comparison: ObjectComparison) => Who): string[] => {
    const count = (who: Who) => String(comparisons.filter((comparison) => of(comparison) === who).length);
    return [title, String(comparisons.length), count("both"), count("libbpf"), count("bpfkit"), count("none")];
  };
  return [
    ["objects", "all", "by both", "by libbpf only", "by bpfkit only", "by none"],
    row("opened", ({ opened }) => opened),
    row("loaded", ({ loaded }) => loaded),
  ];
}

/** What reached the kernel. */
export function kernelCells(comparisons: readonly ObjectComparison[]): Cells {
  const row = (title: string, of: (comparison: ObjectComparison) => Tally): string[] => {
    const sum = emptyTally();
    for (const comparison of comparisons) {
      for (const key of ["equal", "different", "onlyLibbpf", "onlyBpfkit"] as const) sum[key] += of(comparison)[key];
    }
    return [title, sum.equal, sum.different, sum.onlyLibbpf, sum.onlyBpfkit].map(String);
  };
  return [
    ["given to the kernel", "equal", "different", "by libbpf only", "by bpfkit only"],
    row("programs", ({ programs }) => programs),
    row("maps", ({ maps }) => maps),
    row("BTF blobs", ({ btf }) => btf),
  ];
}

/** One row per group. */
export function groupCells(groups: readonly DifferenceGroup[]): Cells {
  return [
    ["difference", "state", "objects", "differences", "why"],
    ...groups.map(({ title, explanation, objects, differences }) => [
      title,
      explanation?.state ?? "UNEXPLAINED",
      String(objects),
      String(differences.length),
      explanation?.reason ?? "",
    ]),
  ];
}

/** Tables, and of each group the first `list` differences. Groups that are intended are only counted. */
export function reportText(comparisons: readonly ObjectComparison[], list: number): string {
  const groups = groupDifferences(comparisons);
  const parts = [asText(objectCells(comparisons)), asText(kernelCells(comparisons))];
  if (groups.length > 0) parts.push(asText(groupCells(groups)));
  for (const { title, differences, explanation } of groups) {
    if (explanation?.state === "intended") continue;
    const shown = differences.slice(0, list).map(differenceText);
    if (shown.length > 0) parts.push([`${title}:`, ...shown].join("\n"));
  }
  const refused = comparisons.filter(({ loaded }) => loaded === "none").slice(0, list);
  if (refused.length > 0) parts.push(["loaded by none:", ...refused.map(refusalText)].join("\n"));
  return `${parts.join("\n\n")}\n`;
}

function refusalText({ object, libbpf, bpfkit }: ObjectComparison): string {
  return `  ${object}\n    libbpf  ${libbpf}\n    bpfkit  ${bpfkit}`;
}

function differenceText({ object, kind, subject, libbpf, bpfkit }: Difference): string {
  const what = [object, subject].filter((part) => part !== "").join(", ");
  return `  ${what}: ${kind}\n    libbpf  ${libbpf}\n    bpfkit  ${bpfkit}`;
}
