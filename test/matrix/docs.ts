// docs/kernels.md: the result of a run for readers of the project, written by `npm run test:matrix -- --write-docs`.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hookRows, unattachedRows } from "../house/hooks.js";
import { projectRoot } from "./bundle-paths.js";
import { say } from "./cache.js";
import type { RunRecord } from "./guest-results.js";
import { hookCells } from "./hook-table.js";
import { kernels } from "./kernels.js";
import { asMarkdown, missingCells, resultCells, runCells } from "./table.js";

/** Writes the page. */
export function writeDocs(runs: readonly RunRecord[], kernelTests: readonly string[]): void {
  const folder = join(projectRoot, "docs");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "kernels.md"), docsText(runs, kernelTests));
  say("wrote docs/kernels.md");
}

/** The page's text. */
export function docsText(runs: readonly RunRecord[], kernelTests: readonly string[]): string {
  const chosen = kernels.map((kernel) => [kernel.name, `Debian ${kernel.suite}`, kernel.why]);
  return `<!-- Written by \`npm run test:matrix -- --write-docs\`; do not edit. -->
# Tested kernels

The tests that talk to the kernel run on each of these kernels, in a virtual machine under virtme-ng and QEMU, as root,
and the whole suite runs on this machine's kernel with each version of Node.js. \`npm run test:matrix\` does it;
\`npm run test:matrix -- --help\` tells how to run a part of it.

${asMarkdown([["kernel", "from", "why"], ...chosen])}

## The last run

Guests are emulated without hardware support unless \`MATRIX_KVM=1\` is set: the time includes booting, and everything in
a guest is about ten times slower than on this machine.

${asMarkdown(runCells(runs))}

## Results

Tests that passed; in brackets those that cannot run there because the kernel lacks a feature (n/a).

${asMarkdown(resultCells(runs, kernelTests))}

## Hooks

What programs can be attached to: \`proven\` where tests saw that the program ran, was told the right things (its cookie
too, where the hook has one), and ran no more when it was detached; \`lacks …\` names the features that this
kernel lacks (below). \`test/house/hooks.ts\` names the tests.

${asMarkdown(hookCells(hookRows, runs))}

Programs that are not attached, but put into a map, named in a route or a filter, or called:

${asMarkdown(hookCells(unattachedRows, runs))}

## Not supported there

Each feature is tried on each kernel, and a run fails when one works that should not, or the other way round
(\`test/support/needs.test.ts\`). "Since" is the first kernel that has it, where its configuration allows.

${asMarkdown(missingCells(runs))}
`;
}
