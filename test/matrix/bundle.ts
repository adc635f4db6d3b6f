// The kernel tests as plain JavaScript, made once outside: under emulation, starting vitest and compiling TypeScript
// takes longer than the tests. Every test file stays a module of its own; what they share is shared. The bundle lies in
// a snapshot of the checkout, so that nobody's edit or rebuild changes files under a running guest.

import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type BuildOptions, build, type Metafile, type Plugin } from "esbuild";
import { projectRoot } from "./bundle-paths.js";
import { cacheRoot } from "./cache.js";

/** A test file that reaches one of these by its imports is a kernel test; no other mark is needed. */
const MARKERS = ["test/support/kernel.ts", "test/support/needs.ts"];

/** What a snapshot holds besides the bundled modules: whatever a test or a process it starts may read. */
const COPIED = ["src", "test", "fixtures", "examples", "docs", "README.md", "package.json"];

/** Programs besides the examples that tests start by `scriptArguments` (test/support/script.ts). */
const scripts = ["test/syscall/load-often.ts"];

/** A bundle ready to run. */
export interface Bundle {
  /** The snapshot; to be removed after the run. */
  readonly root: string;
  /** Absolute path of the program to start with node. */
  readonly program: string;
  /** The kernel tests, as paths below the checkout. */
  readonly files: readonly string[];
}

/** Paths below the checkout of all test files that are kernel tests, sorted. */
export async function kernelTestFiles(): Promise<string[]> {
  const candidates = filesBelow("test", /\.test\.ts$/);
  // Only the import graph is wanted here; nothing is written and packages are not entered.
  const { metafile } = await build({
    absWorkingDir: projectRoot,
    entryPoints: candidates,
    bundle: true,
    write: false,
    metafile: true,
    packages: "external",
    platform: "node",
    format: "esm",
    outdir: "unused",
    logLevel: "silent",
  });
  return candidates.filter((file) => reaches(metafile, file, MARKERS));
}

/** Bundles these test files and the program that runs them. */
export async function bundleTests(files: readonly string[]): Promise<Bundle> {
  mkdirSync(join(cacheRoot(), "run"), { recursive: true });
  const root = mkdtempSync(join(cacheRoot(), "run/tests."));
  for (const name of COPIED.filter((each) => existsSync(join(projectRoot, each)))) {
    cpSync(join(projectRoot, name), join(root, name), { recursive: true });
  }
  // koffi is not bundled.
  symlinkSync(join(projectRoot, "node_modules"), join(root, "node_modules"));
  const options = bundleOptions(root);
  // Tests in one process, and the sources for modules given as text: what they share is one module.
  const shared = ["test/matrix/in-guest.ts", ...files, ...filesBelow("src", /(?<!\.d)\.ts$/)];
  await build({ ...options, entryPoints: shared, splitting: true });
  // Programs of their own: one file each starts fastest.
  await build({ ...options, entryPoints: [...filesBelow("examples", /\.ts$/), ...scripts] });
  return { root, program: join(root, "test/matrix/in-guest.mjs"), files };
}

function bundleOptions(root: string): BuildOptions {
  return {
    absWorkingDir: projectRoot,
    bundle: true,
    outdir: root,
    outbase: projectRoot,
    outExtension: { ".js": ".mjs" },
    chunkNames: "chunks/[hash]",
    platform: "node",
    format: "esm",
    target: "node20",
    // Beside the bundles, not named in them: read by stack.ts only.
    sourcemap: "external",
    external: ["koffi"],
    plugins: [keepModuleUrls(root)],
    // vitest and its friends use require() in places that are never reached here, or reached with node's own modules.
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
    logLevel: "error",
  };
}

/** Modules find fixtures relative to their own place: in a bundle that of the source file's copy in the snapshot. */
function keepModuleUrls(root: string): Plugin {
  return {
    name: "keep-module-urls",
    setup(builder) {
      builder.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const source = readFileSync(path, "utf8");
        if (path.includes("/node_modules/")) return { contents: source, loader: "ts" };
        const copy = join(root, relative(projectRoot, path));
        const contents = source
          .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(copy).href))
          .replaceAll("import.meta.filename", JSON.stringify(copy))
          .replaceAll("import.meta.dirname", JSON.stringify(resolve(copy, "..")));
        return { contents, loader: "ts" };
      });
    },
  };
}

function filesBelow(folder: string, name: RegExp): string[] {
  return readdirSync(join(projectRoot, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && name.test(entry.name))
    .map((entry) => relative(projectRoot, join(entry.parentPath, entry.name)))
    .sort();
}

function reaches(metafile: Metafile, from: string, targets: readonly string[]): boolean {
  const seen = new Set<string>();
  const waiting = [from];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (targets.includes(file)) return true;
    if (seen.has(file)) continue;
    seen.add(file);
    for (const imported of metafile.inputs[file]?.imports ?? []) waiting.push(imported.path);
  }
  return false;
}
