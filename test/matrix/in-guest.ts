// The one process of a guest: `node in-guest.mjs FILE...` runs bundled test files in order. vitest's modules want to
// find the state of a worker when they are evaluated, hence the second module, imported after that state is there.

import { bundledModule } from "./bundle-paths.js";

const files = process.argv.slice(2);
const state = {
  config: { expect: {}, snapshotOptions: { updateSnapshot: "none" }, root: process.cwd() },
  environment: { name: "node" },
  ctx: { pool: "matrix" },
  providedContext: {},
  filepath: "",
};
Object.defineProperty(globalThis, "__vitest_worker__", { value: state, configurable: true });

const { runFiles } = await import("./in-guest-runner.js");
await runFiles(files, bundledModule);
