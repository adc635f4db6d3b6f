// What the examples have in common, none of it about BPF: options, Ctrl+C, output as a table or as JSON, errors in a line.

import { setInterval } from "node:timers/promises";
import { parseArgs } from "node:util";
import { BpfkitError } from "bpfkit";

/** What an option's value is. */
interface Kinds {
  string: string;
  number: number;
  boolean: boolean;
}

/** An example, as a command. */
export interface Command<Options extends Readonly<Record<string, keyof Kinds>>> {
  /** How it is called, and what it does: for `--help`. */
  readonly usage: string;
  /** Options of its own, `--NAME`; numbers are above 0. */
  readonly options?: Options;
  /** What has to stand beside the options: `INTERFACE`. */
  readonly operand?: string;
  /** Widths of the columns that a row has as text, by its members. The last one may be longer. */
  readonly columns?: Readonly<Record<string, number>>;
}

/** What a command is given to run. */
export interface Run<Options> {
  readonly options: { readonly [Name in keyof Options]?: Kinds[Options[Name] & keyof Kinds] };
  /** What stands beside the options, "" when nothing has to. */
  readonly operand: string;
  /** Aborted by Ctrl+C, and when `--duration` or `--count` is reached. */
  readonly signal: AbortSignal;
  /** Says that everything is attached; `--duration` begins. */
  ready(what: string): void;
  /** A line of output: the row in its columns, or else `text`; with `--json` the row. */
  print(row: object, text?: string): void;
  /** Comes round every so many seconds until the signal. */
  every(seconds: number): AsyncGenerator<void>;
}

const help = `
  --json        print JSON, one object a line
  --duration S  end after S seconds
  --count N     end after N lines
  --help        print this`;

/** Runs an example. What went wrong is said in a line, and the exit status is 1. */
export async function command<const Options extends Readonly<Record<string, keyof Kinds>>>(
  { usage, options = {} as Options, operand = "", columns = {} }: Command<Options>,
  body: (run: Run<Options>) => void | Promise<void>,
): Promise<void> {
  const name = process.argv[1]?.replace(/^.*\/|\.[^.]*$/g, "");
  const stop = new AbortController();
  const end = (): void => stop.abort();
  let timer: NodeJS.Timeout | undefined;
  try {
    const kinds = { ...options, json: "boolean", duration: "number", count: "number", help: "boolean" } as const;
    const values = parse(kinds, operand);
    if (values.help === true) return console.log(usage + help);
    process.once("SIGINT", end).once("SIGTERM", end);
    process.stdout.on("error", end); // nobody reads any more: | head
    let lines = 0;
    await body({
      options: values as Run<Options>["options"],
      operand: values.operand,
      signal: stop.signal,
      ready(what) {
        console.error(`${what}; Ctrl+C ends`);
        if (values.duration !== undefined) timer = setTimeout(end, values.duration * 1000);
      },
      print(row, text = aligned(row, columns)) {
        if (values.count !== undefined && lines >= values.count) return;
        if (lines === 0 && values.json !== true && Object.keys(columns).length > 0) console.log(header(row, columns));
        console.log(values.json === true ? JSON.stringify(row) : text);
        if (++lines === values.count) end();
      },
      async *every(seconds) {
        try {
          for await (const _ of setInterval(seconds * 1000, undefined, { signal: stop.signal })) yield;
        } catch (error) {
          if (!stop.signal.aborted) throw error;
        }
      },
    });
  } catch (error) {
    // Errors of the library and wrong options are for the user to read; anything else is a bug and keeps its stack.
    if (!(BpfkitError.isBpfkitError(error) || error instanceof UsageError)) throw error;
    console.error(`${name}: ${error.message}`);
    process.exitCode = 1;
  } finally {
    clearTimeout(timer);
    process.off("SIGINT", end).off("SIGTERM", end);
  }
}

class UsageError extends Error {}

function parse(kinds: Readonly<Record<string, keyof Kinds>>, operand: string) {
  const options = Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => [name, { type: kind === "boolean" ? kind : "string" } as const]),
  );
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: operand !== "" });
    if (values.help !== true && positionals.length !== (operand === "" ? 0 : 1)) throw new Error(`give one ${operand}`);
    const typed = Object.entries(values).map(([name, value]) => [
      name,
      kinds[name] === "number" ? positive(name, String(value)) : value,
    ]);
    return { ...Object.fromEntries(typed), operand: positionals[0] ?? "" };
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

function positive(name: string, text: string): number {
  const value = Number(text);
  // Timers of Node.js end at 2^31 - 1 milliseconds.
  if (value > 0 && value <= 2_147_483) return value;
  throw new UsageError(`--${name} wants a number above 0 and up to 2147483, not ${text}`);
}

type Columns = Readonly<Record<string, number>>;

/** Numbers to the right, everything else to the left. */
function aligned(row: object, columns: Columns, text = (_: string, value: unknown) => textOf(value)): string {
  const cells = Object.entries(columns).map(([name, width]) => {
    const value: unknown = (row as Record<string, unknown>)[name];
    return typeof value === "number" ? text(name, value).padStart(width) : text(name, value).padEnd(width);
  });
  return cells.join("  ").trimEnd();
}

function textOf(value: unknown): string {
  if (typeof value === "number" && !Number.isInteger(value)) return value.toFixed(3);
  // Names of files and arguments are others': nothing in them moves the cursor.
  return String(value ?? "").replace(
    /\p{Cc}/gu,
    (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

/** The names of the columns, where this row has its values. */
function header(row: object, columns: Columns): string {
  return aligned(row, columns, (name) => name.toUpperCase());
}
