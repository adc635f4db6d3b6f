// Files that commands read and write.

import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { BpfkitError } from "../errors.js";

/** @throws BpfkitError with the reason as the system gives it */
export function readInputFile(path: string): Uint8Array {
  return explained(path, "cannot be read", () => new Uint8Array(readFileSync(path)));
}

/**
 * Writes a file as a whole or not at all: readers see the old text or the new one.
 *
 * @throws BpfkitError with the reason as the system gives it
 */
export function writeOutputFile(path: string, text: string): void {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  explained(path, "cannot be written", () => {
    try {
      writeFileSync(temporary, text, { flag: "wx" });
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  });
}

/** Refuses to write over the file that was read. @throws BpfkitError */
export function refuseSameFile(input: string, output: string): void {
  const [from, to] = [input, output].map((path) => statSync(path, { throwIfNoEntry: false, bigint: true }));
  if (from === undefined || to === undefined || from.dev !== to.dev || from.ino !== to.ino) return;
  throw new BpfkitError("ARGUMENT", "the output is the file that is read", {
    file: output,
    hint: "write to another file",
  });
}

function explained<T>(path: string, what: string, body: () => T): T {
  try {
    return body();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/, \w+( '.*)?$/, "") : String(cause);
    throw new BpfkitError("ARGUMENT", `the file ${what}: ${reason}`, { file: path, cause });
  }
}
