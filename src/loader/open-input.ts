// What open() accepts: a path, a file URL or the bytes; and what the options mean.

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { Btf } from "../btf/index.js";
import { ArgumentError, BpfkitError, ObjectError, withLocation } from "../errors.js";
import {
  BPF_FS_ROOT,
  type KconfigValues,
  parseKconfig,
  pinPathOf,
  readBtfBytes,
  readBtfFile,
  tokenPathOf,
} from "../kernel/index.js";
import { nearNames } from "../near-names.js";
import { checkU32 } from "../object/index.js";
import { checkLogSize, FIRST_LOG_SIZE } from "../program/index.js";
import { type SectionHandler, SectionHandlers } from "./section-handlers.js";

/** Options of `BpfObject.open`. libbpf: `struct bpf_object_open_opts`. */
export interface OpenOptions {
  /** Object name, used in the names of data maps; by default the file name up to its first dot. */
  name?: string | undefined;
  /**
   * Types to apply CO-RE against instead of the running kernel's: a file with raw BTF or an ELF file with a section .BTF (a
   * kernel image, of which only that section is read, or a BPF object), the bytes of either, or a parsed `Btf`.
   * libbpf: `btf_custom_path`.
   */
  kernelBtf?: string | URL | Uint8Array | Btf | undefined;
  /**
   * Configuration of the kernel for `__kconfig` externs, as text in Kconfig's form: lines such as `CONFIG_HZ=250`. These
   * count more than the kernel's own configuration, of which only what is missing here is read (`/boot/config-RELEASE`,
   * then `/proc/config.gz`).
   */
  kconfig?: string | undefined;
  /** Verifier log level of all programs (0, 1, 2, +4 statistics). The default 0 fetches a log only after a refusal. */
  logLevel?: number | undefined;
  /**
   * Bytes of the first buffer for logs of the verifier, 128 to 2^30 - 1; by default 1 MiB. Logs that do not fit are asked
   * for again with a larger one. libbpf: `kernel_log_size`.
   */
  logSize?: number | undefined;
  /** Tolerates unknown attributes in map definitions. */
  relaxedMaps?: boolean | undefined;
  /**
   * What 64-bit integers are, in all maps, ring buffers, global variables and struct_ops members: `"bigint"` (default), or
   * `"number"`, exact up to 2^53 and rounded beyond. `map.int64` says it for one map.
   */
  int64?: "bigint" | "number" | undefined;
  /** Directory in a BPF file system for maps that are pinned by name; by default /sys/fs/bpf. libbpf: `pin_root_path`. */
  pinRoot?: string | undefined;
  /** What section names mean that bpfkit does not know. libbpf: `libbpf_register_prog_handler`. */
  sectionHandlers?: readonly SectionHandler[] | undefined;
  /**
   * Root of a BPF file system from whose mount options a BPF token is made at load, for use in a user namespace: with it the
   * kernel lets this process do what was delegated. "" for no token. By default the environment's
   * `LIBBPF_BPF_TOKEN_PATH`, else /sys/fs/bpf if it delegates anything; with a path, loading fails when there is no token.
   * In the initial user namespace, where there are no tokens, the default costs nothing. Linux 6.9; libbpf:
   * `bpf_token_path`.
   */
  tokenPath?: string | undefined;
}

const known: Readonly<Record<keyof OpenOptions, true>> = {
  name: true,
  kernelBtf: true,
  kconfig: true,
  logLevel: true,
  relaxedMaps: true,
  pinRoot: true,
  sectionHandlers: true,
  logSize: true,
  int64: true,
  tokenPath: true,
};

/** Checked options, and the object's bytes. */
export interface OpenInput {
  readonly bytes: Uint8Array;
  /** Path or name, for messages. */
  readonly file: string;
  readonly name: string;
  readonly kernelBtf: Btf | undefined;
  readonly kconfig: KconfigValues | undefined;
  readonly logLevel: number;
  readonly logSize: number;
  readonly relaxedMaps: boolean;
  readonly int64: "bigint" | "number";
  /** Absolute. */
  readonly pinRoot: string;
  readonly handlers: SectionHandlers;
  /** "" for none, undefined for the usual place. */
  readonly tokenPath: string | undefined;
}

/** Reads and checks. @throws ArgumentError for wrong options, ObjectError when the file cannot be read */
export function readInput(source: string | URL | Uint8Array, options: OpenOptions): OpenInput {
  for (const option of Object.keys(options)) {
    if (!Object.hasOwn(known, option)) {
      throw new ArgumentError(`open() has no option ${option}${nearNames(option, Object.keys(known))}`);
    }
  }
  const path = source instanceof Uint8Array ? undefined : pathOf(source);
  const bytes = source instanceof Uint8Array ? source : readFile(path ?? "");
  const name = options.name ?? (path === undefined ? "object" : basename(path).split(".", 1)[0]!);
  if (typeof name !== "string") throw new ArgumentError("the option name must be a string");
  return {
    bytes,
    file: path ?? name,
    name,
    kernelBtf: options.kernelBtf === undefined ? undefined : readKernelBtf(options.kernelBtf),
    kconfig: options.kconfig === undefined ? undefined : readKconfigOption(options.kconfig),
    logLevel: checkU32(options.logLevel ?? 0, "logLevel"),
    logSize: checkLogSize(options.logSize ?? FIRST_LOG_SIZE),
    relaxedMaps: options.relaxedMaps ?? false,
    int64: options.int64 ?? "bigint",
    pinRoot: pinPathOf(options.pinRoot ?? BPF_FS_ROOT),
    handlers: new SectionHandlers(options.sectionHandlers),
    tokenPath: tokenPathOf(options.tokenPath),
  };
}

function readKconfigOption(text: unknown): KconfigValues {
  if (typeof text !== "string") throw new ArgumentError("the option kconfig must be text, lines of CONFIG_NAME=value");
  return parseKconfig(text);
}

function readKernelBtf(source: string | URL | Uint8Array | Btf): Btf {
  if (source instanceof Btf) return source;
  if (source instanceof Uint8Array) return withLocation({ file: "kernelBtf" }, () => readBtfBytes(source));
  const path = pathOf(source);
  return readable(path, () => readBtfFile(path));
}

function pathOf(source: unknown): string {
  if (typeof source === "string") return source;
  if (source instanceof URL && source.protocol === "file:") return fileURLToPath(source);
  throw new ArgumentError(
    `expected a path, a file URL or a Uint8Array, not ${source instanceof URL ? source.href : typeof source}`,
  );
}

function readFile(path: string): Uint8Array {
  return readable(path, () => readFileSync(path));
}

function readable<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (BpfkitError.isBpfkitError(cause)) throw cause;
    const reason = cause instanceof Error ? cause.message.replace(/, open .*$/, "") : String(cause);
    throw new ObjectError("OBJECT_INVALID", `the file cannot be read: ${reason}`, { file: path, cause });
  }
}
