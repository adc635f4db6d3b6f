// `node --import bpfkit/register`: objects and their sources are modules.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import * as nodeModule from "node:module";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/import/compile.js";
import { CompileError } from "../../src/import/compile-error.js";
import { generateDeclarations } from "../../src/skeleton/index.js";
import { eventually, fixtureBytes } from "../support/fixtures.js";
import { canRequireModules, ImportingProject } from "./project.js";

let project: ImportingProject;
beforeAll(() => {
  project = new ImportingProject();
  project.addObject("minimal");
});
afterAll(() => project.remove());

const open = (file: string): string => `
  import Skeleton, * as all from "./${file}";
  const skeleton = Skeleton.open();
  skeleton.rodata.target_pid += 1;
  console.log(Object.keys(all).sort().join(), skeleton.object.name, skeleton.rodata.target_pid);
  skeleton.close();`;

describe("an object", () => {
  it("is its skeleton, and its types are written beside it once", async () => {
    expect(await project.run(open("minimal.bpf.o"))).toEqual({
      status: 0,
      out: "MinimalBpf,default minimal 1\n",
      err: "",
    });
    const types = project.path("minimal.bpf.d.o.ts");
    expect(readFileSync(types, "utf8")).toBe(
      generateDeclarations(fixtureBytes("minimal"), { name: "minimal", source: "minimal.bpf.o" }),
    );
    const { ino } = statSync(types);
    expect((await project.run(open("minimal.bpf.o?again"))).status).toBe(0);
    expect(statSync(types).ino).toBe(ino);
    writeFileSync(types, "old");
    await project.run(open("minimal.bpf.o"));
    expect(readFileSync(types, "utf8")).toContain("export declare class MinimalBpf");
    expect(readdirSync(project.folder).filter((file) => file.endsWith(".tmp"))).toEqual([]);
  });

  it.runIf(canRequireModules)("is the same by require(), from CommonJS too", async () => {
    project.write(
      "main.cjs",
      `const { default: Skeleton, MinimalBpf } = require("./minimal.bpf.o");
       console.log(Object.keys(Skeleton.open().progs).join(), Skeleton === MinimalBpf);
       import("./minimal.bpf.o").then((all) => console.log(all.default === Skeleton));`,
    );
    expect(await project.run('import "./main.cjs";')).toMatchObject({ status: 0, out: "count_syscall true\ntrue\n" });
  });

  it("is refused by bpfkit's own errors when it cannot be required", async () => {
    project.write("bad.bpf.o", "text");
    project.write("main.cjs", 'require("./bad.bpf.o");');
    const damaged = await project.run('import "./main.cjs";');
    expect(damaged.status).toBe(1);
    if (canRequireModules) expect(damaged.err).toMatch(/ElfError\]?: \S+bad\.bpf\.o, offset 0x0: not an ELF file/);
    // Hooks in the importing thread come before that question.
    const without = await project.run('import "./main.cjs";', {}, ["--no-experimental-require-module"]);
    expect(without.status).toBe(1);
    expect(without.err).toMatch(
      "registerHooks" in nodeModule
        ? /not an ELF file/
        : /UnsupportedError\]?: \S+bad\.bpf\.o: this Node\.js has no require\(\) for ES modules/,
    );
  });

  it("is no other thing that require() may try", async () => {
    const text = `
      import { createRequire } from "node:module";
      const require = createRequire(import.meta.url);
      console.log(Object.keys(require.extensions).join());
      try { require("./minimal"); } catch ({ code }) { console.log(code); }`;
    expect(await project.run(text)).toMatchObject({ status: 0, out: ".js,.json,.node\nMODULE_NOT_FOUND\n" });
  });

  it("has the classes of the package that the program imports", async () => {
    const text = `
      import Skeleton from "./minimal.bpf.o";
      import { BpfObject } from "bpfkit";
      import { Skeleton as Base } from "bpfkit/skeleton";
      const skeleton = Skeleton.open();
      console.log(skeleton instanceof Base, skeleton.object instanceof BpfObject);
      skeleton.close();`;
    expect((await project.run(text)).out).toBe("true true\n");
  });

  it("is imported in worker threads too", async () => {
    project.write("worker.mjs", open("minimal.bpf.o"));
    const text = 'import { Worker } from "node:worker_threads"; new Worker(new URL("./worker.mjs", import.meta.url));';
    expect(await project.run(text)).toMatchObject({ status: 0, out: "MinimalBpf,default minimal 1\n" });
  });

  it("gives no types when they are not wanted, and none in packages", async () => {
    const types = project.path("minimal.bpf.d.o.ts");
    rmSync(types, { force: true });
    expect((await project.run(open("minimal.bpf.o"), { BPFKIT_DECLARATIONS: "0" })).status).toBe(0);
    expect(existsSync(types)).toBe(false);
    mkdirSync(project.path("node_modules/other"), { recursive: true });
    project.addObject("minimal", "node_modules/other/minimal.bpf.o");
    expect((await project.run(open("node_modules/other/minimal.bpf.o"))).status).toBe(0);
    expect(readdirSync(project.path("node_modules/other"))).toEqual(["minimal.bpf.o"]);
  });

  it("has the types and integers that the package asks for", async () => {
    const objects = {
      "settings/package.json": { bpfkit: { types: ["event", "struct none"], int64: "number", object: "file" } },
      "settings/wrong/package.json": { bpfkit: { type: ["event"] } },
      "settings/clang/package.json": { bpfkit: { clang: "./clang" } },
      "settings/silent/package.json": {},
    };
    for (const [file, content] of Object.entries(objects)) project.write(file, JSON.stringify(content));
    for (const folder of ["", "wrong/", "clang/", "silent/"])
      project.addObject("events", `settings/${folder}a b.bpf.o`);
    const text = (folder: string): string => `
      import Skeleton from "./settings/${folder}a b.bpf.o";
      console.log(Skeleton.open().maps.events.int64, Skeleton.elfBytes().length);`;
    const size = fixtureBytes("events").length;
    expect(await project.run(text(""))).toMatchObject({ status: 0, out: `number ${size}\n` });
    const types = readFileSync(project.path("settings/a b.bpf.d.o.ts"), "utf8");
    expect(types).toContain("export type event = {");
    expect(types).toContain("get dropped_events(): number;");
    expect(types).not.toContain("struct none");
    expect(await project.run(text("silent/"))).toMatchObject({ status: 0, out: `bigint ${size}\n` });
    expect(readFileSync(project.path("settings/silent/a b.bpf.d.o.ts"), "utf8")).not.toContain("export type event = {");
    expect((await project.run(text("wrong/"))).err).toMatch(
      /settings\/wrong\/package\.json: "bpfkit": there is no option type; did you mean types\?/,
    );
    expect((await project.run(text("clang/"))).err).toMatch(
      /which clang there is depends on the machine \(set \$CLANG\)/,
    );
    // The object is read when it is opened.
    rmSync(project.path("settings/a b.bpf.d.o.ts"));
    const later = `
      import { rmSync } from "node:fs";
      import Skeleton from "./settings/a b.bpf.o";
      rmSync(new URL("./settings/a b.bpf.o", import.meta.url));
      Skeleton.open();`;
    expect((await project.run(later)).err).toMatch(/a b\.bpf\.o: the file cannot be read/);
  });

  it("is told from other files, which Node.js treats as ever", async () => {
    project.addObject("minimal", "minimal.o");
    expect((await project.run('import "./minimal.o";')).err).toContain("ERR_UNKNOWN_FILE_EXTENSION");
  });

  it("that is damaged or missing is refused by its name", async () => {
    project.write("bad.bpf.o", "text");
    const { status, err } = await project.run('import "./bad.bpf.o";');
    expect(status).toBe(1);
    expect(err).toMatch(/ElfError\]?: \S+\/bad\.bpf\.o, offset 0x0: not an ELF file/);
    expect((await project.run('import "./none.bpf.o";')).err).toContain("none.bpf.o");
  });
});

