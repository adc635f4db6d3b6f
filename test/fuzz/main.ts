// `npm run fuzz`: starts worker processes, watches over them, sums up.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from "node:fs";
import { setPriority, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { JOURNAL_HEAD, type WorkerMessage, type WorkerTask } from "./protocol.js";
import { targets } from "./targets.js";

const help = `Feeds damaged input to everything of bpfkit that reads what strangers made. Nothing reaches the kernel.

  npm run fuzz                       10 minutes over all targets
  npm run fuzz -- --minutes N        another time (fractions allowed)
  npm run fuzz -- --seed N           other damage; the seed of a run is printed
  npm run fuzz -- --only NAME        targets whose name is NAME, or begins with NAME-
  npm run fuzz -- --jobs N           N processes, each with a seed of its own (1)
  npm run fuzz -- --blind            without looking at coverage: faster, reproducible, less far
  npm run fuzz -- --replay FILE --only NAME   one input again
  npm run fuzz -- --out DIR          where the inputs of findings go (fuzz-findings)
  npm run fuzz -- --json FILE        the summary as JSON, too

Targets: ${targets.map(({ name }) => name).join(", ")}
A finding is anything thrown that is not an error of bpfkit's own, more than 2 s of processor time, memory out of
proportion to the input, a hang, or the end of the process. Fixed ones go to test/fuzz/corpus/TARGET/, which every test
run replays.
Exit status: 0 no finding, 1 findings, 2 it could not run.
`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean", short: "h" },
    minutes: { type: "string", default: "10" },
    seed: { type: "string" },
    only: { type: "string" },
    jobs: { type: "string", default: "1" },
    blind: { type: "boolean", default: false },
    replay: { type: "string" },
    out: { type: "string", default: "fuzz-findings" },
    json: { type: "string" },
  },
});

/** A process that runs one input for so long is ended; ten times what an input may cost, because machines are busy. */
const HANG = 20_000;
/** Heap of a worker in MiB: far more than any input needs. */
const HEAP = 1024;

/** When the last line about progress was printed. */
let toldAt = 0;

type Told = Extract<WorkerMessage, { kind: "finding" }>["finding"];
type Progress = Extract<WorkerMessage, { kind: "progress" }>;

/** What a run has come to. */
interface Summary {
  readonly seed: number;
  seconds: number;
  readonly executions: Record<string, number>;
  readonly ownErrors: Set<string>;
  readonly findings: Told[];
  blocks: number;
}

try {
  if (values.help) process.stdout.write(help);
  else process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}

async function main(): Promise<number> {
  const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : numberOf("seed", values.seed);
  const seconds = numberOf("minutes", values.minutes) * 60;
  const jobs = numberOf("jobs", values.jobs);
  const names = chooseTargets();
  setPriority(10);
  const folder = resolve(values.out);
  const work = mkdtempSync(join(tmpdir(), "bpfkit-fuzz-"));
  try {
    const program = `${work}/worker.mjs`;
    await bundleWorker(program);
    const summary: Summary = { seed, seconds, executions: {}, ownErrors: new Set(), findings: [], blocks: 0 };
    const start = performance.now();
    const task = { seconds, targets: names, coverage: !values.blind, folder };
    const replay = values.replay === undefined ? {} : { replay: resolve(values.replay) };
    console.log(`fuzz: seed ${seed}, ${seconds} s, ${jobs} process(es): ${names.join(", ")}`);
    await Promise.all(
      Array.from({ length: jobs }, (_, job) =>
        supervise(program, { ...task, ...replay, seed: seed + job * 1000, journal: `${work}/journal-${job}` }, summary),
      ),
    );
    summary.seconds = Math.round((performance.now() - start) / 1000);
    conclude(summary);
    return summary.findings.length > 0 ? 1 : 0;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function numberOf(option: string, text: string): number {
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number) || number < 0)
    throw new Error(`--${option} takes a number, not ${text}`);
  return number;
}

function chooseTargets(): string[] {
  const { only } = values;
  const chosen = targets.filter(({ name }) => only === undefined || name === only || name.startsWith(`${only}-`));
  if (chosen.length === 0)
    throw new Error(`no target ${only}; there are ${targets.map(({ name }) => name).join(", ")}`);
  const exact = chosen.filter(({ name }) => values.replay !== undefined && name === only);
  if (values.replay !== undefined && exact.length === 0)
    throw new Error("--replay needs --only with the target's name");
  return (exact.length > 0 ? exact : chosen).flatMap(({ name, missing }) => {
    const why = missing?.();
    if (why !== undefined) console.log(`fuzz: without ${name}: ${why}`);
    return why === undefined ? [name] : [];
  });
}

/** One script, so that coverage is one list of blocks; koffi is not in it and cannot be found from there. */
async function bundleWorker(outfile: string): Promise<void> {
  const entryPoints = ["test/fuzz/worker.ts"];
  const external = ["koffi"];
  // elfy is CommonJS.
  const banner = {
    js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);',
  };
  const common = { bundle: true, format: "esm", platform: "node", target: "es2022", logLevel: "error" } as const;
  await build({ ...common, entryPoints, outfile, external, banner, sourcemap: "inline" });
}

