// The matrix's own judgement: what it makes of the records of good, crashing, hanging and dying guests, how it prints
// that, and that a damaged cache entry is built again.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { compareVersions } from "./apt.js";
import { cached, cacheRoot, dropCached, ensureCached } from "./cache.js";
import { docsText } from "./docs.js";
import { GuestResults, type RunRecord } from "./guest-results.js";
import { hookCell, hookCells } from "./hook-table.js";
import { kernels, selectKernels } from "./kernels.js";
import { formatRecord, type GuestRecord, parseRecord } from "./records.js";
import { asMarkdown, asText, failureText, formatCell, missingCells, resultCells } from "./table.js";

const hello: GuestRecord = { type: "hello", release: "5.10.0", node: "v20.20.2", files: 2 };
const good: GuestRecord = { type: "done", file: "a.test.ts", seconds: 1, tests: [{ name: "t", state: "passed" }] };

function runOf(records: readonly GuestRecord[], fate: "ended" | "hung" | "died"): RunRecord {
  const results = new GuestResults(["a.test.ts", "b.test.ts"]);
  for (const record of records) results.add(record);
  return results.finish("5.10", fate, 12.5, ["the console's end"]);
}

describe("records", () => {
  it("survive the way through stdout, also behind half a line of other output", () => {
    expect(parseRecord(`..${formatRecord(good).trimEnd()}`)).toEqual(good);
    expect(parseRecord("just a line")).toBeUndefined();
    expect(parseRecord("@matrix {cut off")).toBeUndefined();
  });
});

describe("the result of a guest", () => {
  it("is passed when every file ended well", () => {
    const run = runOf([hello, good, { ...good, file: "b.test.ts" }, { type: "bye" }], "ended");
    expect(run).toMatchObject({ status: "passed", release: "5.10.0", node: "v20.20.2", seconds: 12.5 });
    expect(run.console).toBeUndefined();
  });

  it("is failed by one failed test", () => {
    const bad: GuestRecord = { ...good, file: "b.test.ts", tests: [{ name: "t", state: "failed", error: "no" }] };
    expect(runOf([hello, good, bad, { type: "bye" }], "ended").status).toBe("failed");
  });

  it("is failed by a file that was never reached, and by a missing end", () => {
    expect(runOf([hello, good, { type: "bye" }], "ended").files[1]).toMatchObject({ error: "never reached" });
    expect(runOf([hello, good, { ...good, file: "b.test.ts" }], "ended").status).toBe("failed");
    expect(runOf([], "ended").status).toBe("failed");
  });

  it("names the test that killed the process, and goes on behind it", () => {
    const records: GuestRecord[] = [
      hello,
      { type: "file", file: "a.test.ts" },
      { type: "test", name: "reads a stale view" },
      { type: "died", status: 139 },
      { type: "file", file: "b.test.ts" },
      { ...good, file: "b.test.ts" },
      { type: "bye" },
    ];
    const run = runOf(records, "ended");
    expect(run.status).toBe("failed");
    expect(run.files[0]?.error).toBe('the process died (signal 11) in "reads a stale view"');
    expect(run.files[1]?.error).toBeUndefined();
  });

  it("names where a guest hung or died, and keeps the console", () => {
    const until: GuestRecord[] = [hello, good, { type: "file", file: "b.test.ts" }];
    const hung = runOf([...until, { type: "test", name: "waits" }], "hung");
    expect(hung.status).toBe("hung");
    expect(hung.files[1]?.error).toBe('the guest hung in "waits"');
    expect(failureText([hung])).toContain("the console's end");
    expect(runOf(until, "died").files[1]?.error).toBe("the guest died while the file was imported");
  });
});

describe("the table", () => {
  const file = (...states: ("passed" | "failed" | "unsupported" | "skipped")[]) => ({
    file: "a.test.ts",
    seconds: 1,
    tests: states.map((state) => ({
      name: "t",
      state,
      ...(state === "unsupported" ? { missing: ["perf_link"] } : {}),
    })),
  });

  it("tells passed, failed, not supported and skipped apart", () => {
    expect(formatCell(undefined)).toBe("");
    expect(formatCell(file("passed", "passed"))).toBe("2");
    expect(formatCell(file("passed", "unsupported"))).toBe("1 (1 n/a)");
    expect(formatCell(file("unsupported", "unsupported"))).toBe("n/a");
    expect(formatCell(file("passed", "skipped"))).toBe("1 (1 skipped)");
    expect(formatCell(file("passed", "failed", "unsupported"))).toBe("1 FAILED of 3");
    expect(formatCell({ ...file("passed"), error: "a hook threw" })).toBe("FAILED");
  });

  it("sums up what no guest runs, and counts missing features per run", () => {
    const base = { release: "6.18", node: "v22", status: "passed", seconds: 1 } as const;
    const runs: RunRecord[] = [
      { ...base, name: "5.10", kind: "guest", files: [file("passed", "unsupported")] },
      {
        ...base,
        name: "node 22",
        kind: "native",
        files: [file("passed", "passed"), { ...file("passed"), file: "pure.test.ts" }],
      },
    ];
    expect(resultCells(runs, ["a.test.ts"])).toEqual([
      ["test file", "5.10", "node 22"],
      ["a.test.ts", "1 (1 n/a)", "2"],
      ["all other tests", "", "1"],
    ]);
    expect(missingCells(runs)[1]).toEqual(["perf_link", "5.15", "BPF links of perf events", "5.10: 1"]);
    expect(docsText(runs, ["a.test.ts"])).toContain("| a.test.ts | 1 (1 n/a) | 2 |");
  });

  it("prints as text and as Markdown", () => {
    const cells = [
      ["run", "x"],
      ["long name", "a|b"],
    ];
    expect(asText(cells)).toBe("run        x\nlong name  a|b");
    expect(asMarkdown(cells)).toBe("| run | x |\n| --- | --- |\n| long name | a\\|b |");
  });
});

