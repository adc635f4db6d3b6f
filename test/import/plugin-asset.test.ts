// Objects beside the bundle: what esbuild, Vite and Rollup or Rolldown build with `object: "file"` is moved elsewhere without the sources and run from another working directory.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { esbuildPlugin, rollupPlugin, vitePlugin } from "../../src/import/plugin.js";
import { esbuild, rollup, rollupName, vite } from "./bundlers.js";
import { canRequireModules, ImportingProject, type Outcome } from "./project.js";

let project: ImportingProject;
let clang: string;
const cache = process.env.XDG_CACHE_HOME;
beforeAll(() => {
  project = new ImportingProject();
  process.env.XDG_CACHE_HOME = project.path("cache");
  // A compiler that knows one object.
  clang = project.path("my-clang");
  const object = resolve("fixtures/globals.bpf.o");
  const script = `#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in -o) cp '${object}' "$2"; shift ;; -MF) echo object: >"$2"; shift ;; esac
  shift
done
`;
  writeFileSync(clang, script, { mode: 0o755 });
});
afterAll(() => {
  if (cache === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cache;
  project.remove();
});

const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const digestOf = (name: string): string => digest(readFileSync(`fixtures/${name}.bpf.o`));

/** What the bundle does: says which object it opens, and which bytes it is made of. */
const entry = (file: string): string => `
  import { createHash } from "node:crypto";
  import Skeleton from "${file}";
  const skeleton = Skeleton.open();
  console.log(Object.keys(skeleton.progs).join(), createHash("sha256").update(Skeleton.elfBytes()).digest("hex"));
  skeleton.close();`;

beforeEach(() => {
  for (const folder of ["src", "out", "moved #1%"]) rmSync(project.path(folder), { recursive: true, force: true });
  project.addObject("minimal", "src/deep/minimal.bpf.o");
  project.write("src/deep/minimal.bpf.c", "another object of the same name");
  project.write("src/deep/entry.js", entry("./minimal.bpf.o"));
  project.write("src/deep/both.js", `import "./entry.js"; ${entry("./minimal.bpf.c")}`);
});

const files = (): string[] =>
  readdirSync(project.path("moved #1%"), { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name))
    .sort();

/** Moves what was built to a folder with a difficult name, and takes the sources away. */
function move(): { readonly assets: string[]; readonly scripts: string[] } {
  rmSync(project.path("src"), { recursive: true });
  mkdirSync(project.path("moved #1%"));
  renameSync(project.path("out"), project.path("moved #1%/app"));
  return {
    assets: files().filter((file) => file.endsWith(".o")),
    scripts: files().filter((file) => /js$/.test(file)),
  };
}

function run(script: string): Promise<Outcome> {
  return new Promise((done) => {
    const options = { cwd: "/", env: project.environment(), timeout: 60_000 };
    const child = execFile(process.execPath, [script], options, (_error, out, err) =>
      done({ status: child.exitCode, out, err }),
    );
  });
}

const minimal = (): string => `count_syscall ${digestOf("minimal")}\n`;
const globals = (): string => `copy_globals ${digestOf("globals")}\n`;

/** The bundle works where it was moved to, has the object outside, and says what is missing without it. */
async function expectAsset(name: string): Promise<void> {
  const { assets, scripts } = move();
  expect(assets.length).toBe(1);
  const [asset = ""] = assets;
  expect(digest(readFileSync(asset))).toBe(digestOf("minimal"));
  const base64 = readFileSync("fixtures/minimal.bpf.o").toString("base64").slice(0, 64);
  for (const script of scripts) {
    // Bundlers' comments name the modules.
    const text = readFileSync(script, "utf8").replace(/^\s*\/\/.*$/gm, "");
    expect(text).not.toContain(base64);
    expect(text).not.toContain(project.folder);
  }
  const script = project.path(`moved #1%/app/${name}`);
  expect(await run(script)).toEqual({ status: 0, out: minimal(), err: "" });
  rmSync(asset);
  const { status, out, err } = await run(script);
  expect({ status, out }).toEqual({ status: 1, out: "" });
  expect(err).toContain(`${asset}: the file cannot be read: there is none`);
  expect(err).toContain("has to be moved along with it");
  expect(err).toContain("OBJECT_INVALID");
}

describe(`esbuild ${esbuild.version}`, () => {
  const options = (more: object = {}) => ({
    absWorkingDir: project.folder,
    entryPoints: { "sub/main": "src/deep/entry.js" },
    outdir: "out",
    bundle: true,
    format: "esm" as const,
    platform: "node" as const,
    outExtension: { ".js": ".mjs" },
    external: ["bpfkit"],
    logLevel: "silent" as const,
    plugins: [esbuildPlugin({ object: "file", clang })],
    ...more,
  });

  it("copies the object beside the bundle", async () => {
    const { warnings, metafile } = await esbuild.build(options({ metafile: true }));
    expect(warnings).toEqual([]);
    expect(Object.keys(metafile?.outputs ?? {}).sort()[0]).toMatch(/^out\/minimal\.bpf-[A-Z0-9]{8}\.o$/);
    await expectAsset("sub/main.mjs");
  });

  it("names it as assetNames says", async () => {
    await esbuild.build(options({ assetNames: "bpf/[name]-[hash]", minify: true }));
    expect(readdirSync(project.path("out/bpf"))).toEqual([expect.stringMatching(/^minimal\.bpf-\w{8}\.o$/)]);
    await expectAsset("sub/main.mjs");
  });

  it.runIf(canRequireModules)("finds it from a CommonJS bundle, esbuild's default for Node.js", async () => {
    const { warnings } = await esbuild.build(options({ format: undefined, outExtension: { ".js": ".cjs" } }));
    expect(warnings).toEqual([]);
    await expectAsset("sub/main.cjs");
  });

  it("finds it from a chunk that entries share, and what was compiled beside it", async () => {
    const entryPoints = { "a/one": "src/deep/entry.js", "b/c/two": "src/deep/both.js" };
    await esbuild.build(options({ entryPoints, splitting: true, chunkNames: "shared/chunks/[hash]" }));
    const { assets } = move();
    expect(assets.map((asset) => digest(readFileSync(asset))).sort()).toEqual(
      [digestOf("minimal"), digestOf("globals")].sort(),
    );
    expect(await run(project.path("moved #1%/app/a/one.mjs"))).toEqual({ status: 0, out: minimal(), err: "" });
    const both = await run(project.path("moved #1%/app/b/c/two.mjs"));
    expect(both).toEqual({ status: 0, out: minimal() + globals(), err: "" });
  });

  it("gives another object another name", async () => {
    await esbuild.build(options());
    project.addObject("globals", "src/deep/minimal.bpf.o");
    await esbuild.build(options());
    expect(readdirSync(project.path("out")).filter((name) => name.endsWith(".o"))).toHaveLength(2);
    move();
    expect((await run(project.path("moved #1%/app/sub/main.mjs"))).out).toBe(globals());
  });

  it("puts nothing out for a skeleton that is not used, or without a bundle", async () => {
    project.write("src/deep/entry.js", 'import Skeleton from "./minimal.bpf.o"; console.log(1);');
    await esbuild.build(options());
    expect(readdirSync(project.path("out"))).toEqual(["sub"]);
    const alone = options({
      bundle: false,
      external: undefined,
      entryPoints: ["src/deep/minimal.bpf.o"],
      write: false,
    });
    const { outputFiles } = await esbuild.build(alone);
    expect(outputFiles?.map(({ text }) => text.includes("object: `"))).toEqual([true]);
  });

  it("refuses a publicPath, from which Node.js does not read", async () => {
    await expect(esbuild.build(options({ publicPath: "https://example.org/" }))).rejects.toMatchObject({
      errors: [{ text: expect.stringMatching(/minimal\.bpf\.o: .*publicPath.*embed the object/s) }],
    });
    await esbuild.build(options({ publicPath: "/static", plugins: [esbuildPlugin()] }));
  });

  it("does so by package.json, unless the plugin is told to embed", async () => {
    project.write("src/package.json", JSON.stringify({ type: "module", bpfkit: { object: "file" } }));
    await esbuild.build(options({ plugins: [esbuildPlugin({ object: "embed" })] }));
    expect(readdirSync(project.path("out"))).toEqual(["sub"]);
    await esbuild.build(options({ plugins: [esbuildPlugin()] }));
    await expectAsset("sub/main.mjs");
  });
});

describe(`${rollupName} ${rollup.VERSION}`, () => {
  const options = (output: object, input: object = { main: project.path("src/deep/entry.js") }) => ({
    ...(rollupName === "Rolldown" && { platform: "node" }),
    input,
    external: [/^bpfkit/, /^node:/],
    logLevel: "silent",
    plugins: [rollupPlugin({ object: "file", clang })],
    output: { dir: project.path("out"), ...output },
  });

  it("emits the object beside the bundle", async () => {
    await rollup.build(options({ format: "es", entryFileNames: "sub/[name].mjs" }));
    await expectAsset("sub/main.mjs");
  });

  it.runIf(canRequireModules)("finds it from a CommonJS bundle", async () => {
    await rollup.build(options({ format: "cjs", entryFileNames: "[name].cjs", assetFileNames: "bpf/[hash][extname]" }));
    await expectAsset("main.cjs");
  });

  it("emits what was compiled beside an object of the same name", async () => {
    await rollup.build(options({ entryFileNames: "[name].mjs" }, { main: project.path("src/deep/both.js") }));
    move();
    expect((await run(project.path("moved #1%/app/main.mjs"))).out).toBe(minimal() + globals());
  });
});

describe(`Vite ${vite.version}`, () => {
  const options = (build: object, more: object = {}) => ({
    root: project.folder,
    base: "/somewhere/",
    configFile: false,
    logLevel: "error",
    plugins: [vitePlugin({ object: "file", clang })],
    ...more,
    build: { outDir: "out", minify: false, ...build },
  });
  const output = { entryFileNames: "sub/[name].mjs" };

  it("emits the object of a bundle for a server, from which it drops other assets", async () => {
    project.write("src/deep/data.txt", "x".repeat(10_000));
    project.write(
      "src/deep/entry.js",
      `import url from "./data.txt?url"; globalThis.url = url; ${entry("./minimal.bpf.o")}`,
    );
    await vite.build(options({ ssr: "src/deep/entry.js", rollupOptions: { output } }));
    expect(readdirSync(project.path("out/assets"))).toEqual([expect.stringMatching(/^minimal\.bpf-.*\.o$/)]);
    await expectAsset("sub/entry.mjs");
  });

  it("keeps it once where assets are kept", async () => {
    await vite.build(options({ ssr: "src/deep/entry.js", ssrEmitAssets: true, rollupOptions: { output } }));
    await expectAsset("sub/entry.mjs");
  });

  it.runIf(canRequireModules)("finds it from a CommonJS bundle", async () => {
    const cjs = { format: "cjs", entryFileNames: "sub/[name].cjs" };
    await vite.build(options({ ssr: "src/deep/entry.js", rollupOptions: { output: cjs } }));
    await expectAsset("sub/entry.cjs");
  });

  it("emits it for a library, and what was compiled", async () => {
    const lib = { entry: "src/deep/both.js", formats: ["es"], fileName: "lib" };
    const external = [/^bpfkit/, /^node:/];
    await vite.build(options({ lib, rollupOptions: { external, output: { entryFileNames: "lib.mjs" } } }));
    const { assets } = move();
    expect(assets).toHaveLength(2);
    expect((await run(project.path("moved #1%/app/lib.mjs"))).out).toBe(minimal() + globals());
  });

  it("reads the imported file itself when it serves", async () => {
    project.write(
      "src/deep/served.js",
      'import S from "./minimal.bpf.o"; export default () => Object.keys(S.open().progs);',
    );
    const server = await vite.createServer({
      root: project.folder,
      configFile: false,
      logLevel: "silent",
      server: { middlewareMode: true, ws: false, watch: null },
      optimizeDeps: { noDiscovery: true },
      ssr: { external: ["bpfkit"] },
      plugins: [vitePlugin({ object: "file", clang })],
    });
    try {
      const programs = (await server.ssrLoadModule("/src/deep/served.js")).default as () => string[];
      expect(programs()).toEqual(["count_syscall"]);
      rmSync(project.path("src/deep/minimal.bpf.o"));
      expect(existsSync(project.path("out"))).toBe(false);
      expect(programs).toThrow(/deep\/minimal\.bpf\.o: the file cannot be read: there is none/);
    } finally {
      await server.close();
    }
  });
});