/** A compiler that says what its source says: a copy of a fixture for `object NAME`, else a refusal. */
const standIn = `#!/bin/sh
echo run >>"$0.log"
while [ $# -gt 0 ]; do
  case $1 in
    -c) source=$2; shift ;;
    -o) object=$2; shift ;;
    -MF) rule=$2; shift ;;
    -D*) echo "$1" >>"$0.log" ;;
  esac
  shift
done
[ -n "$object" ] || exit 1
if ! read -r word name <"$source" || [ "$word" != object ]; then echo "$source:1:1: error: unknown $word" >&2; exit 1; fi
[ -e saving ] && echo 3 >"a header.h"
cp "FIXTURES/$name.bpf.o" "$object"
printf 'object: %s \\\\\n  a\\ header.h\n' "$source" >"$rule"
`;

describe("a source", () => {
  const log = (): string[] => readFileSync(project.path("my-clang.log"), "utf8").trim().split("\n");
  const runs = (): number => log().filter((line) => line === "run").length;
  let env: Record<string, string>;
  beforeAll(() => {
    const compiler = project.path("my-clang");
    writeFileSync(compiler, standIn.replace("FIXTURES", `${process.cwd()}/fixtures`), { mode: 0o755 });
    env = { CLANG: compiler };
    project.write("a header.h", "1");
    project.write("source.bpf.c", "object minimal\n");
  });

  it("is compiled, and again when it, a header or the flags are other", async () => {
    const expected = { status: 0, out: "SourceBpf,default source 1\n", err: "" };
    const compile = () => project.run(open("source.bpf.c"), env);
    expect(await compile()).toEqual(expected);
    expect(existsSync(project.path("source.bpf.d.c.ts"))).toBe(true);
    expect(existsSync(project.path("source.bpf.o"))).toBe(false);
    expect(runs()).toBe(1);
    expect(await compile()).toEqual(expected);
    expect(runs()).toBe(1);
    project.write("a header.h", "2");
    expect(await compile()).toEqual(expected);
    expect(runs()).toBe(2);
    await project.run(open("source.bpf.c"), { ...env, BPFKIT_CFLAGS: "-DA=1  -DB" });
    expect(runs()).toBe(3);
    expect(log().slice(-2)).toEqual(["-DA=1", "-DB"]);
    project.write("source.bpf.c", "object minimal\n// changed\n");
    expect(await compile()).toEqual(expected);
    expect(runs()).toBe(4);
  });

  it("is compiled again when a file was saved while the compiler ran", async () => {
    const before = runs();
    project.write("saved.bpf.c", "object minimal\n");
    project.write("saving", "");
    expect((await project.run(open("saved.bpf.c"), env)).status).toBe(0);
    rmSync(project.path("saving"));
    for (let i = 0; i < 2; i++) expect((await project.run(open("saved.bpf.c"), env)).status).toBe(0);
    expect(runs()).toBe(before + 2);
  });

  it("that is wrong gives the compiler's words", async () => {
    project.write("wrong.bpf.c", "nonsense\n");
    const { status, err } = await project.run('import "./wrong.bpf.c";', env);
    expect(status).toBe(1);
    expect(err).toMatch(
      /CompileError\]?: \S+wrong\.bpf\.c: \S+my-clang did not compile it\nwrong\.bpf\.c:1:1: error: unk/,
    );
    expect(err).toContain("code: 'COMPILE'");
  });

  it("needs a compiler", async () => {
    const named = await project.run('import "./wrong.bpf.c";', { CLANG: "no-such-clang" });
    expect(named.err).toContain("there is no compiler no-such-clang ($CLANG is a path, or a name in $PATH)");
    const none = await project.run('import "./wrong.bpf.c";', { PATH: project.folder });
    expect(none.err).toContain("there is no clang to compile it with (install clang");
  });
});

