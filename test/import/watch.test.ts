// Bundlers that go on building, with objects beside the bundle, and Vite's server: whatever an object is made from changes,
// the bundle and its assets are made anew; what is wrong is shown, and mended it works again. Each bundle is run.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { esbuildPlugin, rollupPlugin, vitePlugin } from "../../src/import/plugin.js";
import { eventually } from "../support/fixtures.js";
import { esbuild, type RollupWatcher, rollup, rollupName, tellEsbuild, vite } from "./bundlers.js";
import { ImportingProject } from "./project.js";

let project: ImportingProject;
let clang: string;
/** What came of the last build: what its bundle said, or the errors. */
let outcome = "";
let close: () => Promise<unknown> = async () => {};

/** Watchers share a machine with other tests; in CI a second try, which vitest tells. */
const patience = { timeout: 300_000, retry: process.env.CI === undefined ? 0 : 1 };

const cache = process.env.XDG_CACHE_HOME;
beforeAll(() => {
  project = new ImportingProject();
  process.env.XDG_CACHE_HOME = project.path("cache");
  clang = project.addCompiler();
  for (const name of ["minimal", "globals", "events"]) project.addObject(name);
  project.write("text", "no object");
});
afterAll(() => {
  if (cache === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cache;
  project.remove();
});
beforeEach(() => {
  outcome = "";
  for (const folder of ["src", "out"]) rmSync(project.path(folder), { recursive: true, force: true });
  project.write("value.h", "nothing");
  project.write("src/source.bpf.c", "first");
  replaceObject("globals");
  project.write("src/package.json", '{ "type": "module" }');
  project.write("src/show.js", show("first"));
  project.write("src/main.js", 'import { show } from "./show.js"; console.log(show());');
});
afterEach(async () => {
  await close();
  close = async () => {};
});

/** A module that says which objects it has. */
const show = (title: string): string => `
  import { createHash } from "node:crypto";
  import Compiled from "./source.bpf.c";
  import Given from "./object.bpf.o";
  const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
  export const show = () => ["${title}", ...[Compiled, Given].map((Skeleton) => digest(Skeleton.elfBytes()))].join();`;

const digestOf = (name: string): string =>
  createHash("sha256")
    .update(readFileSync(`fixtures/${name}.bpf.o`))
    .digest("hex");
/** What such a module says. */
const text = (title: string, ...objects: string[]): string => [title, ...objects.map(digestOf)].join();

/** Gives the object another content as compilers do, by another file that takes its name. */
function replaceObject(fixture: string): void {
  project.addObject(fixture, "new.o");
  project.write("src/new.o", readFileSync(project.path("new.o")));
  renameSync(project.path("src/new.o"), project.path("src/object.bpf.o"));
}

/**
 * Makes a change until it is seen: a watcher may not yet have looked at a file when a build has ended, and tells two changes
 * within 50 ms as one (chokidar).
 */
async function change(make: () => void, expected: string | RegExp): Promise<void> {
  const isThere = (): boolean => (typeof expected === "string" ? outcome === expected : expected.test(outcome));
  for (let i = 0; i < 40 && !isThere(); i++) {
    make();
    await eventually(isThere, 500);
  }
  if (typeof expected === "string") expect(outcome).toBe(expected);
  else expect(outcome).toMatch(expected);
}

async function expectRebuilds({ isServer = false } = {}): Promise<void> {
  const header = (name: string) => () => project.write("value.h", name);
  await change(() => {}, /error: no nothing/);
  await change(header("minimal.bpf.o"), text("first", "minimal", "globals"));
  await change(() => replaceObject("events"), text("first", "minimal", "events"));
  await change(header("globals.bpf.o"), text("first", "globals", "events"));
  // A header that is wrong, missing, or makes the source one that clang takes, but not bpfkit.
  await change(header("nothing"), /source\.bpf\.c: .*did not compile it\nvalue\.h:1:1: error: no nothing/);
  await change(header("minimal.bpf.o"), text("first", "minimal", "events"));
  await change(() => rmSync(project.path("value.h"), { force: true }), /value\.h:1:1: error: no$/m);
  await change(header("globals.bpf.o"), text("first", "globals", "events"));
  await change(header("text"), /source\.bpf\.c\b.*: not an ELF file/);
  await change(header("minimal.bpf.o"), text("first", "minimal", "events"));
  // Settings that are wrong.
  const settings = (bpfkit: object) => () =>
    project.write("src/package.json", JSON.stringify({ type: "module", bpfkit }));
  await change(settings({ typs: [] }), /src\/package\.json: .*there is no option typs/);
  await change(settings({ types: [] }), text("first", "minimal", "events"));
  // The source mends what a header has broken.
  await change(header("nothing"), /error: no nothing/);
  header("globals.bpf.o")();
  await change(() => project.write("src/source.bpf.c", "other"), text("first", "globals", "events"));
  // An object that is none, or gone.
  await change(() => project.write("src/object.bpf.o", "text"), /object\.bpf\.o\b.*: not an ELF file/);
  await change(() => replaceObject("minimal"), text("first", "globals", "minimal"));
  // Vite's server leaves what it cannot find as it is, and does not look again in a module that it has.
  if (!isServer) await change(() => rmSync(project.path("src/object.bpf.o"), { force: true }), /object\.bpf\.o/);
  await change(() => replaceObject("globals"), text("first", "globals", "globals"));
  // Another module alone.
  await change(() => project.write("src/show.js", show("last")), text("last", "globals", "globals"));
}

const assets = (): string[] =>
  readdirSync(project.path("out"), { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".o"));

function runBundle(): Promise<string> {
  // Objects that were in the bundle would be found there without these.
  if (assets().length === 0) return Promise.resolve("no object is beside the bundle");
  return new Promise((done) => {
    const args = [project.path("out/main.mjs")];
    const options = { cwd: "/", env: project.environment(), timeout: 60_000 };
    execFile(process.execPath, args, options, (_error, out, err) => done((out + err).trim()));
  });
}

/** After each build its bundle is run. */
function follow(watcher: RollupWatcher): void {
  let isBuilt = false;
  watcher.on("event", async ({ code, error, result }) => {
    await result?.close();
    if (code === "START") isBuilt = true;
    if (code === "ERROR") [isBuilt, outcome] = [false, error?.message ?? ""];
    if (code === "END" && isBuilt) outcome = await runBundle();
  });
  close = () => watcher.close();
}

it(`esbuild ${esbuild.version} builds again`, patience, async () => {
  const tell = tellEsbuild(async ({ errors }) => {
    outcome = errors.length > 0 ? errors.map((error) => error.text).join("\n") : await runBundle();
  });
  const context = await esbuild.context({
    absWorkingDir: project.folder,
    entryPoints: ["src/main.js"],
    outdir: "out",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    external: ["bpfkit"],
    logLevel: "silent",
    plugins: [esbuildPlugin({ object: "file", clang }), tell],
  });
  close = () => context.dispose();
  await context.watch();
  await expectRebuilds();
});

it(`${rollupName} ${rollup.VERSION} builds again`, patience, async () => {
  follow(
    rollup.watch({
      ...(rollupName === "Rolldown" && { platform: "node" }),
      input: { main: project.path("src/main.js") },
      external: [/^bpfkit/, /^node:/],
      plugins: [rollupPlugin({ object: "file", clang })],
      output: { dir: project.path("out"), entryFileNames: "[name].mjs", format: "es" },
      watch: { clearScreen: false },
    }),
  );
  await expectRebuilds();
});

it(`Vite ${vite.version} builds again`, patience, async () => {
  const rollupOptions = { output: { entryFileNames: "[name].mjs" } };
  const watcher = await vite.build({
    root: project.folder,
    configFile: false,
    logLevel: "silent",
    plugins: [vitePlugin({ object: "file", clang })],
    build: { outDir: "out", minify: false, ssr: "src/main.js", rollupOptions, watch: {} },
  });
  follow(watcher as RollupWatcher);
  await expectRebuilds();
});

it(`Vite ${vite.version} serves what is new`, patience, async () => {
  const server = await vite.createServer({
    root: project.folder,
    configFile: false,
    logLevel: "silent",
    server: { middlewareMode: true, ws: false, hmr: false },
    optimizeDeps: { noDiscovery: true },
    ssr: { external: ["bpfkit"] },
    plugins: [vitePlugin({ object: "file", clang })],
  });
  let isOpen = true;
  const asking = (async () => {
    while (isOpen) {
      try {
        outcome = ((await server.ssrLoadModule("/src/show.js")) as { show(): string }).show();
      } catch (error) {
        outcome = String(error);
      }
      await new Promise((done) => setTimeout(done, 10));
    }
  })();
  close = async () => {
    isOpen = false;
    await asking;
    await server.close();
  };
  await expectRebuilds({ isServer: true });
  expect(await server.ssrLoadModule("/value.h?raw")).toMatchObject({ default: "globals.bpf.o" });
  expect(existsSync(project.path("out"))).toBe(false);
});
