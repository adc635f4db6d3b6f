// The object's BTF into the kernel, where it describes maps and programs (libbpf.md 3.8).

import type { Btf } from "../btf/index.js";
import { kernelHas, raiseMemlock } from "../kernel/index.js";
import { log } from "../log.js";
import { btfLoad, Errno, errnoName, type FileDescriptor } from "../syscall/index.js";
import { mayNeedSanitizing, sanitizeBtf } from "./sanitize-btf.js";

/** Bytes of log to ask for when the kernel refused; enough for the line that matters. */
const LOG_SIZE = 64 * 1024;

/**
 * Loads type information. A kernel that refuses it gets it once more without the kinds it is too old for; undefined when
 * it refuses that too: then maps and programs go without, which costs nothing but readable dumps and line numbers.
 */
export function loadObjectBtf(btf: Btf, file: string): FileDescriptor | undefined {
  let bytes = (mayNeedSanitizing() ? sanitizeBtf(btf) : undefined) ?? btf.bytes;
  let result = btfLoad({ bytes });
  if (result.fd === undefined && result.errno === Errno.EPERM && raiseMemlock()) result = btfLoad({ bytes });
  if (result.fd !== undefined) return result.fd;
  // Without privileges the first map says so, in better words.
  if (result.errno === Errno.EPERM) return undefined;
  if (kernelHas("btf") === false) {
    log.debug(() => `${file}: the kernel knows no type information; going on without`);
    return undefined;
  }
  bytes = sanitizeBtf(btf) ?? btf.bytes;
  const buffer = new Uint8Array(LOG_SIZE);
  const second = btfLoad({ bytes, log: { level: 1, buffer } });
  if (second.fd !== undefined) return second.fd;
  const text = new TextDecoder().decode(buffer.subarray(0, Math.max(0, buffer.indexOf(0)))).trimEnd();
  log.info(
    `${file}: the kernel refused the object's type information (${errnoName(second.errno)}), which is optional; going on ` +
      `without${text === "" ? "" : `\n${text}`}`,
  );
  return undefined;
}
