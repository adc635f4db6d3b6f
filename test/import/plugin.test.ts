// Plugins of bundlers: esbuild for real, Rollup by the calls that it makes. watch.test.ts has all of them for real.

import { existsSync, readFileSync, renameSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CompileError, esbuildPlugin, rollupPlugin } from "../../src/import/plugin.js";
import { BpfkitError } from "../../src/index.js";
import { esbuild } from "./bundlers.js";
import { ImportingProject } from "./project.js";

let project: ImportingProject;
let clang: string;
const cache = process.env.XDG_CACHE_HOME;
beforeAll(() => {
  project = new ImportingProject();
  process.env.XDG_CACHE_HOME = project.path("cache");
  project.addObject("minimal");
  project.addObject("globals");
  clang = project.addCompiler();
  project.write("value.h", "minimal.bpf.o");
  project.write("source.bpf.c", "the same for ever");
});
afterAll(() => {
  if (cache === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cache;
  project.remove();
});

const entry = (file: string): string => `
  import Skeleton from "./${file}";
  const skeleton = Skeleton.open();
  console.log("programs", Object.keys(skeleton.progs).join());
  skeleton.close();`;

describe("esbuild", () => {
  const options = (text: string) => ({
    stdin: { contents: text, resolveDir: project.folder },
    outfile: project.path("out/bundle.mjs"),
    bundle: true,
    format: "esm" as const,
    platform: "node" as const,
    external: ["bpfkit"],
    logLevel: "silent" as const,
    plugins: [esbuildPlugin({ clang })],
  });

  it("bundles an object, and needs its file no more", async () => {
    await esbuild.build(options(entry("minimal.bpf.o")));
    const moved = project.path("moved");
    renameSync(project.path("minimal.bpf.o"), moved);
    try {
      const { status, out } = await project.run('await import("./out/bundle.mjs");');
      expect({ status, out }).toEqual({ status: 0, out: "programs count_syscall\n" });
    } finally {
      renameSync(moved, project.path("minimal.bpf.o"));
    }
    expect(existsSync(project.path("minimal.bpf.d.o.ts"))).toBe(true);
  });

  it("leaves an object out that is imported and not used", async () => {
    const { outputFiles } = await esbuild.build({
      ...options('import Skeleton from "./minimal.bpf.o"; console.log("nothing");'),
      write: false,
    });
    expect(outputFiles?.[0]?.text).not.toContain("count_syscall");
  });

  it("says what is wrong where the import is", async () => {
    project.write("bad.bpf.o", "text");
    const failure = esbuild.build(options(entry("bad.bpf.o")));
    await expect(failure).rejects.toMatchObject({ errors: [{ text: expect.stringContaining("not an ELF file") }] });
  });
});

describe("Rollup", () => {
  function calls(): {
    watched: string[];
    warnings: string[];
    addWatchFile(path: string): void;
    warn(text: string): void;
    emitFile(): string;
  } {
    const watched: string[] = [];
    const warnings: string[] = [];
    return {
      watched,
      warnings,
      addWatchFile: (path) => watched.push(path),
      warn: (text) => warnings.push(text),
      emitFile: () => "REFERENCE",
    };
  }

  it("gets the module and the files to watch", () => {
    project.write("value.h", "minimal.bpf.o");
    const context = calls();
    const source = project.path("source.bpf.c");
    const loaded = rollupPlugin({ clang }).load.call(context, source);
    expect(loaded?.code).toContain("export default SourceBpf;");
    expect(loaded?.moduleSideEffects).toBe(false);
    expect(new Set(context.watched)).toEqual(new Set([source, project.path("value.h"), project.path("package.json")]));
    expect(context.warnings).toEqual([]);
  });

  it("gets the files that a failure depends on", () => {
    project.write("value.h", "nothing");
    const context = calls();
    const source = project.path("source.bpf.c");
    let error: unknown;
    try {
      rollupPlugin({ clang }).load.call(context, source);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(CompileError);
    expect(error).toBeInstanceOf(BpfkitError);
    expect((error as CompileError).output).toBe("value.h:1:1: error: no nothing");
    expect(context.watched).toContain(project.path("value.h"));
  });

  it("is not asked for other files, and other forms of these", () => {
    const { load } = rollupPlugin();
    for (const id of ["/x/a.o", "/x/bpf.c", "/x/a.bpf.o?raw", "/x/a.bpf.o?url", "\0virtual.bpf.js", "/x/a.bpf.o.js"]) {
      expect(load.call(calls(), id)).toBeUndefined();
    }
    // What was not found beside the importer must not be taken from the folder that the bundler was started in.
    for (const id of ["./fixtures/minimal.bpf.o", "fixtures/minimal.bpf.o"]) {
      expect(existsSync(id)).toBe(true);
      expect(load.call(calls(), id)).toBeUndefined();
    }
    const path = `${project.path("minimal.bpf.o")}?import&t=1`;
    expect(load.call(calls(), path)?.code).toContain("export default MinimalBpf;");
  });

  it("declares the types that the plugin or the package asks for, the package's settings watched", () => {
    project.write(
      "typed/package.json",
      JSON.stringify({ bpfkit: { types: ["event"], object: "file", int64: "number" } }),
    );
    project.addObject("events", "typed/events.bpf.o");
    const [path, types] = [project.path("typed/events.bpf.o"), project.path("typed/events.bpf.d.o.ts")];
    const context = calls();
    const loaded = rollupPlugin().load.call(context, path);
    expect(loaded?.code).toContain('int64: "number"');
    expect(loaded?.code).toContain("object: () => new URL(import.meta.ROLLUP_FILE_URL_REFERENCE)");
    expect(context.watched).toContain(project.path("typed/package.json"));
    expect(readFileSync(types, "utf8")).toContain("export type event = {");
    const undecided = rollupPlugin({ types: undefined, int64: undefined, object: undefined }).load.call(calls(), path);
    expect(undecided?.code).toBe(loaded?.code);
    const other = rollupPlugin({ types: ["none"], int64: "bigint", object: "embed" }).load.call(calls(), path);
    expect(other?.code).toContain("object: `\n");
    expect(other?.code).not.toContain("int64");
    expect(readFileSync(types, "utf8")).not.toContain("export type event = {");
    expect(() => rollupPlugin({ typs: ["event"] } as object)).toThrow("there is no option typs; did you mean types?");
    expect(() => esbuildPlugin({ types: "event" as never })).toThrow("types must be a list of C names of types");
  });

  it("writes types only when they are wanted", () => {
    project.addObject("minimal", "quiet.bpf.o");
    rollupPlugin({ declarations: false }).load.call(calls(), project.path("quiet.bpf.o"));
    expect(existsSync(project.path("quiet.bpf.d.o.ts"))).toBe(false);
    rollupPlugin().load.call(calls(), project.path("quiet.bpf.o"));
    expect(readFileSync(project.path("quiet.bpf.d.o.ts"), "utf8")).toContain("class QuietBpf");
  });
});
