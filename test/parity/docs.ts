// docs/parity.md: the result for readers of the project, written by `npm run parity -- --write-docs`.

import { mkdirSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { projectRoot } from "../matrix/bundle-paths.js";
import { asMarkdown } from "../matrix/table.js";
import type { ObjectComparison } from "./compare.js";
import { groupCells, groupDifferences, kernelCells, objectCells } from "./report.js";

/** All objects of one folder under the same circumstances. */
export interface ParityRun {
  readonly title: string;
  readonly comparisons: readonly ObjectComparison[];
}

/** Writes the page. */
export function writeDocs(runs: readonly ParityRun[]): void {
  mkdirSync(join(projectRoot, "docs"), { recursive: true });
  writeFileSync(join(projectRoot, "docs/parity.md"), docsText(runs, release()));
}

/** The page's text. */
export function docsText(runs: readonly ParityRun[], kernel: string): string {
  return `<!-- Written by \`npm run parity -- --write-docs\`; do not edit. -->
# What libbpf gives to the kernel, and what bpfkit gives

Every object is opened and loaded with bpfkit and with libbpf 1.7, all programs switched on, and every bpf() call of both
is recorded. Compared are map definitions and initial values, BTF blobs, and for each program type, attach type, flags,
attach BTF id, license, name, instructions, func and line info. Descriptors are replaced by what they stand for; libbpf's
feature probes are left out. An object that does not load as a whole is loaded program by program.

"Faked" runs give no program to the kernel: all loads succeed, so that programs which this kernel cannot load, or would
refuse, are compared too. \`npm run parity -- --help\` tells how to run it. Linux ${kernel}, Node.js ${process.version}.

${runs.map(section).join("\n\n")}
`;
}

function section({ title, comparisons }: ParityRun): string {
  const groups = groupDifferences(comparisons);
  const parts = [`## ${title}`, asMarkdown(objectCells(comparisons)), asMarkdown(kernelCells(comparisons))];
  parts.push(groups.length === 0 ? "No difference." : asMarkdown(groupCells(groups)));
  return parts.join("\n\n");
}
