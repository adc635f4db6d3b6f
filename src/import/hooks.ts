// The hooks of Node.js's module loader. Without `module.registerHooks` they run in a thread of their own, so this is a file of
// its own in dist, and what is to be watched goes to the main thread by a port.

import type { LoadFnOutput, LoadHookContext } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { MessagePort } from "node:worker_threads";
import { importable, importObject } from "./module.js";

/** Gets the URLs of the files that a module was made from. */
export type Report = (urls: readonly string[]) => void;

let report: Report = () => {};

/** What the thread is started with: where to report, if anybody watches. */
export function initialize({ port }: { readonly port: MessagePort | undefined }): void {
  if (port !== undefined) setReport((urls) => port.postMessage(urls));
}

/** The same for hooks in the thread that imports. */
export function setReport(next: Report): void {
  report = next;
}

/** The skeleton for `….bpf.o` and `….bpf.c`, files with any query; everything else is left to the next hook. */
export function load<T>(
  url: string,
  context: LoadHookContext,
  next: (url: string, context?: LoadHookContext) => T,
): LoadFnOutput | T {
  if (!url.startsWith("file:")) return next(url, context);
  const { pathname } = new URL(url);
  if (!importable.test(pathname)) return next(url, context);
  return { format: "module", source: loadFile(fileURLToPath(new URL(pathname, url))), shortCircuit: true };
}

/** The text of a module, its files reported. @throws what importObject throws */
export function loadFile(path: string): string {
  const files = new Set<string>();
  try {
    const { code, warnings } = importObject(path, {}, { watch: (file) => files.add(file) });
    if (warnings !== "") process.stderr.write(`${warnings}\n`);
    return code;
  } finally {
    report([...files].map((file) => pathToFileURL(file).href));
  }
}
