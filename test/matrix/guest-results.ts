// From the records a guest sent to what its run came to: also when the process or the guest died on the way.

import { type FileRecord, fileFailed, type GuestRecord } from "./records.js";
import { readableError } from "./stack.js";

/** One run of the tests: one column of the table. */
export interface RunRecord {
  /** `5.10`, `latest`, or `node 22` for a native run. */
  readonly name: string;
  readonly kind: "guest" | "native";
  /** Release of the kernel; empty when the guest never told. */
  readonly release: string;
  /** Version of Node.js, e.g. `v20.20.2`. */
  readonly node: string;
  /** `hung`: the time limit ended the guest. `died`: the kernel panicked, or the guest never came up. */
  readonly status: "passed" | "failed" | "hung" | "died";
  /** How the first try ended, where this is the second. */
  readonly firstTry?: string;
  readonly seconds: number;
  readonly files: readonly FileRecord[];
  /** The end of the console and of stderr, of runs that did not pass. */
  readonly console?: readonly string[];
}

/** Collects the records of one guest. */
export class GuestResults {
  readonly #expected: readonly string[];
  readonly #files: FileRecord[] = [];
  #release = "";
  #node = "";
  #file: string | undefined;
  #test: string | undefined;
  #finished = false;

  /** @param expected The test files the guest was given, in order. */
  constructor(expected: readonly string[]) {
    this.#expected = expected;
  }

  /** Takes one record; returns the file that it ends, if it does. */
  add(record: GuestRecord): FileRecord | undefined {
    switch (record.type) {
      case "hello":
        this.#release = record.release;
        this.#node = record.node;
        return undefined;
      case "file":
        this.#file = record.file;
        this.#test = undefined;
        return undefined;
      case "test":
        this.#test = record.name;
        return undefined;
      case "done": {
        const { type: _, ...file } = record;
        return this.#end(readable(file));
      }
      case "died":
        return this.#lose(`the process died (signal ${record.status - 128})`);
      case "bye":
        this.#finished = true;
        return undefined;
    }
  }

  /** The run as a whole, once the guest is gone. */
  finish(name: string, fate: "ended" | "hung" | "died", seconds: number, console: readonly string[]): RunRecord {
    if (fate === "hung") this.#lose("the guest hung");
    if (fate === "died") this.#lose("the guest died");
    const reached = new Set(this.#files.map((file) => file.file));
    const unreached = this.#expected.filter((file) => !reached.has(file));
    for (const file of unreached) this.#files.push({ file, seconds: 0, tests: [], error: "never reached" });
    const good = this.#finished && !this.#files.some(fileFailed);
    const status = fate !== "ended" ? fate : good ? "passed" : "failed";
    const told = { release: this.#release, node: this.#node };
    const run = { name, kind: "guest", ...told, status, seconds, files: this.#files } as const;
    return status === "passed" ? run : { ...run, console };
  }

  #end(file: FileRecord): FileRecord {
    this.#files.push(file);
    this.#file = undefined;
    this.#test = undefined;
    return file;
  }

  #lose(what: string): FileRecord | undefined {
    if (this.#file === undefined) return undefined;
    const where = this.#test === undefined ? "while the file was imported" : `in "${this.#test}"`;
    return this.#end({ file: this.#file, seconds: 0, tests: [], error: `${what} ${where}` });
  }
}

function readable(file: FileRecord): FileRecord {
  const tests = file.tests.map((test) =>
    test.error === undefined ? test : { ...test, error: readableError(test.error) },
  );
  return { ...file, tests, ...(file.error === undefined ? {} : { error: readableError(file.error) }) };
}
