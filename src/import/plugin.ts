// The plugins of bundlers, as `bpfkit/plugin`. The bundlers' types are written down as far as they are used: bpfkit depends on
// none of them.

export type { CompileOptions } from "./compile.js";
export { CompileError } from "./compile-error.js";
export type { ImportOptions } from "./config.js";
export {
  type EsbuildBuild,
  type EsbuildMessage,
  type EsbuildPlugin,
  type EsbuildResult,
  esbuildPlugin,
} from "./esbuild-plugin.js";
export type { PluginOptions } from "./plugin-options.js";
export {
  type RollupAsset,
  type RollupContext,
  type RollupModule,
  type RollupPlugin,
  rollupPlugin,
} from "./rollup-plugin.js";
export {
  type ViteHotContext,
  type ViteModule,
  type ViteModuleGraph,
  type VitePlugin,
  type ViteServer,
  vitePlugin,
} from "./vite-plugin.js";
