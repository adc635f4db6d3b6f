// What programs are attached to, as users name it: files (control groups, namespaces, devices) and network interfaces.

import { openSync } from "node:fs";
import { ArgumentError, NotFoundError, SystemCallError } from "../errors.js";
import { Errno, type FdLike, FileDescriptor, interfaceIndex } from "../syscall/index.js";

/** Opens a file for the time of `body`, by default for reading, or borrows a descriptor that the user has. */
export function withFile<T>(target: string | FdLike, what: string, body: (fd: FdLike) => T, mode: "r" | "r+" = "r"): T {
  if (typeof target !== "string") return body(target);
  using file = openTarget(target, what, mode);
  return body(file);
}

/** @throws NotFoundError when there is no such file */
function openTarget(path: string, what: string, mode: string): FileDescriptor {
  try {
    return new FileDescriptor(openSync(path, mode), `${what} ${path}`);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/, open .*$/, "") : String(cause);
    throw new NotFoundError(`${what} ${path} cannot be opened: ${reason}`, { file: path, cause });
  }
}

/** How a target is called in messages. */
export function nameOf(target: string | FdLike): string {
  if (typeof target === "string") return target;
  return target instanceof FileDescriptor ? target.what : `descriptor ${target}`;
}

/**
 * The index of a network interface by its name, or the index itself.
 *
 * @throws NotFoundError when the thread's network namespace has no interface of that name, ArgumentError
 */
export function indexOfInterface(network: string | number): number {
  if (typeof network === "number") {
    if (Number.isInteger(network) && network > 0 && network <= 0x7fff_ffff) return network;
    throw new ArgumentError(`not the index of a network interface: ${network}`);
  }
  try {
    return interfaceIndex(network);
  } catch (cause) {
    if (!(cause instanceof SystemCallError) || cause.errno !== Errno.ENODEV) throw cause;
    throw new NotFoundError(`no network interface ${network}`, {
      cause,
      hint: "interfaces belong to a network namespace; `ip link` lists those of this one",
    });
  }
}
