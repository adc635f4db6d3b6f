// What is measured: the built package in dist, as users get it (tsx would wrap every function on the way). Types come
// from the sources, so that nothing has to be built before the bench can be type-checked.
import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);

/** Path of a file of the repository. */
export const pathOf = (file: string): string => fileURLToPath(new URL(file, root));

/** URL of a built module. */
export const builtUrl = (module: string): string => new URL(`dist/${module}`, root).href;

/** The package's main entry point. */
export const loadBpfkit = async (): Promise<typeof import("../src/index.js")> => import(builtUrl("index.js"));
