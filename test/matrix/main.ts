// `npm run test:matrix`: the kernel tests on every kernel of the table, the whole suite on every Node.js, one result.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { kernelTestFiles } from "./bundle.js";
import { dropCached, say } from "./cache.js";
import { writeDocs } from "./docs.js";
import { endGuests, shellInGuest } from "./guest.js";
import type { RunRecord } from "./guest-results.js";
import { cachedRelease, kernelEntry } from "./kernel-image.js";
import { kernels, nodeMajors, selectKernels } from "./kernels.js";
import { prepareKernel, runKernels } from "./run-kernels.js";
import { runNode } from "./run-nodes.js";
import { asText, failureText, missingCells, resultCells, runCells } from "./table.js";

const help = `Runs the tests on several kernels, in virtual machines, and on several versions of Node.js.

  npm run test:matrix                     all kernels and all Node.js versions
  npm run test:matrix -- 5.10 latest      these kernels only
  npm run test:matrix -- --nodes          the Node.js versions only
  npm run test:matrix -- --node 26        this version only (may be repeated)
  npm run test:matrix -- --with FILE      runs of an earlier --json FILE count for what is not run again now
  npm run test:matrix -- --file link      kernel tests whose path contains "link" only (may be repeated)
  npm run test:matrix -- --list           the kernels, and what is in the cache
  npm run test:matrix -- --json FILE      the result as JSON, too
  npm run test:matrix -- --write-docs     the result as docs/kernels.md, too
  npm run test:matrix -- --refresh        fetch the newest packages of these kernels first
  npm run matrix:shell -- 6.12            a shell in a guest

Needs: root, and Debian's apt-get and dpkg-deb. Nothing is installed on the machine.
Environment:
  BPFKIT_MATRIX_CACHE   where kernels and tools are kept (~/.cache/bpfkit-kernel-matrix, about 600 MB)
  MATRIX_JOBS           guests at a time (1)
  MATRIX_CPUS, MATRIX_MEMORY, MATRIX_TIMEOUT   of a guest (2, 2G, 900 seconds)
  MATRIX_KVM=1          use KVM, on machines where it runs stock kernels
  MATRIX_APPEND         more kernel parameters
Exit status: 0 when every run passed.
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: "boolean", short: "h" },
    list: { type: "boolean" },
    nodes: { type: "boolean" },
    node: { type: "string", multiple: true },
    with: { type: "string" },
    shell: { type: "boolean" },
    refresh: { type: "boolean" },
    file: { type: "string", multiple: true },
    json: { type: "string" },
    "write-docs": { type: "boolean" },
  },
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    endGuests();
    process.exit(130);
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}

async function main(): Promise<number> {
  if (values.help) return print(help);
  if (values.list) return print(`${asText(listCells())}\n`);
  checkNodes();
  const selected = selectKernels(positionals);
  if (values.shell) return shell();
  if (values.refresh) for (const kernel of selected) dropCached(kernelEntry(kernel));

  const files = (await kernelTestFiles()).filter((file) => values.file?.some((part) => file.includes(part)) ?? true);
  if (files.length === 0) throw new Error("no kernel tests: none imports test/support/kernel.ts or needs.ts");
  let runs: RunRecord[] = [];
  if (!values.nodes && values.node === undefined)
    runs.push(...(await runKernels(selected, files, Number(process.env.MATRIX_JOBS ?? 1))));
  if (positionals.length === 0 && values.file === undefined)
    for (const major of majors()) if (values.node?.includes(String(major)) ?? true) runs.push(await runNode(major));
  if (values.with !== undefined) runs = mergeRuns(values.with, runs);

  report(runs, files);
  if (values.json !== undefined) writeJson(values.json, { kernelTests: files, runs });
  if (values["write-docs"]) writeDocs(runs, files);
  return runs.length > 0 && runs.every((run) => run.status === "passed") ? 0 : 1;
}

/** Throws for a choice of Node.js versions that would run nothing. */
function checkNodes(): void {
  const unknown = values.node?.find((node) => !majors().map(String).includes(node));
  if (unknown !== undefined) throw new Error(`no Node.js ${unknown} here: ${majors().join(", ")}`);
  if ((values.nodes || values.node !== undefined) && (positionals.length > 0 || values.file !== undefined))
    throw new Error("--nodes and --node run the whole suite on this machine: give kernels and --file in another run");
}

/** The runs of an earlier `--json FILE`, with those that were made anew in their places. */
function mergeRuns(path: string, runs: readonly RunRecord[]): RunRecord[] {
  const earlier = (JSON.parse(readFileSync(path, "utf8")) as { runs: RunRecord[] }).runs;
  const anew = new Map(runs.map((run) => [run.name, run]));
  const merged = earlier.map((run) => anew.get(run.name) ?? run);
  return [...merged, ...runs.filter((run) => !earlier.some(({ name }) => name === run.name))];
}

function shell(): Promise<number> | never {
  const kernel = kernels.find((candidate) => candidate.name === positionals[0]);
  if (kernel === undefined || positionals.length !== 1)
    throw new Error("a shell needs one kernel: npm run matrix:shell -- 6.12");
  return prepareKernel(kernel).then(shellInGuest);
}

/** The Node.js that runs this, and those of the table. */
function majors(): readonly number[] {
  const own = Number(process.versions.node.split(".", 1)[0]);
  return [...new Set([own, ...nodeMajors])].sort((a, b) => a - b);
}

function report(runs: readonly RunRecord[], files: readonly string[]): void {
  const failures = failureText(runs);
  const missing = missingCells(runs);
  const parts = [
    ...(failures === "" ? [] : [failures]),
    asText(resultCells(runs, files)),
    ...(missing.length > 1 ? [asText(missing)] : []),
    asText(runCells(runs)),
  ];
  print(`\n${parts.join("\n\n")}\n`);
}

function listCells(): string[][] {
  const rows = kernels.map((kernel) => [kernel.name, kernel.suite, cachedRelease(kernel) ?? "not fetched", kernel.why]);
  return [["kernel", "suite", "in the cache", "why"], ...rows];
}

function writeJson(path: string, value: unknown): void {
  mkdirSync(dirname(resolve(path)), { recursive: true });
  writeFileSync(path, `${JSON.stringify(value, undefined, 1)}\n`);
  say(`wrote ${path}`);
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}