/**
 * Waits until a watched program has printed this, after a change of a file. The watcher learns of the files and of the end
 * by messages, which take as long as they take: until it has noticed, the file is written again. Each time there is longer
 * to wait, as the program is begun anew by every change that is noticed.
 */
async function shows(output: () => string, what: string, change = (): void => undefined): Promise<void> {
  for (let wait = 5000; wait <= 20_000 && !output().includes(what); wait *= 2) {
    change();
    await eventually(() => output().includes(what), wait);
  }
  expect(output()).toContain(what);
}

const clang = process.env.CLANG ?? "clang-19";
const hasClang = spawnSync(clang, ["--version"]).status === 0;
const title = "with clang";
describe.skipIf(!hasClang && process.env.CI === undefined)(hasClang ? title : `${title} [no ${clang} here]`, () => {
  const source = `#include "value.h"\nunsigned value = VALUE;\nchar LICENSE[] __attribute__((section("license"))) = "GPL";\n`;
  const text = `
    import Skeleton from "./value.bpf.c";
    const skeleton = Skeleton.open();
    console.log("value", skeleton.data.value);
    skeleton.close();`;

  it("a source is compiled and has its types", async () => {
    project.write("value.h", "#define VALUE 7\n");
    project.write("value.bpf.c", source);
    expect(await project.run(text, { CLANG: clang })).toEqual({ status: 0, out: "value 7\n", err: "" });
    expect(readFileSync(project.path("value.bpf.d.c.ts"), "utf8")).toContain("value: number;");
  });

  it("an error tells the files that may mend it: headers too that are missing, and after wrong directives", () => {
    const folder = project.path("mend");
    project.write("mend/include/other.h", "");
    project.write("mend/wrong.h", '#error "wrong"\n#if 1\n');
    project.write("mend/a.bpf.c", '#include "wrong.h"\n#include "missing.h"\n#include <other.h>\n');
    const cflags = [`-I${folder}/include`, "-I", `${folder}/more`];
    let sources: readonly string[] = [];
    try {
      compile(join(folder, "a.bpf.c"), { clang, cflags });
    } catch (error) {
      expect(error).toBeInstanceOf(CompileError);
      sources = (error as CompileError).sources;
    }
    expect(sources.map((path) => relative(folder, path)).sort()).toEqual(
      ["a.bpf.c", "wrong.h", "include/other.h", "missing.h", "include/missing.h", "more/missing.h"].sort(),
    );
  });

  it("node --watch starts again when a header changes, also one that was wrong", { timeout: 120_000 }, async () => {
    project.write("value.h", "#define VALUE wrong\n");
    project.write("value.bpf.c", source);
    const { child, output } = project.watch(text);
    try {
      await shows(output, "use of undeclared identifier 'wrong'");
      await shows(output, "value 8", () => project.write("value.h", "#define VALUE 8\n"));
      await shows(output, "value 9", () => project.write("value.h", "#define VALUE 9\n"));
    } finally {
      child.kill();
    }
  });
});

it("node --watch starts again when an object changes", { timeout: 120_000 }, async () => {
  project.addObject("minimal", "changing.bpf.o");
  const { child, output } = project.watch(`
    import Skeleton from "./changing.bpf.o";
    console.log("bytes", Skeleton.elfBytes().length);`);
  try {
    const first = `bytes ${fixtureBytes("minimal").length}`;
    const second = `bytes ${fixtureBytes("globals").length}`;
    await shows(output, first);
    await shows(output, second, () => project.addObject("globals", "changing.bpf.o"));
  } finally {
    child.kill();
  }
});
