// The kernel's tracing files. Where nobody mounted tracefs (containers, this project's own test machine), it is mounted
// for this process alone, without a place in the directory tree, and only for the moment.

import { appendFileSync, readdirSync, readFileSync, statSync } from "node:fs";
import { SystemCallError, UnsupportedError } from "../errors.js";
import {
  type FileDescriptor,
  fileFailure,
  listAt,
  mountDetached,
  privilegeHint,
  readFileAt,
  writeFileAt,
} from "../syscall/index.js";

/** Where tracefs is looked for, in this order. */
const ROOTS = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/** Access to tracefs; paths are relative to its root. */
export interface TraceFs {
  /** The text of a file, or undefined when there is none. */
  read(path: string): string | undefined;
  /** Writes a line behind what an existing file has, with one write. @throws SystemCallError */
  append(path: string, line: string): void;
  /** Names in a directory, or undefined when there is none. */
  list(path: string): string[] | undefined;
}

/**
 * Gives `body` access to tracefs.
 *
 * @throws UnsupportedError when it is neither mounted nor mountable, with what the kernel said
 */
export function withTraceFs<T>(body: (files: TraceFs) => T): T {
  const root = ROOTS.find(isTraceFs);
  if (root !== undefined) return body(mountedTraceFs(root));
  using mount = mountOnce();
  return body(detachedTraceFs(mount));
}

/** True also for one that this process may not look into: then that is what an error has to tell. */
function isTraceFs(path: string): boolean {
  try {
    return statSync(`${path}/events`).isDirectory();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES";
  }
}

function mountOnce(): FileDescriptor {
  try {
    return mountDetached("tracefs");
  } catch (cause) {
    const errno = cause instanceof SystemCallError ? cause.errnoName : undefined;
    const hint =
      errno === "ENODEV"
        ? "the kernel was built without tracing (CONFIG_FTRACE)"
        : errno === "EPERM"
          ? `${privilegeHint(["CAP_SYS_ADMIN"])}; or let somebody mount it for this process to read`
          : "mount it: mount -t tracefs tracefs /sys/kernel/tracing";
    throw new UnsupportedError(`tracefs is not mounted on ${ROOTS.join(" or ")} and cannot be opened`, { cause, hint });
  }
}

function mountedTraceFs(root: string): TraceFs {
  return {
    read: (path) => absentAsUndefined(path, () => readFileSync(`${root}/${path}`, "utf8")),
    list: (path) => absentAsUndefined(path, () => readdirSync(`${root}/${path}`)),
    append: (path, line) => {
      try {
        appendFileSync(`${root}/${path}`, `${line}\n`);
      } catch (cause) {
        throw fileFailure("tracefs write", path, cause);
      }
    },
  };
}

function detachedTraceFs(root: FileDescriptor): TraceFs {
  return {
    read: (path) => absentAsUndefined(path, () => new TextDecoder().decode(readFileAt(root, path))),
    list: (path) => absentAsUndefined(path, () => listAt(root, path)),
    append: (path, line) => writeFileAt(root, path, new TextEncoder().encode(`${line}\n`), { append: true }),
  };
}

function absentAsUndefined<T>(path: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const code = error instanceof SystemCallError ? error.errnoName : (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (error instanceof SystemCallError) throw error;
    throw fileFailure("tracefs read", path, error);
  }
}
