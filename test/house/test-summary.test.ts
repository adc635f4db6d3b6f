// CI is red when a test failed, a file broke, a test was skipped without leave, or nothing ran.
import { describe, expect, it } from "vitest";
import { summarize, type TestReport } from "../../scripts/test-summary.js";

const file = (statuses: readonly string[], status = "passed", message = ""): TestReport["testResults"][number] => ({
  name: "a.test.ts",
  status,
  message,
  assertionResults: statuses.map((state, index) => ({ fullName: `test ${index}`, status: state })),
});
const sum = (...testResults: TestReport["testResults"]) =>
  summarize({ testResults }, [{ test: /^test 2$/, reason: "" }]);

describe("the summary of a CI run", () => {
  it("adds up what passed", () => {
    expect(sum(file(["passed", "passed"]), file(["passed"]))).toEqual({ line: "3 passed, 0 failed", complaints: [] });
  });

  it("complains about failures", () => {
    expect(sum(file(["passed", "failed"], "failed"))).toEqual({
      line: "1 passed, 1 failed",
      complaints: ["1 of 2 tests failed"],
    });
  });

  it("complains about skipped tests that are not on the list", () => {
    const { line, complaints } = sum(file(["passed", "skipped", "skipped", "todo"]));
    expect(line).toBe("1 passed, 0 failed");
    expect(complaints).toEqual(["skipped: test 1 (a.test.ts)", "todo: test 3 (a.test.ts)"]);
  });

  it("lets tests be skipped that needs.ts found this kernel unable to run", () => {
    const unable = { fullName: "kprobes [not supported here: kprobe (4.1)] count", status: "skipped" };
    const { complaints } = summarize({
      testResults: [{ ...file(["passed"]), assertionResults: [unable, { fullName: "a", status: "passed" }] }],
    });
    expect(complaints).toEqual([]);
  });

  it("counts a file that could not be loaded as a failure", () => {
    const { line, complaints } = sum(file(["passed"]), file([], "failed", "Cannot find module\n at x"));
    expect(line).toBe("1 passed, 1 failed");
    expect(complaints).toEqual(["broken: a.test.ts: Cannot find module", "1 of 2 tests failed"]);
  });

  it("complains when nothing ran", () => {
    expect(sum()).toEqual({ line: "0 passed, 0 failed", complaints: ["no test passed"] });
  });
});
