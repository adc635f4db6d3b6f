// Plugins of Vite, Rollup and esbuild. Their types are written down as far as they are used: bpfkit depends on none of them.

import { dirname, relative } from "node:path";
import { ArgumentError, BpfkitError } from "../errors.js";
import { CompileError } from "./compile-error.js";
import { checkOptions, type ImportOptions } from "./config.js";
import { importable, importObject, type PlaceObject } from "./module.js";

export type { CompileOptions } from "./compile.js";
export { CompileError } from "./compile-error.js";
export type { ImportOptions } from "./config.js";

/** Options of the plugins. With `object: "file"` objects are files beside the bundle, which the bundler puts out. */
export type PluginOptions = ImportOptions;

/** @throws ArgumentError */
function pluginOptions(options: PluginOptions): PluginOptions {
  checkOptions(options);
  return { ...options };
}

/** A file that a plugin of Rollup puts out: named by the bundler after `name`, or `fileName` itself. */
export interface RollupAsset {
  type: "asset";
  name?: string;
  fileName?: string;
  source: Uint8Array;
}

/** Put together, for tools that replace these words wherever they stand, as bundlers do. */
const ownUrl = ["import", "meta", "url"].join(".");

/** What a plugin of Rollup is called with. */
export interface RollupContext {
  addWatchFile(path: string): void;
  warn(message: string): void;
  /** The result stands for the file's name, which is not known before the end. */
  emitFile(file: RollupAsset): string;
}

/** A plugin for Rollup and what builds on it. */
export interface RollupPlugin {
  readonly name: string;
  load(this: RollupContext, id: string): { code: string; map: { mappings: "" }; moduleSideEffects: false } | undefined;
}

/**
 * The plugin for Rollup (and Rolldown): imports of `….bpf.o` and `….bpf.c` become skeletons, with the object in the
 * bundle or, with `object: "file"`, as an asset that the bundle reads at `open()`. In watch mode a change of the object, of
 * the source or of what it includes builds again.
 */
export function rollupPlugin(options: PluginOptions = {}): RollupPlugin {
  const all = pluginOptions(options);
  return {
    name: "bpfkit",
    load(id) {
      const path = pathOf(id);
      return path === undefined ? undefined : loadWith(this, path, importObject, all, assetOf(this));
    },
  };
}

