// The command `bpfkit`: its frame (help, abbreviations, errors, exit status) and `gen`.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { runCommandLine } from "../../src/cli/run.js";
import { generateSkeleton, generateSubskeleton, generateTypes } from "../../src/skeleton/index.js";
import { fixtureBytes, fixturePath } from "../support/fixtures.js";
import { scriptArguments } from "../support/script.js";

const folder = mkdtempSync(join(tmpdir(), "bpfkit-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function bpfkit(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const status = await runCommandLine(args, {
    stdout: (text) => {
      out += text;
    },
    stderr: (text) => {
      err += text;
    },
  });
  return { status, out, err };
}

const minimal = fixturePath("minimal");
const skeleton = generateSkeleton(fixtureBytes("minimal"), { name: "minimal", source: "minimal.bpf.o" });

describe("gen", () => {
  it("writes skeletons, subskeletons and types to stdout", async () => {
    expect(await bpfkit("gen", "skeleton", minimal)).toEqual({ status: 0, out: skeleton, err: "" });
    expect((await bpfkit("gen", "subskeleton", minimal)).out).toBe(
      generateSubskeleton(fixtureBytes("minimal"), { name: "minimal" }),
    );
    const types = generateTypes(fixtureBytes("events"), { source: "events.bpf.o", types: ["event"] });
    expect((await bpfkit("gen", "types", fixturePath("events"), "--type", "event")).out).toBe(types);
  });

  it("takes words abbreviated, and the name as bpftool does", async () => {
    expect((await bpfkit("g", "sk", minimal)).out).toBe(skeleton);
    const named = await bpfkit("gen", "skel", minimal, "na", "my-tool");
    expect(named.out).toContain("export class MyToolBpf extends");
    expect((await bpfkit("gen", "skel", "--name=my-tool", minimal)).out).toBe(named.out);
    expect((await bpfkit("gen", "skel", "file", minimal)).out).toBe(skeleton);
  });

  it("has numbers for 64-bit integers where they are wanted", async () => {
    expect((await bpfkit("gen", "skeleton", minimal, "--int64", "number")).out).toBe(
      generateSkeleton(fixtureBytes("minimal"), { name: "minimal", source: "minimal.bpf.o", int64: "number" }),
    );
    expect((await bpfkit("gen", "skeleton", minimal, "--int64=bigint")).out).toBe(skeleton);
    const types = (await bpfkit("gen", "types", fixturePath("maps"), "--type", "traffic", "--int64", "number")).out;
    expect(types).toContain("readonly packets: number;");
  });

  it("does not write over the object", async () => {
    const object = join(folder, "own.bpf.o");
    writeFileSync(object, fixtureBytes("minimal"));
    for (const command of ["skeleton", "subskeleton", "types"]) {
      const { status, err } = await bpfkit("gen", command, object, "-o", join(folder, ".", "own.bpf.o"));
      expect(status).toBe(1);
      expect(err).toContain("the output is the file that is read");
      expect(new Uint8Array(readFileSync(object))).toEqual(fixtureBytes("minimal"));
    }
    rmSync(object);
  });

  it("writes a file as a whole, and nothing when it fails", async () => {
    const out = join(folder, "minimal.skel.ts");
    writeFileSync(out, "before");
    expect((await bpfkit("gen", "skeleton", fixturePath("minimal.nobtf"), "-o", out)).status).toBe(1);
    expect(readFileSync(out, "utf8")).toBe("before");
    expect(await bpfkit("gen", "skeleton", minimal, "-o", out)).toEqual({ status: 0, out: "", err: "" });
    expect(readFileSync(out, "utf8")).toBe(skeleton);
    expect(await bpfkit("-j", "gen", "skeleton", minimal, "-o", out)).toEqual({ status: 0, out: "null\n", err: "" });
    expect(readdirSync(folder)).toEqual(["minimal.skel.ts"]);
    const external = await bpfkit("gen", "skeleton", minimal, "--external", "-o", out);
    expect(external.status).toBe(0);
    expect(readFileSync(out, "utf8")).toContain(`() => new URL("${relative(folder, minimal)}", import.meta.url)`);
    expect((await bpfkit("gen", "skel", minimal, "-x")).out).toContain('new URL("./minimal.bpf.o", import.meta.url)');
  });
});

