// Files that imports write: types beside an object, entries of the cache.

import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { threadId } from "node:worker_threads";

/** Writes a file as a whole or not at all; several processes may do so at once. @throws what the system says */
export function replaceFile(path: string, text: string): void {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${threadId}.tmp`);
  try {
    writeFileSync(temporary, text);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** The same unless the file has this text already: a new date would start watchers and compilers for nothing. */
export function replaceFileIfOther(path: string, text: string): void {
  try {
    if (readFileSync(path, "utf8") === text) return;
  } catch {
    // Not there yet; whatever else is wrong with it, writing will tell.
  }
  replaceFile(path, text);
}
