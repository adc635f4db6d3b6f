// What a run reports, whether it was a guest or a native run on some Node.js: per test file its tests, per test its
// state. A guest sends the same as lines on stdout, one JSON record a line behind a mark, so that output of the tests
// themselves can stand between them.

/** `unsupported`: skipped by `needs`, because this kernel lacks a feature. `skipped`: skipped for any other reason. */
export type TestState = "passed" | "failed" | "unsupported" | "skipped";

/** One test of a file. */
export interface TestRecord {
  /** Suite names and test name, joined by " > ". */
  readonly name: string;
  readonly state: TestState;
  /** Features that are missing; with `unsupported` only. */
  readonly missing?: readonly string[];
  /** Why the first try failed; with `passed` only: the second try passed. */
  readonly retried?: string;
  /** Message and the first frames of the stack; with `failed` only. */
  readonly error?: string;
}

/** One test file of one run. */
export interface FileRecord {
  /** Path below the checkout. */
  readonly file: string;
  readonly seconds: number;
  readonly tests: readonly TestRecord[];
  /** Why the file as a whole failed: it could not be imported, a hook threw, the process or the guest died in it. */
  readonly error?: string;
}

/** What the process in the guest says, in this order; a start without its end names what died or hung. */
export type GuestRecord =
  | { readonly type: "hello"; readonly release: string; readonly node: string; readonly files: number }
  | { readonly type: "file"; readonly file: string }
  | { readonly type: "test"; readonly name: string }
  | ({ readonly type: "done" } & FileRecord)
  | { readonly type: "died"; readonly status: number }
  | { readonly type: "bye" };

const MARK = "@matrix ";

/** The line that carries a record. */
export function formatRecord(record: GuestRecord): string {
  return `${MARK}${JSON.stringify(record)}\n`;
}

/** The record of a line; undefined for a line of other output. */
export function parseRecord(line: string): GuestRecord | undefined {
  // A test may have written half a line before.
  const at = line.indexOf(MARK);
  if (at < 0) return undefined;
  try {
    return JSON.parse(line.slice(at + MARK.length)) as GuestRecord;
  } catch {
    return undefined;
  }
}

/** Whether anything in the file failed. */
export function fileFailed(file: FileRecord): boolean {
  return file.error !== undefined || file.tests.some((test) => test.state === "failed");
}
