// The examples, started as a user would start them.

import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { kernelDescribe } from "../support/needs.js";
import { scriptArguments } from "../support/script.js";

interface Outcome {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs an example to its end; `during` gets a hook for what should happen meanwhile. */
function run(
  example: string,
  args: readonly string[],
  during?: (out: () => string, kill: () => void) => void,
): Promise<Outcome> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [...scriptArguments(`examples/${example}.ts`), ...args]);
    let [out, err] = ["", ""];
    child.stdout.on("data", (chunk) => {
      out += chunk;
      during?.(
        () => out,
        () => child.kill("SIGINT"),
      );
    });
    child.stderr.on("data", (chunk) => {
      err += chunk;
    });
    child.on("close", (status) => done({ status, out, err }));
  });
}

const timeout = 90_000;

kernelDescribe("examples/minimal.ts", { needs: ["tracepoint", "array_mmap"] }, () => {
  it("counts for as long as it is told and cleans up", { timeout }, async () => {
    const { status, out, err } = await run("minimal", ["--seconds", "5"]);
    expect(err).toBe("");
    expect(status).toBe(0);
    const counts = [...out.matchAll(/^(\d+) in all, (\d+) by this process$/gm)].map(([, all, own]) => [
      Number(all),
      Number(own),
    ]);
    expect(counts.length).toBeGreaterThanOrEqual(2);
    for (let i = 1; i < counts.length; i++) {
      expect(counts[i]![0]).toBeGreaterThan(counts[i - 1]![0]!);
      expect(counts[i]![1]).toBeGreaterThan(counts[i - 1]![1]!);
      expect(counts[i]![0]).toBeGreaterThanOrEqual(counts[i]![1]!);
    }
    expect(out.trimEnd().endsWith("detached")).toBe(true);
  });

  it("stops at Ctrl+C", { timeout }, async () => {
    let killed = false;
    const { status, out } = await run("minimal", [], (text, kill) => {
      if (killed || !text().includes("in all")) return;
      killed = true;
      kill();
    });
    expect(status).toBe(0);
    expect(out.trimEnd().endsWith("detached")).toBe(true);
  });
});

kernelDescribe("examples/events.ts", { needs: ["tracepoint", "ringbuf"] }, () => {
  for (const args of [[], ["--poll"]]) {
    it(`prints programs that start ${args.join(" ")}`, { timeout }, async () => {
      const { status, out, err } = await run("events", ["--seconds", "5", ...args], (text) => {
        if (text().includes("waiting") && !text().includes("true")) spawnSync("/bin/true");
      });
      expect(err).toBe("");
      expect(status).toBe(0);
      expect(out).toMatch(/^ *\d+ {2}true$/m);
    });
  }
});

describe("without privileges", () => {
  it("says which capability is missing and how to run", { timeout }, () => {
    const command = [process.execPath, ...scriptArguments("examples/minimal.ts"), "--seconds", "1"];
    // Root gives up its capabilities and keeps its files readable; anyone else has none as it is.
    if (process.getuid?.() === 0) command.unshift("setpriv", "--bounding-set", "-all", "--inh-caps", "-all");
    const { status, stderr } = spawnSync(command[0]!, command.slice(1), { encoding: "utf8" });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^minimal: .*EPERM.*the process lacks CAP_BPF.*run it as root/);
    expect(stderr.trim().split("\n").slice(1)).toEqual(["minimal: try: sudo npm start"]);
  });
});

describe("wrong options", () => {
  it.each([
    ["--seconds", "soon"],
    ["--seconds", "2147484"],
    ["--secnds", "3"],
  ])("%s %s give one line", { timeout }, (...args) => {
    const { status, stderr } = spawnSync(process.execPath, [...scriptArguments("examples/minimal.ts"), ...args], {
      encoding: "utf8",
    });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^minimal: /);
    expect(stderr.trim().split("\n").length).toBe(1);
  });

  it("--help explains", { timeout }, () => {
    const { status, stdout } = spawnSync(process.execPath, [...scriptArguments("examples/minimal.ts"), "--help"], {
      encoding: "utf8",
    });
    expect(status).toBe(0);
    expect(stdout).toContain("--seconds N");
  });
});

describe("the README", () => {
  it("names the commands that exist", () => {
    const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };
    const used = [...readFileSync("README.md", "utf8").matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name!);
    expect(used.length).toBeGreaterThan(0);
    for (const name of used) expect(Object.keys(scripts)).toContain(name);
  });
});
