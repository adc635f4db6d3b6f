// `npm run build`: dist from src. Declarations come from tsc, one per module; the code is joined into one file per entry
// point and a few shared chunks, because a hundred ES modules take Node.js three times as long to import as ten
// (npm run bench -- --only import). Chunks are shared between entry points, so that every class exists once.
import { execFileSync } from "node:child_process";
import { chmodSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = new URL("../", import.meta.url);
const path = (file: string): string => fileURLToPath(new URL(file, root));

interface PackageJson {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}
const { exports, bin, dependencies } = JSON.parse(readFileSync(path("package.json"), "utf8")) as PackageJson;

// ./dist/btf/index.js is made from src/btf/index.ts
const programs = Object.values(bin);
// Started by its URL, in a thread of its own (src/import/register.ts).
const threads = ["dist/import/hooks.js"];
const entryPoints = [
  ...Object.values(exports).map((entry) => (typeof entry === "string" ? entry : entry.default)),
  ...programs,
  ...threads,
]
  .filter((file) => file.endsWith(".js"))
  .map((file) => path(file.replace(/^(?:\.\/)?dist\/(.*)\.js$/, "src/$1.ts")));

rmSync(path("dist"), { recursive: true, force: true });
execFileSync(process.execPath, [path("node_modules/typescript/bin/tsc"), "-p", path("tsconfig.build.json")], {
  stdio: "inherit",
});
await build({
  entryPoints,
  outbase: path("src"),
  outdir: path("dist"),
  tsconfig: path("tsconfig.build.json"),
  bundle: true,
  splitting: true,
  chunkNames: "chunks/[name]-[hash]",
  format: "esm",
  // The core runs in browsers: `node:` modules are left alone wherever they are imported, and nothing else is assumed.
  platform: "node",
  target: "es2022",
  external: Object.keys(dependencies),
  sourcemap: true,
  sourcesContent: false,
  legalComments: "none",
});
// npm does this for those who install the package, not for the checkout itself.
for (const program of programs) chmodSync(path(program), 0o755);
