// How the running kernel was configured: lines such as `CONFIG_HZ=250`, from the first place that has them
// (libbpf.md 3.5). Values stay text; what they mean depends on who asks.

import { readFileSync } from "node:fs";
import { release } from "node:os";
import { ArgumentError } from "../errors.js";
import { log } from "../log.js";

/** Values by name, `CONFIG_` included, as they stand behind the equals sign. */
export type KconfigValues = ReadonlyMap<string, string>;

/** Where configurations are looked for, in this order. */
export const kconfigPaths = (): readonly string[] => [`/boot/config-${release()}`, "/proc/config.gz"];

/** The gzip format's first two bytes. */
const GZIP_MAGIC = [0x1f, 0x8b] as const;
/** Some hundred KiB in practice. */
const MAX_TEXT = 1 << 26;

/**
 * The wanted values of the running kernel; options that are not set are missing. Undefined when no configuration can be
 * read (`CONFIG_IKCONFIG_PROC` is off, and /boot is empty or not there, as in containers).
 *
 * libbpf: `bpf_object__read_kconfig_file`.
 */
export function readKconfig(wanted: ReadonlySet<string>): KconfigValues | undefined {
  for (const path of kconfigPaths()) {
    let text: string;
    try {
      text = decodeKconfig(readFileSync(path));
    } catch (error) {
      log.debug(() => `${path}: ${error instanceof Error ? error.message : String(error)}`);
      continue;
    }
    log.debug(() => `kernel configuration from ${path}`);
    return findKconfig(text, wanted);
  }
  return undefined;
}

/** The text of a configuration, which may be compressed by gzip. @throws ArgumentError for a damaged archive */
export function decodeKconfig(bytes: Uint8Array): string {
  const isCompressed = GZIP_MAGIC.every((byte, i) => bytes[i] === byte);
  return new TextDecoder().decode(isCompressed ? unzip(bytes) : bytes);
}

function unzip(bytes: Uint8Array): Uint8Array {
  // Loaded when asked for: at import it costs a millisecond.
  const { gunzipSync } = process.getBuiltinModule("node:zlib");
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_TEXT });
  } catch (cause) {
    const reason = `the compressed configuration is damaged: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new ArgumentError(reason, { cause });
  }
}

/** The wanted values in the text of a configuration; the first of several counts. */
export function findKconfig(text: string, wanted: ReadonlySet<string>): KconfigValues {
  const values = new Map<string, string>();
  for (let line = 0, end = 0; line < text.length && values.size < wanted.size; line = end + 1) {
    end = text.indexOf("\n", line);
    if (end < 0) end = text.length;
    // Most lines are comments: `# CONFIG_X is not set`.
    if (!text.startsWith("CONFIG_", line)) continue;
    const equals = text.indexOf("=", line);
    if (equals < 0 || equals > end) continue;
    const name = text.slice(line, equals);
    if (wanted.has(name) && !values.has(name)) values.set(name, text.slice(equals + 1, end));
  }
  return values;
}

/**
 * All values in a text that a user wrote: lines `CONFIG_X=value`, empty lines and comments (`#`). The first of several
 * lines for one name counts.
 *
 * libbpf: `bpf_object__read_kconfig_mem`.
 * @throws ArgumentError for any other line
 */
export function parseKconfig(text: string): KconfigValues {
  const values = new Map<string, string>();
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const match = /^(CONFIG_[^=\s]+)=(.+)$/.exec(line);
    if (match === null) {
      throw new ArgumentError(`line ${index + 1} of the option kconfig is not CONFIG_NAME=value: ${line}`);
    }
    const [, name, value] = match;
    if (!values.has(name!)) values.set(name!, value!);
  }
  return values;
}
