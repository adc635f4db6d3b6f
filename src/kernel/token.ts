// BPF tokens: rights that a privileged process delegates to a user namespace by the way it mounts a BPF file system for it
// (libbpf.md 3.2 step 2). Linux 6.9.

import { ArgumentError, SystemCallError } from "../errors.js";
import { log } from "../log.js";
import { type FileDescriptor, isInUserNamespace, openDirectory, tokenCreate } from "../syscall/index.js";
import { BPF_FS_ROOT } from "./pins.js";

/** The environment's word for the options `tokenPath`, which programs built on libbpf know too. */
const TOKEN_PATH_VARIABLE = "LIBBPF_BPF_TOKEN_PATH";

/** What {@link openToken} is given: the option `tokenPath`, else the environment's word. @throws ArgumentError for no path */
export function tokenPathOf(option: unknown): string | undefined {
  const path = option ?? process.env[TOKEN_PATH_VARIABLE];
  if (path === undefined || (typeof path === "string" && !path.includes("\0"))) return path;
  throw new ArgumentError(`the option tokenPath must be a path, or "" for no token, not ${JSON.stringify(path)}`);
}

/**
 * The token that loading works with.
 *
 * @param path root of the BPF file system that delegates; "" for no token; undefined for the one at /sys/fs/bpf, if it
 *   delegates anything: asked for only in a user namespace, since there are no tokens in the initial one
 * @returns the caller's to close; undefined when there is none
 * @throws SystemCallError when a path is given and gives no token
 *
 * libbpf: `bpf_object_prepare_token` (internal).
 */
export function openToken(path: string | undefined): FileDescriptor | undefined {
  if (path === "") return undefined;
  if (path !== undefined) return tokenOf(path);
  if (isInUserNamespace() === false) return undefined;
  try {
    return tokenOf(BPF_FS_ROOT);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    log.debug(() => `no BPF token: ${error.message}`);
    return undefined;
  }
}

function tokenOf(path: string): FileDescriptor {
  using directory = openDirectory(path);
  return tokenCreate(directory);
}