/** Makes objects assets; Rollup writes the URL for the format of the bundle. */
function assetOf(context: RollupContext, remember?: (reference: string, source: Uint8Array) => void): PlaceObject {
  return (name, source) => {
    const reference = context.emitFile({ type: "asset", name, source });
    remember?.(reference, source);
    return { expression: `new URL(import.meta.ROLLUP_FILE_URL_${reference})` };
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
  configResolved(config: { readonly command: string }): void;
  /** The code of an asset's URL. */
  resolveFileUrl(asset: {
    readonly referenceId: string | null;
    readonly relativePath: string;
    readonly fileName: string;
    readonly format: string;
  }): string | null;
  readonly generateBundle: {
    readonly order: "post";
    handler(this: Pick<RollupContext, "emitFile">, options: unknown, bundle: Readonly<Record<string, unknown>>): void;
  };
  handleHotUpdate<M extends ViteModule>(context: ViteHotContext<M>): M[];
}

/** The plugin for Vite and Vitest, as {@link rollupPlugin}; a change of a header reloads what was compiled with it. */
export function vitePlugin(options: PluginOptions = {}): VitePlugin {
  const all = pluginOptions(options);
  /** The files that each import was made from. */
  const included = new Map<string, readonly string[]>();
  /** A server puts out no files: the modules that it serves read those that are imported. */
  let isServer = false;
  /** The assets by reference, and by name those that the bundle refers to. */
  const assets = new Map<string, Uint8Array>();
  const used = new Map<string, Uint8Array>();
  const importAndRemember: typeof importObject = (path, given, placeObject) => {
    try {
      const module = importObject(path, given, placeObject);
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
    configResolved({ command }) {
      isServer = command === "serve";
    },
    load(id) {
      const path = pathOf(id);
      if (path === undefined) return undefined;
      const placeObject = isServer ? undefined : assetOf(this, (reference, source) => assets.set(reference, source));
      return loadWith(this, path, importAndRemember, all, placeObject);
    },
    // Vite's own URLs begin at `base`, for browsers.
    resolveFileUrl({ referenceId, relativePath, fileName, format }) {
      const source = assets.get(referenceId ?? "");
      if (source === undefined) return null;
      used.set(fileName, source);
      const base = format === "es" ? ownUrl : 'require("node:url").pathToFileURL(__filename)';
      return `new URL(${JSON.stringify(relativePath)}, ${base}).href`;
    },
    // From bundles for servers Vite takes all assets away again, as those that browsers get from another build.
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        for (const [fileName, source] of used) {
          if (!Object.hasOwn(bundle, fileName)) this.emitFile({ type: "asset", fileName, source });
        }
        used.clear();
      },
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
  make: typeof importObject,
  options: PluginOptions,
  placeObject: PlaceObject | undefined,
): ReturnType<RollupPlugin["load"]> {
  context.addWatchFile(path);
  try {
    const { code, files, warnings } = make(path, options, placeObject);
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
  contents?: string | Uint8Array;
  loader?: "js" | "file";
  pluginData?: unknown;
  resolveDir?: string;
  watchFiles?: string[];
  errors?: EsbuildMessage[];
  warnings?: EsbuildMessage[];
}

/** What esbuild gives its plugins. */
export interface EsbuildBuild {
  readonly initialOptions: {
    bundle?: boolean;
    format?: string;
    platform?: string;
    publicPath?: string;
    absWorkingDir?: string;
  };
  onResolve(
    options: { filter: RegExp },
    callback: (args: { path: string; pluginData: unknown }) => { path: string; namespace: string; pluginData: unknown },
  ): void;
  onLoad(
    options: { filter: RegExp; namespace?: string },
    callback: (args: { path: string; pluginData: unknown }) => EsbuildResult,
  ): void;
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
      const { bundle = false, absWorkingDir = process.cwd() } = build.initialOptions;
      build.onResolve({ filter: ofObject }, ({ path, pluginData }) => ({
        // As esbuild names files, for it ends up in the bundle's comments.
        path: relative(absWorkingDir, path.replace(ofObject, "")),
        namespace: "bpfkit-object",
        pluginData,
      }));
      build.onLoad({ filter: /$/, namespace: "bpfkit-object" }, ({ pluginData }) => ({
        contents: pluginData as Uint8Array,
        loader: "file",
      }));
      build.onLoad({ filter: importable, namespace: "file" }, ({ path }) => {
        let [object, imports]: [Uint8Array | undefined, string] = [undefined, ""];
        const placeObject: PlaceObject = (_name, bytes) => {
          // Without a bundle, esbuild follows no imports.
          if (!bundle) return "embed";
          const asset = esbuildAsset(path, build.initialOptions);
          [object, imports] = [bytes, asset.imports];
          return asset;
        };
        try {
          const { code, files, warnings } = importObject(path, all, placeObject);
          return {
            contents: code + imports,
            loader: "js",
            pluginData: object,
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

/** What an object is imported by to become a file. */
const ofObject = /^bpfkit-object:/;

/** Imports that make esbuild copy an object, and the expression of its URL: esbuild gives the path, seen from the bundle. */
function esbuildAsset(
  path: string,
  { format, platform, publicPath }: EsbuildBuild["initialOptions"],
): { readonly imports: string; readonly expression: string } {
  if (publicPath) {
    throw new ArgumentError('object: "file" does not go with a publicPath, where Node.js reads no files', {
      file: path,
      hint: "embed the object, or build without publicPath what is for Node.js",
    });
  }
  // Another name than that of the object which may be beside the source.
  const specifier = JSON.stringify(`bpfkit-object:${path.replace(/\.c$/, ".c.o")}`);
  const imports = `\nimport $object from ${specifier};\n`;
  if ((format ?? (platform === "neutral" ? "esm" : "cjs")) === "esm") {
    return { imports, expression: `new URL($object, ${ownUrl})` };
  }
  // The other formats have no URL, but the variables of a CommonJS module, as they have the require() that bpfkit needs.
  const base = 'import { pathToFileURL as $base } from "node:url";\n';
  return { imports: imports + base, expression: "new URL($object, $base(__filename))" };
}
