// The plugin of Rollup, which Rolldown takes as it is and Vite's plugin builds on.

import { isAbsolute } from "node:path";
import { importable, importObject, type PlaceObject } from "./module.js";
import { type PluginOptions, pluginOptions } from "./plugin-options.js";

/** A file that a plugin of Rollup puts out: named by the bundler after `name`, or `fileName` itself. */
export interface RollupAsset {
  type: "asset";
  name?: string;
  fileName?: string;
  source: Uint8Array;
}

/** What a plugin of Rollup is called with. */
export interface RollupContext {
  addWatchFile(path: string): void;
  warn(message: string): void;
  /** The result stands for the file's name, which is not known before the end. */
  emitFile(file: RollupAsset): string;
}

/** A module as Rollup takes it. */
export interface RollupModule {
  code: string;
  map: { mappings: "" };
  moduleSideEffects: false;
}

/** A plugin for Rollup and what builds on it. */
export interface RollupPlugin {
  readonly name: string;
  load(this: RollupContext, id: string): RollupModule | undefined;
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
      return path === undefined ? undefined : loadObject(this, path, all, { placeObject: placeAsset(this) });
    },
  };
}

/** Queries that name another form of the file, which is for others to give. */
const otherForm = /[?&](?:raw|url|inline|worker|sharedworker)(?:[&=]|$)/;

/** The path of an id that is imported as a skeleton. What is not absolute the bundler has not found, and says so itself. */
export function pathOf(id: string): string | undefined {
  const [path = ""] = id.split("?", 1);
  return importable.test(path) && isAbsolute(path) && !otherForm.test(id) ? path : undefined;
}

/** How an object is loaded. */
export interface LoadOptions {
  readonly placeObject: PlaceObject | undefined;
  /** Told of each file besides the bundler. */
  readonly watch?: (file: string) => void;
}

/** The module of an object, its files watched. @throws what importObject throws */
export function loadObject(
  context: RollupContext,
  path: string,
  options: PluginOptions,
  { placeObject, watch }: LoadOptions,
): RollupModule {
  const watchBoth = (file: string): void => {
    watch?.(file);
    context.addWatchFile(file);
  };
  const { code, warnings } = importObject(path, options, { placeObject, watch: watchBoth });
  if (warnings !== "") context.warn(warnings);
  return { code, map: { mappings: "" }, moduleSideEffects: false };
}

/** Makes objects assets; Rollup writes the URL for the format of the bundle. */
export function placeAsset(
  context: RollupContext,
  remember?: (reference: string, source: Uint8Array) => void,
): PlaceObject {
  return (name, source) => {
    const reference = context.emitFile({ type: "asset", name, source });
    remember?.(reference, source);
    return { expression: `new URL(import.meta.ROLLUP_FILE_URL_${reference})` };
  };
}
