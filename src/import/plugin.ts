// Plugins of Vite, Rollup and esbuild. Their types are written down as far as they are used: bpfkit depends on none of them.

import { dirname } from "node:path";
import { ArgumentError, BpfkitError } from "../errors.js";
import { CompileError } from "./compile-error.js";
import { checkOptions, type ImportOptions } from "./config.js";
import { importable, importObject, type ObjectModule } from "./module.js";

export type { CompileOptions } from "./compile.js";
export { CompileError } from "./compile-error.js";
export type { ImportOptions } from "./config.js";

/** Options of the plugins: a bundle always has the objects in it. */
export type PluginOptions = Omit<ImportOptions, "object">;

/** @throws ArgumentError */
function pluginOptions(options: PluginOptions): ImportOptions {
  checkOptions(options);
  if ((options as ImportOptions).object === "file") {
    throw new ArgumentError('object cannot be "file": a bundle has the objects in it');
  }
  return { ...options, object: "embed" };
}

/** What a plugin of Rollup is called with. */
export interface RollupContext {
  addWatchFile(path: string): void;
  warn(message: string): void;
}

/** A plugin for Rollup and what builds on it. */
export interface RollupPlugin {
  readonly name: string;
  load(this: RollupContext, id: string): { code: string; map: { mappings: "" }; moduleSideEffects: false } | undefined;
}

/**
 * The plugin for Rollup (and Rolldown): imports of `….bpf.o` and `….bpf.c` become skeletons, with the object in the bundle.
 * In watch mode a change of the object, of the source or of what it includes builds again.
 */
export function rollupPlugin(options: PluginOptions = {}): RollupPlugin {
  const all = pluginOptions(options);
  return {
    name: "bpfkit",
    load(id) {
      const path = pathOf(id);
      return path === undefined ? undefined : loadWith(this, path, importObject, all);
    },
  };
}

/** A module in Vite's graph, as far as it is passed on. */
export type ViteModule = object;

/** What Vite tells when a file has changed. */
export interface ViteHotContext<M extends ViteModule> {
  readonly file: string;
  readonly modules: M[];
  readonly server: { readonly moduleGraph: { getModulesByFile(file: string): Set<M> | undefined } };
}

/** A plugin for Vite. */
export interface VitePlugin extends RollupPlugin {
  readonly enforce: "pre";
  handleHotUpdate<M extends ViteModule>(context: ViteHotContext<M>): M[];
}

/** The plugin for Vite and Vitest, as {@link rollupPlugin}; a change of a header reloads what was compiled with it. */
export function vitePlugin(options: PluginOptions = {}): VitePlugin {
  const all = pluginOptions(options);
  /** The files that each import was made from. */
  const included = new Map<string, readonly string[]>();
  const importAndRemember = (path: string): ObjectModule => {
    try {
      const module = importObject(path, all);
      included.set(path, module.files);
      return module;
    } catch (error) {
      if (error instanceof CompileError) included.set(path, error.sources);
      throw error;
    }
  };
  return {
    name: "bpfkit",
    enforce: "pre",
    load(id) {
      const path = pathOf(id);
      return path === undefined ? undefined : loadWith(this, path, importAndRemember, all);
    },
    handleHotUpdate({ file, modules, server }) {
      const made = [...included].filter(([, files]) => files.includes(file)).map(([path]) => path);
      const others = made.flatMap((path) => [...(server.moduleGraph.getModulesByFile(path) ?? [])]);
      return [...new Set([...modules, ...others])];
    },
  };
}

function loadWith(
  context: RollupContext,
  path: string,
  make: (path: string, options: ImportOptions) => ObjectModule,
  options: ImportOptions,
): ReturnType<RollupPlugin["load"]> {
  context.addWatchFile(path);
  try {
    const { code, files, warnings } = make(path, options);
    for (const file of files) context.addWatchFile(file);
    if (warnings !== "") context.warn(warnings);
    return { code, map: { mappings: "" }, moduleSideEffects: false };
  } catch (error) {
    // The change that repairs it has to be seen.
    if (error instanceof CompileError) for (const file of error.sources) context.addWatchFile(file);
    throw error;
  }
}

/** Queries that name another form of the file, which is for others to give. */
const otherForm = /[?&](?:raw|url|inline|worker|sharedworker)(?:[&=]|$)/;

/** The path of an id that is imported as a skeleton. */
function pathOf(id: string): string | undefined {
  const [path = ""] = id.split("?", 1);
  return importable.test(path) && !otherForm.test(id) ? path : undefined;
}

/** A message of esbuild. */
export interface EsbuildMessage {
  readonly text: string;
  readonly detail?: unknown;
}

/** What a loader gives esbuild. */
export interface EsbuildResult {
  contents?: string;
  loader?: "js";
  resolveDir?: string;
  watchFiles?: string[];
  errors?: EsbuildMessage[];
  warnings?: EsbuildMessage[];
}

/** What esbuild gives its plugins. */
export interface EsbuildBuild {
  onLoad(options: { filter: RegExp; namespace?: string }, callback: (args: { path: string }) => EsbuildResult): void;
}

/** A plugin for esbuild. */
export interface EsbuildPlugin {
  name: string;
  setup(build: EsbuildBuild): void;
}

/** The plugin for esbuild, as {@link rollupPlugin}. */
export function esbuildPlugin(options: PluginOptions = {}): EsbuildPlugin {
  const all = pluginOptions(options);
  return {
    name: "bpfkit",
    setup(build) {
      build.onLoad({ filter: importable, namespace: "file" }, ({ path }) => {
        try {
          const { code, files, warnings } = importObject(path, all);
          return {
            contents: code,
            loader: "js",
            resolveDir: dirname(path),
            watchFiles: [...files],
            warnings: warnings === "" ? [] : [{ text: warnings }],
          };
        } catch (error) {
          if (!(error instanceof BpfkitError)) throw error;
          const watchFiles = error instanceof CompileError ? [path, ...error.sources] : [path];
          return { errors: [{ text: error.message, detail: error }], watchFiles };
        }
      });
    },
  };
}
