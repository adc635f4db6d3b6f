// Runs bundled test files with vitest's own runner and assertions, without vitest's workers, transforms and reporters,
// and reports on stdout (records.ts). A file that kills the process is passed over when guest-run.sh starts it again.

import { readFileSync, writeFileSync, writeSync } from "node:fs";
import { release } from "node:os";
import { type File, type Suite, startTests, type Task, type Test, type VitestRunner } from "@vitest/runner";
import { expect } from "vitest";
import type { GuestRecord, TestRecord, TestState } from "./records.js";
import { formatRecord } from "./records.js";

/** Emulated CPUs are ten times slower than what tests were written on; as in vitest.config.ts. */
const TIMEOUT_MS = 90_000;

/** Holds the number of the file being run; read back after a crash. It lives in the guest's own memory. */
const PROGRESS = process.env.MATRIX_PROGRESS;

/** Runs the files and exits: 0 when all passed, 1 otherwise. */
export async function runFiles(files: readonly string[], moduleOf: (file: string) => string): Promise<never> {
  const first = PROGRESS === undefined ? 0 : nextFile(PROGRESS);
  if (first === 0) tell({ type: "hello", release: release(), node: process.version, files: files.length });
  let failed = false;
  const stray: string[] = [];
  process.on("uncaughtException", (error) => stray.push(`uncaught: ${describeError(error)}`));
  process.on("unhandledRejection", (error) => stray.push(`unhandled rejection: ${describeError(error)}`));
  for (const [index, file] of files.entries()) {
    if (index < first) continue;
    if (PROGRESS !== undefined) writeFileSync(PROGRESS, String(index));
    tell({ type: "file", file });
    const started = process.hrtime.bigint();
    const [result] = await startTests([file], createRunner(moduleOf));
    const tests = result === undefined ? [] : testsOf(result);
    const errors = [...(result === undefined ? ["no result"] : suiteErrors(result)), ...stray.splice(0)];
    if (tests.length === 0 && errors.length === 0) errors.push("no tests in this file");
    failed ||= errors.length > 0 || tests.some((test) => test.state === "failed");
    const seconds = Math.round(Number(process.hrtime.bigint() - started) / 1e6) / 1e3;
    tell({ type: "done", file, seconds, tests, ...(errors.length === 0 ? {} : { error: errors.join("\n") }) });
  }
  tell({ type: "bye" });
  // Not by ending the event loop: a test that left a handle open must not hold the guest.
  process.exit(failed ? 1 : 0);
}

function createRunner(moduleOf: (file: string) => string): VitestRunner {
  return {
    config: {
      root: process.cwd(),
      setupFiles: [],
      name: undefined,
      passWithNoTests: true,
      testNamePattern: undefined,
      allowOnly: true,
      sequence: { seed: 1, hooks: "stack", setupFiles: "list" },
      chaiConfig: undefined,
      maxConcurrency: 5,
      testTimeout: TIMEOUT_MS,
      hookTimeout: TIMEOUT_MS,
      // A test that fails and then passes on a machine ten times slower than its author's is told apart, not hidden.
      retry: 1,
      includeTaskLocation: false,
      tags: [],
      tagsFilter: undefined,
      strictTags: false,
    },
    importFile: (file) => import(moduleOf(file)),
    extendTaskContext: (context) => Object.assign(context, { expect }),
    onBeforeRunTask: (test) => {
      if (test.mode === "run" || test.mode === "queued") tell({ type: "test", name: nameOf(test) });
    },
    onBeforeTryTask: () => {
      expect.setState({
        assertionCalls: 0,
        isExpectingAssertions: false,
        isExpectingAssertionsError: null,
        expectedAssertionsNumber: null,
        expectedAssertionsNumberErrorGen: null,
      });
    },
    onAfterTryTask: () => {
      const state = expect.getState();
      const { expectedAssertionsNumber: expected, expectedAssertionsNumberErrorGen: wrongNumber } = state;
      if (wrongNumber && expected !== null && state.assertionCalls !== expected) throw wrongNumber();
      if (state.isExpectingAssertions && state.assertionCalls === 0) throw state.isExpectingAssertionsError;
    },
  };
}

function testsOf(suite: File | Suite): TestRecord[] {
  return suite.tasks.flatMap((task): TestRecord[] => {
    if (task.type === "suite") return testsOf(task);
    const missing = (task.meta as { missing?: readonly string[] }).missing;
    const state = stateOf(task, missing !== undefined);
    return [
      {
        name: nameOf(task),
        state,
        ...(state === "unsupported" && missing !== undefined ? { missing } : {}),
        ...(state === "passed" && (task.result?.retryCount ?? 0) > 0 ? { retried: errorsOf(task).join("\n") } : {}),
        ...(state === "failed" ? { error: errorsOf(task).join("\n") || "failed" } : {}),
      },
    ];
  });
}

function stateOf(test: Test, missing: boolean): TestState {
  if (test.result?.state === "pass") return "passed";
  if (test.result?.state === "fail") return "failed";
  return missing ? "unsupported" : "skipped";
}

function suiteErrors(suite: File | Suite): string[] {
  const own = errorsOf(suite);
  return [...own, ...suite.tasks.flatMap((task) => (task.type === "suite" ? suiteErrors(task) : []))];
}

function errorsOf(task: Task): string[] {
  return (task.result?.errors ?? []).map(describeError);
}

/** Message and the frames that are not the test framework's. */
function describeError(error: unknown): string {
  const { message, stack } = (error ?? {}) as { message?: string; stack?: string };
  const frames = (stack ?? "").split("\n").filter((line) => /^\s+at /.test(line) && !line.includes("<anonymous>"));
  return [message ?? String(error), ...frames.slice(0, 8)].join("\n");
}

function nameOf(test: Test): string {
  const names = [test.name];
  for (let suite = test.suite; suite !== undefined; suite = suite.suite) names.unshift(suite.name);
  return names.join(" > ");
}

function nextFile(progress: string): number {
  try {
    return Number(readFileSync(progress, "utf8")) + 1;
  } catch {
    return 0;
  }
}

/** Straight to the descriptor: nothing is lost when the process dies next. */
function tell(record: GuestRecord): void {
  const bytes = Buffer.from(formatRecord(record));
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}
