// The object's BTF into the kernel, where it describes maps and programs (libbpf.md 3.8).

import type { Btf } from "../btf/index.js";
import { kernelHas, raiseMemlock } from "../kernel/index.js";
import { log } from "../log.js";
import { largerLog } from "../program/index.js";
import {
  type BtfLoadOptions,
  type BtfLoadResult,
  btfLoad,
  Errno,
  errnoName,
  type FileDescriptor,
  textOf,
} from "../syscall/index.js";
import { mayNeedSanitizing, sanitizeBtf } from "./sanitize-btf.js";

/** Bytes of the first log to ask for when the kernel refused. */
const LOG_SIZE = 64 * 1024;

/**
 * Loads type information. A kernel that refuses it gets it once more without the kinds it is too old for; undefined when
 * it refuses that too: then maps and programs go without, which costs nothing but readable dumps and line numbers.
 */
export function loadObjectBtf(btf: Btf, file: string, token?: FileDescriptor | undefined): FileDescriptor | undefined {
  const sanitized = () => sanitizeBtf(btf, (feature) => kernelHas(feature, token) === false);
  let bytes = (mayNeedSanitizing(token) ? sanitized() : undefined) ?? btf.bytes;
  let result = btfLoad({ bytes, token });
  if (result.fd === undefined && result.errno === Errno.EPERM && raiseMemlock()) result = btfLoad({ bytes, token });
  if (result.fd !== undefined) return result.fd;
  // Without privileges the first map says so, in better words.
  if (result.errno === Errno.EPERM) return undefined;
  if (kernelHas("btf", token) === false) {
    log.debug(() => `${file}: the kernel knows no type information; going on without`);
    return undefined;
  }
  bytes = sanitized() ?? btf.bytes;
  const second = loadWithLog({ bytes, token });
  if (second.fd !== undefined) return second.fd;
  const text = second.log === "" ? "" : `\n${second.log}`;
  log.info(
    `${file}: the kernel refused the object's type information (${errnoName(second.errno)}), which is optional; going on ` +
      `without${text}`,
  );
  return undefined;
}

/** Loads type information again, to learn why it is refused: the kernel describes every type on the way. */
function loadWithLog(options: BtfLoadOptions): BtfLoadResult & { readonly log: string } {
  for (let buffer: Uint8Array = new Uint8Array(LOG_SIZE); ; ) {
    const result = btfLoad({ ...options, log: { level: 1, buffer } });
    const larger = result.errno === Errno.ENOSPC ? largerLog(buffer.length, result.logTrueSize) : undefined;
    if (larger === undefined) return { ...result, log: textOf(buffer).trimEnd() };
    buffer = larger;
  }
}
