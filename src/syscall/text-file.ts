// Small text files of /proc and /sys, whose absence is an answer and no error. Imports nothing of the room, so that the
// explanation of errors can use it.

import { readFileSync } from "node:fs";

/** The text of a file, byte by byte; undefined when it cannot be read. */
export function readTextFile(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}
