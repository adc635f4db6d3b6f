// BPF C to an object by clang, again only when the source or something that it includes has changed. Objects are kept in
// the user's cache folder, never beside the source.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { withLocation } from "../errors.js";
import { clangFlags, findClang } from "./clang.js";
import { CompileError } from "./compile-error.js";
import { replaceFile } from "./files.js";

/** How BPF C is compiled. */
export interface CompileOptions {
  /** The compiler, a path or a name in `$PATH`; by default `$CLANG`, else clang, else the newest clang-N that is there. */
  readonly clang?: string | undefined;
  /**
   * More flags for it, `["-Iinclude", "-DDEBUG"]`; by default the words of `$BPFKIT_CFLAGS`. Before them stand `-target
   * bpf -O2 -g` and `-D__TARGET_ARCH_…` of this machine. Relative paths begin at the working directory.
   */
  readonly cflags?: readonly string[] | undefined;
}

/** What clang made. */
export interface Compiled {
  readonly object: Uint8Array;
  /** Absolute paths of the source and of all that it includes, the system's headers too. */
  readonly sources: readonly string[];
  /** What clang wrote nevertheless; empty too when the object is from the cache. */
  readonly warnings: string;
}

/**
 * Compiles a source.
 *
 * @throws CompileError with clang's own messages, or when there is no clang
 */
export function compile(source: string, options: CompileOptions = {}): Compiled {
  const clang = withLocation({ file: source }, () => findClang(options.clang));
  const flags = clangFlags(options.cflags ?? (process.env.BPFKIT_CFLAGS ?? "").split(/\s+/).filter(Boolean));
  const entry = cacheEntry(clang, flags, source);
  const cached = readEntry(entry);
  if (cached !== undefined) return cached;
  const start = Date.now();
  const compiled = runClang(clang, flags, source);
  // With warnings it is compiled again next time, and they are seen again. A file that was saved meanwhile may not be what
  // clang has read; dates of files lag by a tick of the kernel's clock, up to 10 ms.
  const isSettled = compiled.sources.every(
    (path) => (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity) < start - 10,
  );
  if (compiled.warnings === "" && isSettled) writeEntry(entry, compiled);
  return compiled;
}

function runClang(clang: string, flags: readonly string[], source: string): Compiled {
  const folder = mkdtempSync(join(tmpdir(), "bpfkit-"));
  try {
    const [object, rule] = [join(folder, "object"), join(folder, "rule")];
    // Paths as seen from the working directory, for they end up in the object's line information.
    const input = relative(process.cwd(), source);
    const paths = ["-ffile-compilation-dir=.", "-MD", "-MF", rule, "-MT", "object", "-c", input, "-o", object];
    const { status, signal, stderr, error } = spawnSync(clang, [...flags, ...paths], {
      encoding: "utf8",
      stdio: ["ignore", "ignore", "pipe"],
      maxBuffer: 1 << 26,
    });
    const output = (stderr ?? "").trim();
    if (error !== undefined) {
      throw new CompileError(`${clang} cannot be started: ${error.message}`, { file: source, cause: error });
    }
    if (status !== 0) {
      const how = signal === null ? "did not compile it" : `was ended by ${signal}`;
      const sources = includesOf(clang, flags, source);
      throw new CompileError(`${clang} ${how}`, { file: source, output, sources, hint: hintFor(output) });
    }
    const sources = readRule(readFileSync(rule, "utf8")).map((path) => resolve(path));
    return { object: new Uint8Array(readFileSync(object)), sources, warnings: output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Headers that beginners miss, and where they come from. */
const headerHints: readonly (readonly [RegExp, string])[] = [
  [/'bpf\/[^']*' file not found/, "libbpf's headers are in Debian's libbpf-dev, Fedora's libbpf-devel"],
  [/'vmlinux\.h' file not found/, "make it: bpftool btf dump file /sys/kernel/btf/vmlinux format c > vmlinux.h"],
  [/'(?:linux|asm)\/[^']*' file not found/, "the kernel's headers are in Debian's linux-libc-dev"],
];

function hintFor(output: string): string | undefined {
  return headerHints.find(([pattern]) => pattern.test(output))?.[1];
}

/** The prerequisites in a rule of make: words that white space ends, unless a backslash stands before it. */
function readRule(text: string): string[] {
  const list = text.replaceAll("\\\n", " ").replace(/^object:/, "");
  const words = list.match(/(?:\\[ #]|\S)+/g) ?? [];
  return words.map((word) => word.replace(/\\([ #])/g, "$1").replaceAll("$$", () => "$"));
}

/**
 * What a source that does not compile includes, by the preprocessor alone. Of missing headers clang has only the name: they may
 * come to be beside the source or in a folder of `-I`. When directives are wrong, too, it fails and tells nevertheless.
 */
function includesOf(clang: string, flags: readonly string[], source: string): string[] {
  const preprocess = [...flags, "-M", "-MG", "-MT", "object", relative(process.cwd(), source)];
  const { stdout } = spawnSync(clang, preprocess, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const folders = [dirname(source), ...includeFolders(flags)];
  const found = readRule(stdout ?? "").flatMap((path) =>
    existsSync(path) ? [resolve(path)] : folders.map((folder) => resolve(folder, path)),
  );
  return [...new Set([source, ...found])];
}

function includeFolders(flags: readonly string[]): string[] {
  return flags.flatMap((flag, index) => {
    if (!flag.startsWith("-I")) return [];
    const folder = flag === "-I" ? flags[index + 1] : flag.slice(2);
    return folder === undefined ? [] : [resolve(folder)];
  });
}

/** An object in the cache: it holds as long as all it was made from is what it was. */
interface Entry {
  /** SHA-256 by absolute path. */
  readonly sources: Readonly<Record<string, string>>;
  /** Base64. */
  readonly object: string;
}

/** The file of a source compiled in this way: another compiler, other flags or another folder is another entry. */
function cacheEntry(clang: string, flags: readonly string[], source: string): string {
  const base = process.env.XDG_CACHE_HOME;
  const folder = base !== undefined && isAbsolute(base) ? base : join(homedir(), ".cache");
  const program = realpathSync(clang);
  const { mtimeMs, size } = statSync(program);
  const key = JSON.stringify([1, program, mtimeMs, size, flags, process.cwd(), source, includePaths()]);
  return join(folder, "bpfkit", "objects", `${digest(key)}.json`);
}

/** Where else clang looks for headers. */
function includePaths(): readonly (string | undefined)[] {
  return [process.env.CPATH, process.env.C_INCLUDE_PATH];
}

const digest = (data: Uint8Array | string): string => createHash("sha256").update(data).digest("hex");

function readEntry(path: string): Compiled | undefined {
  try {
    const { sources, object } = JSON.parse(readFileSync(path, "utf8")) as Entry;
    const paths = Object.keys(sources);
    if (paths.some((source) => digest(readFileSync(source)) !== sources[source])) return undefined;
    return { object: new Uint8Array(Buffer.from(object, "base64")), sources: paths, warnings: "" };
  } catch {
    // Nothing there, a source that is gone, a damaged entry: it is made again.
    return undefined;
  }
}

function writeEntry(path: string, { object, sources }: Compiled): void {
  try {
    const digests = Object.fromEntries(sources.map((source) => [source, digest(readFileSync(source))]));
    const entry: Entry = { sources: digests, object: Buffer.from(object).toString("base64") };
    mkdirSync(resolve(path, ".."), { recursive: true, mode: 0o700 });
    replaceFile(path, JSON.stringify(entry));
  } catch {
    // No home, a full disk: slower next time, not wrong.
  }
}
