// Where the bundled tests lie, for the one who writes them outside and the one who reads them in the guest.

import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The checkout. */
export const projectRoot: string = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** Inside node_modules: ignored by git and by the linters, and koffi is found from there. */
export const bundleFolder: string = join(projectRoot, "node_modules/.cache/bpfkit-matrix");

/** The bundled module of a test file (a path below the checkout), as a URL. */
export function bundledModule(file: string): string {
  return pathToFileURL(join(bundleFolder, file.replace(/\.ts$/, ".mjs"))).href;
}
