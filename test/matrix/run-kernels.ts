// The kernels' part of a run: set up, boot, run the bundled tests, collect; one guest at a time unless asked otherwise.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, bundleTests } from "./bundle.js";
import { say } from "./cache.js";
import { type Bootable, quote, runInGuest } from "./guest.js";
import { GuestResults, type RunRecord } from "./guest-results.js";
import { ensureKernel } from "./kernel-image.js";
import type { KernelRow } from "./kernels.js";
import { type FileRecord, fileFailed, parseRecord } from "./records.js";
import { failureText } from "./table.js";
import { ensureTools } from "./tools.js";

/** Lines of console that a failed run keeps. */
const CONSOLE_LINES = 40;

/** What every boot and every ended QEMU prints. */
const NOISE =
  /BIOS-(e820|provided)|Command line:|earlyser0|KASLR using|mtrr: |trace_clock=local|switching default tracing clock|If you want to keep using the local clock|on the kernel command line|sys already mounted|\/etc\/lvm|dmesg\(1\) may have|^qemu-system-\w+: (Failed|vhost|terminating)|APIC calibration|calibrate against PIT/;

/** A kernel that can be booted, fetched when it is not in the cache. */
export async function prepareKernel(kernel: KernelRow): Promise<Bootable> {
  const tools = await ensureTools();
  return { kernel, tools, image: await ensureKernel(kernel, tools) };
}

/** Runs these test files on each kernel, `jobs` guests at a time. The order of the result is that of the kernels. */
export async function runKernels(
  kernels: readonly KernelRow[],
  files: readonly string[],
  jobs: number,
): Promise<RunRecord[]> {
  const guests: Bootable[] = [];
  for (const kernel of kernels) guests.push(await prepareKernel(kernel));
  const bundle = await bundleTests(files);
  const clean = (): void => rmSync(bundle.root, { recursive: true, force: true });
  process.once("exit", clean);
  const runs: RunRecord[] = [];
  const waiting = [...guests.entries()];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      runs[next[0]] = await runWithSecondTry(next[1], bundle);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.max(1, jobs) }, worker));
    return runs;
  } finally {
    clean();
  }
}

/** Progress: a line per file, and at once what failed in it. */
function tell(name: string, file: FileRecord): void {
  say(`${name}: ${fileFailed(file) ? "FAILED" : "ok"} ${file.file} (${file.seconds} s)`);
  if (file.error !== undefined) say(`${name}:   ${file.error.split("\n", 1)[0]}`);
  for (const test of file.tests) {
    if (test.retried === undefined) continue;
    say(`${name}:   passed at the second try: ${test.name}: ${test.retried.split("\n", 1)[0]}`);
  }
  for (const test of file.tests.filter((candidate) => candidate.state === "failed")) {
    say(`${name}:   ${test.name}: ${test.error?.split("\n", 1)[0]}`);
  }
}

/** In CI an emulated machine that hung, died or failed is started once more; the table tells. */
async function runWithSecondTry(guest: Bootable, bundle: Bundle): Promise<RunRecord> {
  const first = await runGuest(guest, bundle);
  if (first.status === "passed" || process.env.CI === undefined) return first;
  for (const line of [...failureText([first]).split("\n"), ...(first.console ?? [])]) say(`${first.name}: | ${line}`);
  say(`${first.name}: ${first.status}; starting it once more`);
  return { ...(await runGuest(guest, bundle)), firstTry: first.status };
}

async function runGuest(guest: Bootable, bundle: Bundle): Promise<RunRecord> {
  const { name } = guest.kernel;
  say(`${name}: booting ${guest.image.version}`);
  const results = new GuestResults(bundle.files);
  const output: string[] = [];
  const script = join(bundle.root, "test/matrix/guest-tests.sh");
  const command = [
    "env",
    `BPFKIT_COMPILED=${bundle.root}`,
    "bash",
    script,
    process.execPath,
    bundle.program,
    ...bundle.files,
  ]
    .map(quote)
    .join(" ");
  const started = Date.now();
  const result = await runInGuest(guest, bundle.root, command, (line) => {
    const record = parseRecord(line);
    if (record === undefined) {
      if (line.trim() !== "") output.push(line);
      return;
    }
    const ended = results.add(record);
    if (ended !== undefined) tell(name, ended);
  });
  const seconds = Math.round((Date.now() - started) / 100) / 10;
  const console = [...output, ...result.stderr.split("\n")]
    .map((line) => line.trimEnd())
    .filter((line) => line !== "" && !NOISE.test(line));
  const run = results.finish(name, result.fate, seconds, console.slice(-CONSOLE_LINES));
  say(`${name}: ${run.status} in ${seconds} s`);
  return run;
}
