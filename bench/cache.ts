// Where the benchmark keeps what it compiles: outside the checkout.
import { homedir } from "node:os";
import { join } from "node:path";

/** The folder `bpfkit-bench` in the user's cache; not made here. */
export const cacheFolder = (): string => join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "bpfkit-bench");