describe("the frame", () => {
  it.each([
    [[], 2, "bpfkit: what shall be done? (bpfkit --help lists the commands)\n"],
    [["gem"], 2, 'bpfkit: there is no command "gem"; did you mean gen?\n'],
    [["gen"], 2, "bpfkit: bpfkit gen: which command? (bpfkit gen --help lists them)\n"],
    [["gen", "skelton", "x"], 2, /^bpfkit: .*"skelton"; did you mean skeleton\? \(.*\)\n$/],
    [["gen", "skeleton"], 2, "bpfkit: which object? a FILE is needed\n"],
    [["gen", "skeleton", minimal, "nome", "x"], 2, 'bpfkit: there is no keyword "nome"; did you mean name?\n'],
    [["gen", "skeleton", minimal, "name"], 2, "bpfkit: name needs a value\n"],
    [
      ["gen", "skeleton", minimal, "--outptu", "x"],
      2,
      /^bpfkit: there is no option --outptu; did you mean --output\? /,
    ],
    [["gen", "skeleton", minimal, "-o"], 2, /^bpfkit: -o needs FILE/],
    [["gen", "types", fixturePath("events"), "-t", "evnt"], 1, /^bpfkit: \S+events.bpf.o: the object has no type evnt/],
    [["gen", "skeleton", minimal, "--int64", "big"], 2, "bpfkit: --int64 is bigint or number, not big\n"],
    [["gen", "skeleton", "nothing.o"], 1, /^bpfkit: nothing.o: the file cannot be read: ENOENT/],
    [["gen", "skeleton", "README.md"], 1, /^bpfkit: README.md, offset 0x0: not an ELF file/],
  ] as const)("%j fails with a line that says why", async (args, status, text) => {
    const result = await bpfkit(...args);
    expect(result).toMatchObject({ status, out: "" });
    if (typeof text === "string") expect(result.err).toBe(text);
    else expect(result.err).toMatch(text);
    expect(result.err.split("\n")).toHaveLength(2);
  });

  it("tells errors as JSON where JSON is asked for", async () => {
    const { status, out, err } = await bpfkit("gen", "skeleton", "nothing.o", "--json");
    expect([status, err]).toEqual([1, ""]);
    expect(JSON.parse(out)).toMatchObject({ code: "ARGUMENT", error: expect.stringContaining("nothing.o") as string });
  });

  it("has help for everything, made from its tables", async () => {
    const main = await bpfkit("--help");
    expect(main).toMatchObject({ status: 0, err: "" });
    expect((await bpfkit("help")).out).toBe(main.out);
    expect(main.out).toContain("gen skeleton|subskeleton|types");
    const gen = (await bpfkit("gen", "--help")).out;
    expect((await bpfkit("gen", "help")).out).toBe(gen);
    expect((await bpfkit("help", "gen")).out).toBe(gen);
    const skeleton = await bpfkit("gen", "skeleton", "--help");
    expect((await bpfkit("help", "gen", "skel")).out).toBe(skeleton.out);
    expect(skeleton.out).toMatch(/^usage: bpfkit gen skeleton FILE \[name NAME\]\n/);
    expect(skeleton.out).toMatch(/-o, --output FILE {2}/);
  });

  it("is a program", () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    const program = scriptArguments("src/cli/main.ts");
    const run = (...args: string[]) => spawnSync(process.execPath, [...program, ...args], { encoding: "utf8" });
    expect(run("--version")).toMatchObject({ status: 0, stdout: `bpfkit ${version}\n`, stderr: "" });
    expect(run("gen", "skeleton", minimal)).toMatchObject({ status: 0, stdout: skeleton, stderr: "" });
    expect(run("gem")).toMatchObject({ status: 2, stdout: "" });
  });
});
