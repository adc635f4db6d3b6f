// The result for people: a table with a row per test file and a column per run, then what is not supported where, then
// what failed. As plain text for a terminal, as Markdown for docs/kernels.md.

import { type FeatureName, features } from "../support/features.js";
import type { RunRecord } from "./guest-results.js";
import { type FileRecord, fileFailed } from "./records.js";

/** Rows of cells; the first row is the heading. */
export type Cells = readonly (readonly string[])[];

/** One cell: `12`, `10 (2 n/a)`, `n/a`, `2 FAILED of 12`, or empty where the file did not run. */
export function formatCell(file: FileRecord | undefined): string {
  if (file === undefined) return "";
  if (file.error !== undefined) return "FAILED";
  const count = (state: string): number => file.tests.filter((test) => test.state === state).length;
  const failed = count("failed");
  if (failed > 0) return `${failed} FAILED of ${file.tests.length}`;
  const notes = [
    ...(count("unsupported") > 0 ? [`${count("unsupported")} n/a`] : []),
    ...(count("skipped") > 0 ? [`${count("skipped")} skipped`] : []),
  ];
  if (count("passed") === 0 && count("unsupported") > 0 && notes.length === 1) return "n/a";
  return notes.length === 0 ? String(count("passed")) : `${count("passed")} (${notes.join(", ")})`;
}

/** Kernel × test file. Files that no guest runs are summed up in one row: they are the same on every kernel. */
export function resultCells(runs: readonly RunRecord[], kernelTests: readonly string[]): Cells {
  const rows: string[][] = [["test file", ...runs.map((run) => run.name)]];
  for (const file of kernelTests) {
    rows.push([file, ...runs.map((run) => formatCell(run.files.find((record) => record.file === file)))]);
  }
  if (runs.some((run) => run.kind === "native")) {
    rows.push(["all other tests", ...runs.map((run) => formatCell(summary(run, kernelTests)))]);
  }
  return rows;
}

/** What was run on, and how long it took. */
export function runCells(runs: readonly RunRecord[]): Cells {
  const rows = runs.map((run) => {
    const where = run.kind === "guest" ? "guest" : "this machine";
    const result = run.firstTry === undefined ? run.status : `${run.status} (second try, first: ${run.firstTry})`;
    return [run.name, run.release, run.node, where, result, `${run.seconds.toFixed(1)} s`];
  });
  return [["run", "kernel", "Node.js", "where", "result", "time"], ...rows];
}

/** Which feature keeps how many tests from running, on which runs. */
export function missingCells(runs: readonly RunRecord[]): Cells {
  const counts = new Map<string, Map<string, number>>();
  for (const run of runs) {
    for (const test of run.files.flatMap((file) => file.tests)) {
      for (const feature of test.missing ?? []) {
        const perRun = counts.get(feature) ?? new Map<string, number>();
        perRun.set(run.name, (perRun.get(run.name) ?? 0) + 1);
        counts.set(feature, perRun);
      }
    }
  }
  const rows = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    ["missing feature", "since kernel", "what it is", "tests not run"],
    ...rows.map(([name, perRun]) => {
      const feature = name in features ? features[name as FeatureName] : undefined;
      const where = [...perRun].map(([run, tests]) => `${run}: ${tests}`).join(", ");
      return [name, feature?.since ?? "?", feature?.what ?? "", where];
    }),
  ];
}

/** Every failure with its error, and the console of runs that hung or died. */
export function failureText(runs: readonly RunRecord[]): string {
  const parts: string[] = [];
  for (const run of runs) {
    for (const file of run.files.filter(fileFailed)) {
      if (file.error !== undefined) parts.push(`FAILED on ${run.name}: ${file.file}\n${indent(file.error)}`);
      for (const test of file.tests.filter((candidate) => candidate.state === "failed")) {
        parts.push(`FAILED on ${run.name}: ${file.file}\n  ${test.name}\n${indent(test.error ?? "")}`);
      }
    }
    // A plain failure explains itself; what the kernel said matters when something died.
    const told = run.status === "failed" && !run.files.some((file) => file.error !== undefined);
    if (run.console !== undefined && !told) {
      parts.push(`${run.name} ${run.status}; the end of its console:\n${indent(run.console.join("\n"))}`);
    }
  }
  return parts.join("\n\n");
}

/** Columns padded with blanks. */
export function asText(cells: Cells): string {
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A Markdown table. */
export function asMarkdown(cells: Cells): string {
  const [heading, ...rows] = cells.map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`);
  return [heading, `|${" --- |".repeat(cells[0]!.length)}`, ...rows].join("\n");
}

function summary(run: RunRecord, kernelTests: readonly string[]): FileRecord | undefined {
  const others = run.files.filter((file) => !kernelTests.includes(file.file));
  if (others.length === 0) return undefined;
  const error = others.find((file) => file.error !== undefined)?.error;
  const tests = others.flatMap((file) => file.tests);
  return { file: "", seconds: 0, tests, ...(error === undefined ? {} : { error }) };
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "    ");
}
