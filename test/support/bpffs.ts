// A BPF file system of the test's own, so that the machine's /sys/fs/bpf stays as it was found.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Gives `body` an empty directory, and removes it and what may be mounted there afterwards. */
export async function withDirectory<T>(body: (directory: string) => T | Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "bpfkit-pins-"));
  try {
    return await body(directory);
  } finally {
    try {
      execFileSync("umount", [directory], { stdio: "ignore" });
    } catch {
      // Nothing was mounted.
    }
    rmdirSync(directory);
  }
}

/** Gives `body` the root of a new BPF file system; pins that are left go with it. */
export function withBpfFs<T>(body: (root: string) => T | Promise<T>): Promise<T> {
  return withDirectory((directory) => {
    execFileSync("mount", ["-t", "bpf", "bpf", directory]);
    return body(directory);
  });
}

/** Names in a directory of a BPF file system, without what the kernel itself puts there (its iterators). */
export function pinsIn(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => !name.endsWith(".debug"))
    .sort();
}
