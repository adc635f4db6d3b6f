// Where things lie. In a bundled module `projectRoot` is the snapshot that the bundle lies in, elsewhere the checkout.

import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The checkout, or in a guest its snapshot. */
export const projectRoot: string = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** In a guest: the bundled module of a test file (a path below the root), as a URL. */
export function bundledModule(file: string): string {
  return pathToFileURL(join(projectRoot, file.replace(/\.ts$/, ".mjs"))).href;
}
