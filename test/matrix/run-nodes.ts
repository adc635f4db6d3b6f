// The native part of a run: the whole suite by vitest on this machine's kernel, once per Node.js version. npm carries
// the binaries of Node.js as packages; npm checks them against the registry's checksums.

import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { release } from "node:os";
import { join, relative } from "node:path";
import { projectRoot } from "./bundle-paths.js";
import { cacheRoot, ensureCached, say } from "./cache.js";
import { must, run } from "./command.js";
import type { RunRecord } from "./guest-results.js";
import { type FileRecord, fileFailed, type TestRecord, type TestState } from "./records.js";
import { readableError } from "./stack.js";

/** The parts of vitest's JSON report that are used. */
interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly startTime: number;
    readonly endTime: number;
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[] | null;
      readonly meta?: { readonly missing?: readonly string[] };
    }[];
  }[];
}

/** A Node.js binary of this major, fetched when missing; the running one when it is of that major. */
async function ensureNode(major: number): Promise<string> {
  if (process.version.startsWith(`v${major}.`)) return process.execPath;
  const name = `node-linux-${process.arch}`;
  const entry = await ensureCached(`node/${major}`, async (folder) => {
    say(`fetching Node.js ${major}`);
    const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--no-package-lock"];
    await must("npm", ["install", ...quiet, "--prefix", folder, `${name}@${major}`], { cwd: folder });
    return (await must(join(folder, "node_modules", name, "bin/node"), ["--version"])).trim();
  });
  return join(entry.path, "node_modules", name, "bin/node");
}

/** The whole suite on one Node.js. */
export async function runNode(major: number): Promise<RunRecord> {
  const node = await ensureNode(major);
  const version = (await must(node, ["--version"])).trim();
  const folder = join(cacheRoot(), "run");
  mkdirSync(folder, { recursive: true });
  const report = join(folder, `node-${major}.${process.pid}.json`);
  say(`node ${major}: running the suite on ${version}`);
  const started = Date.now();
  const vitest = join(projectRoot, "node_modules/vitest/vitest.mjs");
  // A child of a test that says `node` gets the same version.
  const env = { ...process.env, PATH: `${join(node, "..")}:${process.env.PATH ?? ""}` };
  const args = [vitest, "run", "--reporter=json", `--outputFile=${report}`];
  const result = await run(node, args, { cwd: projectRoot, env });
  const seconds = Math.round((Date.now() - started) / 100) / 10;
  const files = readReport(report);
  rmSync(report, { force: true });
  const status = result.status === 0 && files.length > 0 && !files.some(fileFailed) ? "passed" : "failed";
  say(`node ${major}: ${status} in ${seconds} s`);
  const base = { name: `node ${major}`, kind: "native", release: release(), node: version } as const;
  const record: RunRecord = { ...base, status, seconds, files };
  if (status === "passed") return record;
  return { ...record, console: `${result.stdout}\n${result.stderr}`.trim().split("\n").slice(-20) };
}

function readReport(path: string): FileRecord[] {
  let report: VitestReport;
  try {
    report = JSON.parse(readFileSync(path, "utf8")) as VitestReport;
  } catch {
    return [];
  }
  return report.testResults.map((file) => {
    const tests = file.assertionResults.map((test): TestRecord => {
      const missing = test.meta?.missing;
      const state: TestState =
        test.status === "passed" || test.status === "failed" ? test.status : missing ? "unsupported" : "skipped";
      return {
        name: [...test.ancestorTitles, test.title].join(" > "),
        state,
        ...(state === "unsupported" && missing ? { missing } : {}),
        ...(state === "failed" ? { error: readableError((test.failureMessages ?? []).join("\n")) } : {}),
      };
    });
    // A file can fail with no test failed: its import, or a hook.
    const ownFailure = file.status === "failed" && !tests.some((test) => test.state === "failed");
    return {
      file: relative(projectRoot, file.name),
      seconds: Math.round(file.endTime - file.startTime) / 1e3,
      tests,
      ...(ownFailure ? { error: file.message || "failed" } : {}),
    };
  });
}
