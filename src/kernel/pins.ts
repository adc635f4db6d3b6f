// Pins: names of BPF objects in a BPF file system, which keep them alive without any process. Where they may lie, and
// what has to be there for it (libbpf.md 3.3, "Pinning by name").

import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ArgumentError, ObjectError, UnsupportedError } from "../errors.js";
import { log } from "../log.js";
import { type FdLike, isBpfFs, makeDirectory, mountAt, objectPin, removeFile } from "../syscall/index.js";

/** Where every distribution mounts the BPF file system. */
export const BPF_FS_ROOT = "/sys/fs/bpf";

/** A path as the user gave it, made absolute. @throws ArgumentError */
export function pinPathOf(path: string): string {
  if (typeof path === "string" && path !== "" && !path.includes("\0")) return resolve(path);
  throw new ArgumentError(`a path to pin at is a string that is not empty, not ${JSON.stringify(path)}`);
}

/**
 * The path of an object called `name` in directory `directory`. Names come from object files: one that would lead to
 * another directory is refused. The kernel takes no dots in names of pins.
 *
 * @throws ObjectError
 */
export function pinPathIn(directory: string, name: string): string {
  if (/^[^/.\0]+$/.test(name)) return `${pinPathOf(directory)}/${name}`;
  throw new ObjectError("OBJECT_INVALID", `${JSON.stringify(name)} cannot be the name of a pin`, {
    hint: "names of pins have neither slashes nor dots; pin it under a path of your own",
  });
}

/**
 * Pins an object at a path that must not exist. The directory is made when it is missing (for its owner only; one level),
 * and so is the BPF file system at /sys/fs/bpf where nothing is mounted. Linux 4.4; libbpf: `bpf_obj_pin` with the
 * preparation of `bpf_map__pin`.
 *
 * @throws SystemCallError EEXIST and so on, UnsupportedError for a path outside any BPF file system
 */
export function pinObject(object: FdLike, path: string): void {
  const directory = dirname(path);
  if (directory === BPF_FS_ROOT || directory.startsWith(`${BPF_FS_ROOT}/`)) ensureBpfFs(BPF_FS_ROOT);
  makeDirectory(directory, 0o700);
  requireBpfFs(directory);
  objectPin({ object, path });
}

/**
 * Removes a pin; the object lives on as long as something else uses it. libbpf: `bpf_map__unpin`, `bpf_program__unpin`.
 *
 * @throws SystemCallError ENOENT when there is none, UnsupportedError for a path outside any BPF file system
 */
export function removePin(path: string): void {
  requireBpfFs(dirname(path));
  removeFile(path);
}

/** Mounts the BPF file system at `directory`, if that exists and nothing is mounted there. @throws SystemCallError */
export function ensureBpfFs(directory: string): void {
  if (isBpfFs(directory) || !isPlainDirectory(directory)) return;
  mountAt("bpf", directory, "mode=0700");
  log.info(`the BPF file system was not mounted; it is now, at ${directory}`);
}

function isPlainDirectory(path: string): boolean {
  const [own, parent] = [path, dirname(path)].map((each) => statSync(each, { throwIfNoEntry: false }));
  return own?.isDirectory() === true && own.dev === parent?.dev;
}

function requireBpfFs(directory: string): void {
  if (isBpfFs(directory)) return;
  throw new UnsupportedError(`${directory} is not in a BPF file system, which is the only place for pins`, {
    hint: `pin below ${BPF_FS_ROOT}, or mount one: mount -t bpf bpf ${directory}`,
  });
}
