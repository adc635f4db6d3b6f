// Which security modules the kernel was started with: programs on security hooks run only where "bpf" is one of them.

import { SystemCallError } from "../errors.js";
import { mountDetached, readFileAt, readTextFile } from "../syscall/index.js";

const FILE = "/sys/kernel/security/lsm";

/**
 * Names of the active security modules, in their order; undefined where this cannot be told. Where securityfs is not
 * mounted, it is for this process alone and only for the moment. Linux 4.11.
 */
export function securityModules(): readonly string[] | undefined {
  const text = readTextFile(FILE) ?? readDetached();
  return text
    ?.trim()
    .split(",")
    .filter((name) => name !== "");
}

function readDetached(): string | undefined {
  try {
    using root = mountDetached("securityfs");
    return new TextDecoder().decode(readFileAt(root, "lsm"));
  } catch (error) {
    if (error instanceof SystemCallError) return undefined;
    throw error;
  }
}