describe("the table of hooks", () => {
  const row = { hook: "h", sections: ["h+", "h.s+"], tests: { a: ["s > one", "s > two"], b: ["three"] } };
  const run = (...files: RunRecord["files"]): RunRecord => ({
    ...{ name: "5.10", kind: "guest", release: "5.10", node: "v22", status: "passed", seconds: 1 },
    files,
  });
  const passed = (name: string) => ({ name, state: "passed" }) as const;
  const lacks = (name: string, ...missing: string[]) =>
    ({ name: `${name} [not supported here: ${missing.join(", ")} (6.6)]`, state: "unsupported", missing }) as const;
  const file = (name: string, ...tests: RunRecord["files"][number]["tests"][number][]) => ({
    ...{ file: `test/${name}.test.ts`, seconds: 1 },
    tests,
  });
  const b = file("b", passed("three"));

  it("tells what is proven, and what is missing", () => {
    expect(hookCell(row, run(file("a", passed("s > one"), passed("s > two")), b))).toBe("proven");
    expect(hookCell(row, run(file("a", passed("s > one"), lacks("s > two", "tcx")), b))).toBe("proven; lacks tcx");
    const none = run(file("a", lacks("s > one", "tcx"), lacks("s > two", "tcx", "bpf")), file("b", lacks("three")));
    expect(hookCell(row, none)).toBe("lacks tcx, bpf");
    const suite = { ...lacks("s", "tcx"), name: "s [not supported here: tcx (6.6)] > one" };
    expect(hookCell({ ...row, tests: { a: ["s > one"] } }, run(file("a", suite)))).toBe("lacks tcx");
  });

  it("tells failures, tests that did not run, and tests that nobody has", () => {
    const failed = { name: "s > two", state: "failed", error: "no" } as const;
    expect(hookCell(row, run(file("a", passed("s > one"), failed), b))).toBe("FAILED");
    expect(hookCell(row, run({ ...file("a"), error: "the guest died" }, b))).toBe("FAILED");
    expect(hookCell(row, run(file("a", passed("s > one"), passed("s > renamed")), b))).toBe("no such test");
    expect(hookCell(row, run(b))).toBe("not run");
    expect(hookCell(row, run(file("a", passed("s > one"), { name: "s > two", state: "skipped" }), b))).toBe("not run");
    expect(hookCell({ ...row, tests: {} }, run(b))).toBe("no test");
  });

  it("has a column a run, and is on the page", () => {
    expect(hookCells([row], [run(b), { ...run(b), name: "6.1" }])).toEqual([
      ["hook", "SEC()", "5.10", "6.1"],
      ["h", "`h` `h.s`", "not run", "not run"],
    ]);
    expect(docsText([run(b)], [])).toContain("| uprobe, sleepable | `uprobe.s` `uretprobe.s` |");
  });
});

describe("kernels", () => {
  it("are selected by name, in the table's order", () => {
    expect(selectKernels([])).toBe(kernels);
    expect(selectKernels(["latest", "5.10"]).map((kernel) => kernel.name)).toEqual(["5.10", "latest"]);
    expect(() => selectKernels(["5.11"])).toThrow("no such kernel: 5.11 (there are 5.10, 6.1,");
  });

  it("match the packages of their series only, newest first", () => {
    const matching = (name: string, image: string) => kernels.find((kernel) => kernel.name === name)!.image.test(image);
    expect(matching("5.10", "linux-image-5.10.0-32-cloud-amd64")).toBe(true);
    expect(matching("5.10", "linux-image-5.10.0-32-cloud-amd64-dbg")).toBe(false);
    expect(matching("6.1", "linux-image-6.12.107+deb13-cloud-amd64")).toBe(false);
    expect(matching("6.18", "linux-image-6.18.15+deb13-cloud-amd64-unsigned")).toBe(false);
    expect(["6.9.1", "6.12.3", "6.12.10"].sort((a, b) => compareVersions(b, a))).toEqual([
      "6.12.10",
      "6.12.3",
      "6.9.1",
    ]);
  });
});

describe("the cache", () => {
  const folder = mkdtempSync(join(tmpdir(), "bpfkit-matrix-"));
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });

  it("builds an entry once, again when damaged, and leaves nothing of a failed build", async () => {
    vi.stubEnv("BPFKIT_MATRIX_CACHE", folder);
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
    let built = 0;
    const build = async (part: string) => {
      writeFileSync(join(part, "file"), `content ${++built}`);
      return `version ${built}`;
    };
    expect(cached("entry")).toBeUndefined();
    expect((await ensureCached("entry", build)).version).toBe("version 1");
    expect((await ensureCached("entry", build)).version).toBe("version 1");
    writeFileSync(join(folder, "entry/file"), "");
    expect((await ensureCached("entry", build)).version).toBe("version 2");
    expect(readFileSync(join(folder, "entry/file"), "utf8")).toBe("content 2");
    dropCached("entry");
    await expect(ensureCached("entry", () => Promise.reject(new Error("no mirror")))).rejects.toThrow("no mirror");
    expect(cached("entry")).toBeUndefined();
    vi.mocked(process.stderr.write).mockRestore();
  });

  it("refuses places that guests cannot see", () => {
    for (const path of ["relative", "/run/x", "/var/tmp/x"]) {
      vi.stubEnv("BPFKIT_MATRIX_CACHE", path);
      expect(() => cacheRoot()).toThrow("guests cannot see");
    }
  });
});
