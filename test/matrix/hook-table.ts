// Hook × run: what the tests that prove a hook's effect (test/house/hooks.ts) came to in each run.

import type { HookRow } from "../house/hooks.js";
import type { RunRecord } from "./guest-results.js";
import type { TestRecord, TestState } from "./records.js";
import type { Cells } from "./table.js";

/** Hook × run; the first row is the heading. */
export function hookCells(rows: readonly HookRow[], runs: readonly RunRecord[]): Cells {
  return [
    ["hook", "SEC()", ...runs.map(({ name }) => name)],
    ...rows.map((row) => [
      row.hook,
      row.sections.map((section) => `\`${section.replace(/\+$/, "")}\``).join(" "),
      ...runs.map((run) => hookCell(row, run)),
    ]),
  ];
}

/**
 * One cell: `proven` where all tests of the row passed, `proven; lacks FEATURE` where some could not run for the lack of
 * it, `lacks FEATURE` where none could, `FAILED`, `not run`, `no test`.
 */
export function hookCell(row: HookRow, run: RunRecord): string {
  const named = Object.entries(row.tests).flatMap(([test, names]) =>
    names.map((name) => ({ file: `test/${test}.test.ts`, name })),
  );
  if (named.length === 0) return "no test";
  const found = named.map(({ file, name }) => {
    const record = run.files.find((each) => each.file === file);
    if (record?.error !== undefined) return { state: "broken" } as const;
    if (record === undefined) return { state: "skipped" } as const;
    // One that is gone under this name must be seen: hooks.test.ts should have told.
    return record.tests.find((each) => plainName(each) === name) ?? ({ state: "unknown" } as const);
  });
  const has = (state: TestState | "broken" | "unknown"): boolean => found.some((each) => each.state === state);
  if (has("failed") || has("broken")) return "FAILED";
  if (has("unknown")) return "no such test";
  if (has("skipped")) return "not run";
  const missing = new Set(found.flatMap((each) => ("missing" in each ? (each.missing ?? []) : [])));
  if (missing.size === 0) return "proven";
  return has("passed") ? `proven; lacks ${[...missing].join(", ")}` : `lacks ${[...missing].join(", ")}`;
}

/** The name without what needs.ts adds to suites and tests that cannot run. */
function plainName({ name }: TestRecord): string {
  return name.replaceAll(/ \[not supported here: [^\]]*\]/g, "");
}
