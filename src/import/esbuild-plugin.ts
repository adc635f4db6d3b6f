// The plugin of esbuild. What is put out beside the bundle is imported once more, as a file, for esbuild has no assets.

import { dirname, relative } from "node:path";
import { ArgumentError, BpfkitError } from "../errors.js";
import { importable, importObject, type PlaceObject } from "./module.js";
import { ownUrl, type PluginOptions, pluginOptions } from "./plugin-options.js";

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

/** The plugin for esbuild, as that for Rollup. */
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
        const watchFiles: string[] = [];
        const watch = (file: string): void => {
          watchFiles.push(file);
        };
        try {
          const { code, warnings } = importObject(path, all, { placeObject, watch });
          return {
            contents: code + imports,
            loader: "js",
            pluginData: object,
            resolveDir: dirname(path),
            watchFiles,
            warnings: warnings === "" ? [] : [{ text: warnings }],
          };
        } catch (error) {
          if (!(error instanceof BpfkitError)) throw error;
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
