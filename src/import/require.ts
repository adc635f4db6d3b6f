// `require("./minimal.bpf.o")` on Node.js before 22.15, whose require() does not ask the hooks of `module.register`: by the table
// of extensions, which require() looks into for every file, so that no other is slowed. As with the hooks the module is ESM.

import * as nodeModule from "node:module";
import { UnsupportedError } from "../errors.js";
import type * as Hooks from "./hooks.js";

/** What Node.js gives for a file of an extension, as far as it is used. */
interface RequiredModule {
  _compile(code: string, path: string, format: "module"): void;
}

interface WithExtensions {
  readonly _extensions: object;
}

/** Adds `.bpf.o` and `.bpf.c`. */
export function addRequire(report: Hooks.Report): void {
  const { _extensions: extensions } = nodeModule.Module as unknown as WithExtensions;
  const value = (module: RequiredModule, path: string): void => module._compile(load(path, report), path, "module");
  for (const extension of [".bpf.o", ".bpf.c"]) {
    // Not enumerable: require("./minimal") does not try them, neither do the requires of packages and folders.
    Object.defineProperty(extensions, extension, { value, configurable: true, writable: true });
  }
}

/** The hooks are loaded when they are needed, as mostly nothing is required. */
function load(path: string, report: Hooks.Report): string {
  if ((process.features as { require_module?: boolean }).require_module !== true) {
    throw new UnsupportedError("this Node.js has no require() for ES modules, which skeletons are", {
      file: path,
      hint: "import it, or leave out --no-experimental-require-module",
    });
  }
  const hooks: typeof Hooks = nodeModule.createRequire(import.meta.url)("./hooks.js");
  hooks.setReport(report);
  return hooks.loadFile(path);
}
