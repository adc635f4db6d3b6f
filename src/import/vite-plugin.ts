// The plugin of Vite: Rollup's, with what differs in Vite: a server that keeps modules, URLs of its own, builds for servers.

import { ownUrl, type PluginOptions, pluginOptions } from "./plugin-options.js";
import { loadObject, pathOf, placeAsset, type RollupContext, type RollupPlugin } from "./rollup-plugin.js";

/** A module in Vite's graph, as far as it is passed on. */
export type ViteModule = object;

/** The modules that a server has. */
export interface ViteModuleGraph<M extends ViteModule> {
  getModulesByFile(file: string): Set<M> | undefined;
}

/** Vite's server. */
export interface ViteServer<M extends ViteModule = ViteModule> {
  readonly watcher: { on(event: "add" | "change" | "unlink", listener: (file: string) => void): unknown };
  readonly moduleGraph: ViteModuleGraph<M> & { invalidateModule(module: M): void };
  /** Tells who runs the module, unless hot updates are off. */
  reloadModule(module: M): Promise<void>;
}

/** What Vite tells when a file has changed. */
export interface ViteHotContext<M extends ViteModule> {
  readonly file: string;
  readonly modules: M[];
  readonly server: { readonly moduleGraph: ViteModuleGraph<M> };
}

/** A plugin for Vite. */
export interface VitePlugin extends RollupPlugin {
  readonly enforce: "pre";
  configResolved(config: { readonly command: string }): void;
  configureServer(server: ViteServer): void;
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
  const included = new Map<string, Set<string>>();
  /** A server puts out no files: the modules that it serves read those that are imported. */
  let isServer = false;
  /** The assets by reference, and by name those that the bundle refers to. */
  const assets = new Map<string, Uint8Array>();
  const used = new Map<string, Uint8Array>();
  const modulesFrom = <M extends ViteModule>(file: string, graph: ViteModuleGraph<M>): M[] => {
    const paths = [...included].filter(([, files]) => files.has(file)).map(([path]) => path);
    return paths.flatMap((path) => [...(graph.getModulesByFile(path) ?? [])]);
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
      const files = new Set<string>();
      included.set(path, files);
      const placeObject = isServer ? undefined : placeAsset(this, (reference, source) => assets.set(reference, source));
      return loadObject(this, path, all, { placeObject, watch: (file) => files.add(file) });
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
    // A header of a source that never compiled is not in Vite's graph, and hot updates may be off.
    configureServer(server) {
      const invalidate = (file: string): ViteModule[] => {
        const modules = modulesFrom(file, server.moduleGraph);
        for (const module of modules) server.moduleGraph.invalidateModule(module);
        return modules;
      };
      server.watcher.on("change", invalidate);
      // Vite itself does nothing for a header that comes or goes.
      for (const event of ["add", "unlink"] as const) {
        server.watcher.on(event, (file) => {
          for (const module of invalidate(file)) server.reloadModule(module).catch(() => {});
        });
      }
    },
    handleHotUpdate({ file, modules, server }) {
      return [...new Set([...modules, ...modulesFrom(file, server.moduleGraph)])];
    },
  };
}