/** Runs a task to its end, in as many processes as it takes. */
async function supervise(program: string, task: WorkerTask, summary: Summary): Promise<void> {
  const end = performance.now() + task.seconds * 1000;
  const totals: Record<string, number> = {};
  for (let turn = 0; ; turn++) {
    const seconds = (end - performance.now()) / 1000;
    if (turn > 0 && (seconds < 1 || task.replay !== undefined)) return;
    let latest: Progress | undefined;
    const outcome = await runWorker(program, { ...task, seconds, seed: task.seed + turn * 100 }, (message) => {
      if (message.kind === "finding") addFinding(summary, message.finding);
      if (message.kind !== "progress") return;
      latest = message;
      for (const [name, count] of Object.entries(message.executions)) {
        summary.executions[name] = (summary.executions[name] ?? 0) + count - (totals[name] ?? 0);
        totals[name] = count;
      }
      for (const error of message.ownErrors) summary.ownErrors.add(error);
      summary.blocks = Math.max(summary.blocks, message.blocks);
      tell(summary, end, latest.kept);
    });
    for (const name of Object.keys(totals)) totals[name] = 0;
    if (outcome === undefined) return;
    addFinding(summary, keepJournal(task, outcome));
  }
}

function addFinding(summary: Summary, finding: Told): void {
  if (summary.findings.some(({ key }) => key === finding.key)) return;
  summary.findings.push(finding);
  const first = finding.text.split("\n").slice(0, 6).join("\n  ");
  console.log(
    `\nfuzz: FOUND ${finding.kind} in ${finding.target}: ${first}\n  input: ${finding.file} (${finding.bytes} bytes)`,
  );
}

/** The input that a worker did not survive. */
function keepJournal(task: WorkerTask, { kind, text }: { kind: "hang" | "crash"; text: string }): Told {
  const { target, input } = readJournal(task.journal);
  const name = task.replay === undefined ? (targets[target]?.name ?? "") : task.targets[0]!;
  mkdirSync(`${task.folder}/${name}`, { recursive: true });
  const file = `${task.folder}/${name}/${kind}-${Date.now()}.bin`;
  writeFileSync(file, input);
  return { target: name, kind, key: `${name}: ${kind} ${text.slice(0, 60)}`, text, file, bytes: input.length };
}

function readJournal(path: string): { target: number; execution: number; input: Uint8Array } {
  const head = new Uint32Array(JOURNAL_HEAD / 4);
  const fd = openSync(path, "a+");
  try {
    readSync(fd, head, 0, JOURNAL_HEAD, 0);
    const input = new Uint8Array(head[2]!);
    readSync(fd, input, 0, input.length, JOURNAL_HEAD);
    return { target: head[0]!, execution: head[1]!, input };
  } finally {
    closeSync(fd);
  }
}

/** One process; undefined when it came to its end, else what happened. */
function runWorker(
  program: string,
  task: WorkerTask,
  hear: (message: WorkerMessage) => void,
): Promise<{ kind: "hang" | "crash"; text: string } | undefined> {
  const flags = [`--max-old-space-size=${HEAP}`, "--expose-gc", "--enable-source-maps", "--stack-trace-limit=20"];
  const child: ChildProcess = spawn(process.execPath, [...flags, program, JSON.stringify(task)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let done = false;
  let hung = false;
  let noise = "";
  child.stderr!.on("data", (chunk: Buffer) => {
    noise = (noise + chunk.toString()).slice(-4000);
  });
  createInterface({ input: child.stdout! }).on("line", (line) => {
    const message = JSON.parse(line) as WorkerMessage;
    if (message.kind === "done") done = true;
    hear(message);
  });
  let last = -1;
  let since = performance.now();
  const watch = setInterval(() => {
    const { execution } = readJournal(task.journal);
    if (execution !== last) [last, since] = [execution, performance.now()];
    // Starting up, and making the seeds, has its time, too.
    if (performance.now() - since < HANG * (last <= 0 ? 3 : 1)) return;
    hung = true;
    child.kill("SIGKILL");
  }, 500);
  return new Promise((settle, fail) => {
    child.on("error", fail);
    child.on("close", (code, signal) => {
      clearInterval(watch);
      if (done) settle(undefined);
      else if (hung) settle({ kind: "hang", text: `one input ran for more than ${HANG / 1000} s` });
      else if (last <= 0 && task.replay === undefined) fail(new Error(`the worker did not start: ${noise}`));
      else settle({ kind: "crash", text: `the process ended with ${signal ?? code}: ${noise}` });
    });
  });
}

function total({ executions }: Summary): number {
  return Object.values(executions).reduce((sum, count) => sum + count, 0);
}

function tell(summary: Summary, end: number, kept: number): void {
  const left = Math.max(0, Math.round((end - performance.now()) / 1000));
  const line =
    `fuzz: ${left} s left, ${total(summary)} executions, ${summary.ownErrors.size} own errors, ` +
    `${summary.blocks} blocks, ${kept} inputs kept, ${summary.findings.length} findings`;
  if (process.stdout.isTTY) process.stdout.write(`\r${line}\x1b[K`);
  else if (performance.now() - toldAt > 30_000) {
    toldAt = performance.now();
    console.log(line);
  }
}

function conclude(summary: Summary): void {
  if (process.stdout.isTTY) console.log();
  for (const [name, count] of Object.entries(summary.executions)) console.log(`${String(count).padStart(10)}  ${name}`);
  for (const { kind, key, file } of summary.findings) console.log(`FOUND ${kind}: ${key}\n      ${file}`);
  const { seed, seconds, findings, ownErrors } = summary;
  console.log(
    `fuzz: ${total(summary)} executions in ${seconds} s (seed ${seed}), ${ownErrors.size} distinct own errors, ` +
      `${findings.length} findings`,
  );
  if (values.json === undefined) return;
  writeFileSync(values.json, `${JSON.stringify({ ...summary, ownErrors: [...ownErrors].sort() }, null, 2)}\n`);
}
