// File systems. For this process alone: mounted without a place in the directory tree, it is visible to nobody else and
// gone with its descriptor (Linux 5.2). This is how tracefs is read where nobody mounted it. Or for everybody, at a path,
// where pins are to be seen.

import { constants, openSync, readdirSync } from "node:fs";
import { ArgumentError } from "../errors.js";
import { check } from "./failure.js";
import { type FdLike, FileDescriptor, fdNumber } from "./fd.js";
import { ffi } from "./ffi.js";
import { fileFailure, readFdToEnd, writeFd } from "./files.js";
import { addressOf, alive, cString } from "./memory.js";

/** UAPI linux/mount.h, asm-generic/fcntl.h. */
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG_CMD_CREATE = 6;
/** UAPI linux/mount.h: no set-user-id, no devices, no programs to execute. */
const MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8;
const O_WRONLY = 1;
const O_APPEND = 0o2000;
const O_CLOEXEC = 0o2000000;

/**
 * Mounts a file system of a type such as `tracefs` nowhere; the descriptor is its root directory.
 *
 * @throws SystemCallError: ENODEV when the kernel has no such file system, EPERM without CAP_SYS_ADMIN
 */
export function mountDetached(type: string): FileDescriptor {
  const { syscall, numbers } = ffi();
  const name = cString(type, "file system type");
  const result = alive([name], () => syscall(numbers.fsopen, addressOf(name), FSOPEN_CLOEXEC));
  using context = new FileDescriptor(check(result, "fsopen", { about: type }), `${type} context`);
  check(syscall(numbers.fsconfig, context.number, FSCONFIG_CMD_CREATE, 0, 0, 0), "fsconfig", { about: type });
  const root = check(syscall(numbers.fsmount, context.number, FSMOUNT_CLOEXEC, 0), "fsmount", { about: type });
  return new FileDescriptor(root, `detached ${type}`);
}

/**
 * Mounts a file system at a directory, for everybody who sees that directory, until it is unmounted.
 *
 * @param options as for mount(8) after `-o`, such as `mode=0700`
 * @throws SystemCallError: EPERM without CAP_SYS_ADMIN
 */
export function mountAt(type: string, path: string, options = ""): void {
  const { syscall, numbers } = ffi();
  const words = [cString(type, "file system type"), cString(path, "path"), cString(options, "mount options")] as const;
  const [name, target, data] = words;
  const result = alive([...words], () =>
    syscall(
      numbers.mount,
      addressOf(name),
      addressOf(target),
      addressOf(name),
      MS_NOSUID_NODEV_NOEXEC,
      addressOf(data),
    ),
  );
  check(result, "mount", { about: `${type} at ${path}` });
}

/** Opens a directory. @throws SystemCallError */
export function openDirectory(path: string): FileDescriptor {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (cause) {
    throw fileFailure("open", path, cause);
  }
  return new FileDescriptor(fd, path);
}

/** Opens a file below a directory. `path` may not leave it by its text: no leading slash, no `..`. */
function openAt(directory: FdLike, path: string, flags: number): FileDescriptor {
  const { syscall, numbers } = ffi();
  const name = cString(inside(path), "path");
  const result = alive([name], () =>
    syscall(numbers.openat, fdNumber(directory), addressOf(name), flags | O_CLOEXEC, 0),
  );
  return new FileDescriptor(check(result, "openat", { about: path }), path);
}

/**
 * Reads a whole file below a directory.
 *
 * @throws SystemCallError, ArgumentError for a path that leads out of the directory
 */
export function readFileAt(directory: FdLike, path: string): Uint8Array {
  using file = openAt(directory, path, 0);
  return readFdToEnd(file.number);
}

/**
 * Writes to an existing file below a directory with one write, at its end with `append` (how tracefs takes probe
 * definitions).
 *
 * @throws SystemCallError, ArgumentError for a path that leads out of the directory
 */
export function writeFileAt(
  directory: FdLike,
  path: string,
  bytes: Uint8Array,
  { append = false }: { append?: boolean | undefined } = {},
): void {
  using file = openAt(directory, path, append ? O_WRONLY | O_APPEND : O_WRONLY);
  writeFd(file.number, bytes);
}

/**
 * Names in a directory below a directory, in no particular order.
 *
 * @throws SystemCallError, ArgumentError for a path that leads out of the directory
 */
export function listAt(directory: FdLike, path = "."): string[] {
  const at = `/proc/self/fd/${fdNumber(directory)}/${inside(path)}`;
  try {
    return readdirSync(at);
  } catch (cause) {
    throw fileFailure("readdir", path, cause);
  }
}

function inside(path: string): string {
  if (path === "" || path.startsWith("/") || path.split("/").includes("..")) {
    throw new ArgumentError(`${JSON.stringify(path)} is not a path inside the directory`);
  }
  return path;
}
