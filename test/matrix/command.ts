// Running programs: one way to start a tool and read what it says, one to give it the terminal.

import { type SpawnOptions, spawn } from "node:child_process";

/** What a finished program left behind. */
export interface CommandResult {
  /** Exit status; 128 + signal when a signal ended it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Called with each whole line of stdout as it comes. */
  readonly onLine?: (line: string) => void;
}

/** Runs a program to its end, whatever its status. */
export function run(program: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...spawnOptions(options), stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    let rest = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      if (options.onLine === undefined) return;
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) options.onLine(line);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (rest !== "") options.onLine?.(rest);
      resolve({ status: code ?? 128 + (signal === "SIGKILL" ? 9 : 15), stdout, stderr });
    });
  });
}

/**
 * Runs a program that has to succeed, and returns its stdout.
 *
 * @throws Error with the end of what it printed when it did not.
 */
export async function must(program: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await run(program, args, options);
  if (result.status !== 0) {
    const said = `${result.stdout}\n${result.stderr}`.trim().split("\n").slice(-8).join("\n");
    throw new Error(`${program} ${args.slice(0, 3).join(" ")} … ended with status ${result.status}:\n${said}`);
  }
  return result.stdout;
}

/** Runs a program on the user's terminal; its exit status. */
export function interact(program: string, args: readonly string[], options: CommandOptions = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...spawnOptions(options), stdio: "inherit" });
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 255));
  });
}

function spawnOptions(options: CommandOptions): SpawnOptions {
  return {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
  };
}
