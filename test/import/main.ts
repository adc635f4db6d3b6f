// `npm run test:bundlers`: the tests of the plugins with each version of the bundlers that they are meant for, one line a version.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { bundlerSets, bundlers } from "./bundler-versions.js";

const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");

/** Installs the newest of these versions, and gives the folder. */
function install(set: Readonly<Record<string, string>>): string {
  const folder = join(base, "bpfkit-bundlers", Object.values(set).join("-"));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }');
  const wanted = Object.entries(set).map(([name, version]) => `${name}@${version}`);
  const quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--silent"];
  const { status } = spawnSync("npm", ["install", ...quiet, ...wanted], { cwd: folder, stdio: "inherit" });
  if (status !== 0) throw new Error(`npm cannot install ${wanted.join(", ")}`);
  return folder;
}

const versionIn = (folder: string, name: string): string =>
  (JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8")) as { version: string }).version;

const files = ["plugin", "plugin-asset", "watch"].map((name) => `test/import/${name}.test.ts`);
for (const set of bundlerSets) {
  const folder = install(set);
  const env = { ...process.env, BPFKIT_BUNDLERS: folder };
  const run = spawnSync(process.execPath, [resolve("node_modules/vitest/vitest.mjs"), "run", ...files], {
    env,
    encoding: "utf8",
  });
  const names = bundlers.map((name) => `${name} ${versionIn(folder, name)}`).join(", ");
  console.log(`${run.status === 0 ? "passed" : "FAILED"}: ${names}`);
  if (run.status === 0) continue;
  console.log(run.stdout + run.stderr);
  process.exitCode = 1;
}
