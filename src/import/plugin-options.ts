// What the plugins of the bundlers have in common.

import { checkOptions, type ImportOptions } from "./config.js";

/** Options of the plugins. With `object: "file"` objects are files beside the bundle, which the bundler puts out. */
export type PluginOptions = ImportOptions;

/** A copy, which the caller does not change later. @throws ArgumentError */
export function pluginOptions(options: PluginOptions): PluginOptions {
  checkOptions(options);
  return { ...options };
}

/** Put together, for tools that replace these words wherever they stand, as bundlers do. */
export const ownUrl: string = ["import", "meta", "url"].join(".");
