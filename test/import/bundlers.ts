// The bundlers that the plugins are tried with: those that Vitest brings along, or others, installed in the folder that
// $BPFKIT_BUNDLERS names (`npm run test:bundlers`). Only what is used of them is written down, for all versions alike.

import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

/** A message of esbuild. */
interface EsbuildMessage {
  readonly text: string;
}

interface EsbuildResult {
  readonly errors: readonly EsbuildMessage[];
  readonly warnings: readonly EsbuildMessage[];
  readonly outputFiles?: readonly { readonly text: string }[];
  readonly metafile?: { readonly outputs: Readonly<Record<string, unknown>> };
}

/** The functions of esbuild. */
export interface Esbuild {
  readonly version: string;
  build(options: object): Promise<EsbuildResult>;
  context(options: object): Promise<{ watch(): Promise<void>; dispose(): Promise<void> }>;
}

/** A plugin of esbuild that is told of every end of a build. */
export const tellEsbuild = (tell: (result: EsbuildResult) => unknown): object => ({
  name: "tell",
  setup: (build: { onEnd(callback: (result: EsbuildResult) => unknown): void }) => build.onEnd(tell),
});

/** What Rollup tells of a build. */
export interface RollupEvent {
  readonly code: "START" | "BUNDLE_START" | "BUNDLE_END" | "END" | "ERROR";
  readonly error?: Error;
  readonly result?: { close(): Promise<void> } | null;
}

/** A build that goes on. */
export interface RollupWatcher {
  on(event: "event", listener: (event: RollupEvent) => void): unknown;
  close(): Promise<void>;
}

/** The functions of Rollup and of Rolldown that are called alike. */
export interface Rollup {
  readonly VERSION: string;
  watch(options: object): RollupWatcher;
  /** Builds and writes. */
  build(options: { readonly output: object }): Promise<void>;
}

/** A server of Vite. */
export interface ViteServer {
  ssrLoadModule(url: string): Promise<Readonly<Record<string, unknown>>>;
  close(): Promise<void>;
}

/** The functions of Vite. */
export interface Vite {
  readonly version: string;
  /** With `build.watch` the result is a watcher. */
  build(options: object): Promise<unknown>;
  createServer(options: object): Promise<ViteServer>;
}

/** What rollup(options) of Rollup alone gives. */
interface RollupBuild {
  write(output: object): Promise<unknown>;
  close(): Promise<void>;
}

const chosen = process.env.BPFKIT_BUNDLERS;

const load = async <T>(path: string): Promise<T> => (await import(pathToFileURL(path).href)) as T;
const packageOf = (name: string, from: string): string =>
  dirname(createRequire(join(from, "package.json")).resolve(`${name}/package.json`));

const top = resolve(chosen ?? ".");
const viteFolder = packageOf("vite", chosen === undefined ? packageOf("vitest", top) : top);

export const esbuild: Esbuild = await load(join(packageOf("esbuild", top), "lib/main.js"));
export const vite: Vite = await load(join(viteFolder, "dist/node/index.js"));
/** Rollup, or Rolldown, which takes Rollup's plugins. */
export const rollup: Rollup =
  chosen === undefined
    ? await load(join(packageOf("rolldown", viteFolder), "dist/index.mjs"))
    : withBuild(await load(join(top, "node_modules/rollup/dist/es/rollup.js")));
export const rollupName = chosen === undefined ? "Rolldown" : "Rollup";

/** Rolldown has a function for both steps. */
function withBuild(plain: Rollup & { rollup(options: object): Promise<RollupBuild> }): Rollup {
  return {
    VERSION: plain.VERSION,
    watch: plain.watch,
    async build({ output, ...input }) {
      const bundle = await plain.rollup(input);
      try {
        await bundle.write(output);
      } finally {
        await bundle.close();
      }
    },
  };
}
