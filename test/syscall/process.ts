// Runs TypeScript in a process of its own: for what may crash, what depends on Node's flags, and what happens at exit.

import { spawnSync } from "node:child_process";
import { moduleArguments } from "../support/script.js";

const root = new URL("../../", import.meta.url).pathname;

/** How a child ended. */
export interface ChildResult {
  readonly status: number | null;
  readonly signal: string | null;
  readonly output: string;
}

/** Runs `source`, a module in JavaScript in which `"./src/….ts"` resolves to the checkout's sources. */
export function runModule(source: string, flags: readonly string[] = []): ChildResult {
  const child = spawnSync(process.execPath, [...flags, ...moduleArguments(source)], {
    cwd: root,
    encoding: "utf8",
    // Long enough for a busy machine and for the emulated ones of the kernel matrix.
    timeout: 60_000,
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  return { status: child.status, signal: child.signal, output: child.stdout + child.stderr };
}
