// The last word of a CI run: reads vitest's JSON report and prints `N passed, N failed`. A skipped test fails the run
// too, unless it is listed here: what could be tested and was not is not green.
// usage: tsx scripts/test-summary.ts REPORT.json      exit status 0 only when all is well
import { readFileSync } from "node:fs";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";

/** The part of vitest's JSON report that is used here. */
export interface TestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

/** Tests that may be skipped in CI, each with the reason why it cannot run there. */
const allowedSkips: readonly { readonly test: RegExp; readonly reason: string }[] = [
  {
    test: /\[not supported here: /,
    reason: "the kernel cannot; test/support/needs.ts fails by itself where the kernel of CI should",
  },
];

/** What a report comes to: the plain line, and everything that makes the run fail. */
export interface TestSummary {
  readonly line: string;
  readonly complaints: readonly string[];
}

/** Sums a report up. A file that could not even be loaded counts as one failure. */
export function summarize(report: TestReport, allowed: typeof allowedSkips = allowedSkips): TestSummary {
  const complaints: string[] = [];
  let passed = 0;
  let failed = 0;
  for (const file of report.testResults) {
    const failedBefore = failed;
    for (const { fullName, status } of file.assertionResults) {
      if (status === "passed") passed++;
      else if (status === "failed") failed++;
      else if (!allowed.some(({ test }) => test.test(fullName)))
        complaints.push(`${status}: ${fullName} (${file.name})`);
    }
    if (file.status === "failed" && failed === failedBefore) {
      failed++;
      complaints.push(`broken: ${file.name}: ${file.message.split("\n", 1)[0]}`);
    }
  }
  if (passed === 0) complaints.push("no test passed");
  if (failed > 0) complaints.push(`${failed} of ${passed + failed} tests failed`);
  return { line: `${passed} passed, ${failed} failed`, complaints };
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const path = argv[2];
  if (path === undefined) {
    console.error("usage: test-summary.ts REPORT.json");
    process.exit(2);
  }
  const { line, complaints } = summarize(JSON.parse(readFileSync(path, "utf8")) as TestReport);
  for (const complaint of complaints) console.error(complaint);
  console.log(line);
  process.exit(complaints.length > 0 ? 1 : 0);
}
