// An example as a child process: what it prints while it runs, and how it ends.

import { type ChildProcess, spawn } from "node:child_process";
import { eventually } from "../support/fixtures.js";
import { scriptArguments } from "../support/script.js";

/** A row of `--json`. */
export type Row = Readonly<Record<string, unknown>>;

/** How an example ended. */
export interface End {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running example. */
export class Example {
  out = "";
  err = "";
  readonly #child: ChildProcess;
  readonly ended: Promise<End>;
  #isOver = false;

  /** `inside` is a command that runs the rest of its arguments. */
  constructor(name: string, args: readonly string[], inside: readonly string[] = []) {
    const [program, ...rest] = [...inside, process.execPath, ...scriptArguments(`examples/${name}.ts`), ...args];
    this.#child = spawn(program!, rest, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child.stdout!.on("data", (chunk) => {
      this.out += chunk;
    });
    this.#child.stderr!.on("data", (chunk) => {
      this.err += chunk;
    });
    this.ended = new Promise((done) => {
      this.#child.on("close", (status, signal) => {
        this.#isOver = true;
        done({ status, signal });
      });
    });
  }

  /** Waits until it has attached. */
  async ready(): Promise<void> {
    await eventually(() => this.#isOver || this.err.includes("Ctrl+C ends"), 60_000);
    if (this.#isOver) throw new Error(`it ended: ${this.err}${this.out}`);
  }

  /** The rows so far. */
  rows(): Row[] {
    const whole = this.out.slice(0, this.out.lastIndexOf("\n") + 1);
    return whole.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Row]));
  }

  /** Causes something, again and again, until there is a row that fits; that row. */
  async until(fits: (row: Row) => boolean, cause: () => unknown): Promise<Row> {
    for (let tries = 0; tries < 40; tries++) {
      await cause();
      if (await eventually(() => this.rows().some(fits) || this.#isOver, 500)) break;
    }
    const found = this.rows().find(fits);
    if (found === undefined) throw new Error(`no such row: ${this.err}${this.out.slice(-4000)}`);
    return found;
  }

  /** Ctrl+C. */
  interrupt(): Promise<End> {
    this.#child.kill("SIGINT");
    return this.ended;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/** Runs `body` with an example that prints JSON and is attached; then Ctrl+C, and it has to end well. */
export async function withExample<T>(
  name: string,
  args: readonly string[],
  body: (example: Example) => T | Promise<T>,
  inside?: readonly string[],
): Promise<T> {
  const example = new Example(name, ["--json", ...args], inside);
  try {
    await example.ready();
    const result = await body(example);
    const end = await example.interrupt();
    if (end.status !== 0) throw new Error(`it ended with ${end.signal ?? end.status}: ${example.err}`);
    return result;
  } finally {
    example.kill();
  }
}
