// Runs TypeScript in a process of its own: for what may crash, what depends on Node's flags, and what happens at exit.

import { spawnSync } from "node:child_process";

const root = new URL("../../", import.meta.url).pathname;

/** Set by the kernel matrix: a copy of `src` as JavaScript, because under emulation tsx takes ten seconds to start. */
const compiled = process.env.BPFKIT_COMPILED_SRC;

/** How a child ended. */
export interface ChildResult {
  readonly status: number | null;
  readonly signal: string | null;
  readonly output: string;
}

/** Runs `source`, a module in JavaScript in which `"./src/….ts"` resolves to the checkout's sources. */
export function runModule(source: string, flags: readonly string[] = []): ChildResult {
  const absolute =
    compiled === undefined
      ? source.replaceAll('"./src/', `"${root}src/`)
      : source.replaceAll(/"\.\/src\/([^"]*)\.ts"/g, `"${compiled}/$1.mjs"`);
  const loader = compiled === undefined ? ["--import", "tsx"] : [];
  const child = spawnSync(process.execPath, [...flags, ...loader, "--input-type=module", "--eval", absolute], {
    cwd: root,
    encoding: "utf8",
    timeout: 20_000,
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  return { status: child.status, signal: child.signal, output: child.stdout + child.stderr };
}
