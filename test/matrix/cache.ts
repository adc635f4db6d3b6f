// The cache outside the checkout: where it is, and entries that are whole or absent. An entry is built in a folder of
// its own, stamped with the sizes of all its files, and renamed into place last; one that no longer fits its stamp is
// built again.

import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Raised when the layout of entries changes: older ones are then built again. */
const FORMAT = 2;

interface Stamp {
  readonly format: number;
  /** What the entry holds, e.g. a kernel's release. */
  readonly version: string;
  /** Bytes of every regular file, by path below the entry. */
  readonly sizes: Readonly<Record<string, number>>;
}

/** Progress for the user, on stderr: stdout is for results. */
export function say(message: string): void {
  process.stderr.write(`matrix: ${message}\n`);
}

/**
 * The cache folder, made when missing: `BPFKIT_MATRIX_CACHE`, else `bpfkit-kernel-matrix` in the user's cache.
 *
 * @throws Error when guests could not see it: virtme-init hides these folders behind file systems of its own.
 */
export function cacheRoot(): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  const root = process.env.BPFKIT_MATRIX_CACHE || join(base, "bpfkit-kernel-matrix");
  if (!root.startsWith("/") || /^\/(dev|run|var\/(cache|log|tmp))\//.test(`${root}/`)) {
    throw new Error(`guests cannot see ${root}: set BPFKIT_MATRIX_CACHE to an absolute path elsewhere`);
  }
  mkdirSync(root, { recursive: true });
  return root;
}

/** An entry that is complete: where it is and what it holds. */
export interface CacheEntry {
  readonly path: string;
  readonly version: string;
}

/** The entry of this name if it is whole, else undefined. */
export function cached(name: string): CacheEntry | undefined {
  const path = join(cacheRoot(), name);
  const stamp = readStamp(`${path}.ok`);
  if (stamp === undefined || !existsSync(path)) return undefined;
  const whole = Object.entries(stamp.sizes).every(([file, size]) => sizeOf(join(path, file)) === size);
  return whole ? { path, version: stamp.version } : undefined;
}

/**
 * The entry of this name, built if it is absent or damaged.
 *
 * @param build Fills the folder it is given and returns the version. The folder's final place is the second argument:
 *   files that hold their own path must use that one.
 */
export async function ensureCached(
  name: string,
  build: (folder: string, finalPath: string) => Promise<string>,
): Promise<CacheEntry> {
  const there = cached(name);
  if (there !== undefined) return there;
  const path = join(cacheRoot(), name);
  if (existsSync(`${path}.ok`)) say(`${name} in the cache is damaged: building it again`);
  const part = `${path}.part-${process.pid}`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  try {
    const version = await build(part, path);
    rmSync(`${path}.ok`, { force: true });
    rmSync(path, { recursive: true, force: true });
    const stamp: Stamp = { format: FORMAT, version, sizes: sizesBelow(part) };
    renameSync(part, path);
    writeFileSync(`${path}.ok`, JSON.stringify(stamp));
    return { path, version };
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

/** Forgets an entry, so that the next use builds it. */
export function dropCached(name: string): void {
  rmSync(join(cacheRoot(), `${name}.ok`), { force: true });
  rmSync(join(cacheRoot(), name), { recursive: true, force: true });
}

function readStamp(path: string): Stamp | undefined {
  try {
    const stamp = JSON.parse(readFileSync(path, "utf8")) as Stamp;
    return stamp.format === FORMAT ? stamp : undefined;
  } catch {
    return undefined;
  }
}

function sizeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.size;
}

function sizesBelow(folder: string, prefix = "", sizes: Record<string, number> = {}): Record<string, number> {
  for (const entry of readdirSync(join(folder, prefix), { withFileTypes: true })) {
    const path = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
    if (entry.isDirectory()) sizesBelow(folder, path, sizes);
    else if (entry.isFile()) sizes[path] = lstatSync(join(folder, path)).size;
  }
  return sizes;
}
