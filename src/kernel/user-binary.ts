// Executables and shared objects that probes are placed in: found by name, and read by ranges (libbpf.md 2.3, "BINARY
// lookup").

import { accessSync, closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { type RangeSource, zipMember } from "../elf/index.js";
import { ArgumentError, ElfError, NotFoundError, withLocation } from "../errors.js";
import { fileFailure } from "../syscall/index.js";

/** A file, and what of it is the binary. */
export interface UserBinary {
  /** What the kernel opens. */
  readonly path: string;
  /** Bytes from the beginning of the file at which the ELF file begins: not 0 in archives. */
  readonly base: number;
  /** The ELF file. */
  readonly source: RangeSource;
}

/**
 * Finds a binary by name and gives `body` access to it. A name with a slash is a path, `ARCHIVE!/MEMBER` what is stored in
 * an archive without compression. Names of shared objects (`libc.so.6`) are looked for in LD_LIBRARY_PATH and the
 * system's folders of libraries, others in PATH and the system's.
 *
 * @throws NotFoundError, SystemCallError, ElfError, with the path as `file`
 */
export function withUserBinary<T>(name: string, body: (binary: UserBinary) => T): T {
  if (typeof name !== "string" || name === "" || name.includes("\0")) {
    throw new ArgumentError(`${JSON.stringify(name)} is no name of a binary`);
  }
  const [archive, member] = splitArchive(name);
  const path = findBinary(archive);
  const fd = open(path);
  try {
    const source = fileSource(fd, path);
    const file = member === undefined ? path : `${path}!/${member}`;
    return withLocation({ file }, () => {
      if (member === undefined) return body({ path, base: 0, source });
      const { offset, size } = zipMember(source, member);
      const read = (at: number, length: number): Uint8Array => source.read(offset + at, length);
      return body({ path, base: offset, source: { size, read } });
    });
  } finally {
    closeSync(fd);
  }
}

function splitArchive(name: string): [path: string, member?: string] {
  const at = name.indexOf("!/");
  return at === -1 ? [name] : [name.slice(0, at), name.slice(at + 2)];
}

/** The path of a binary: as it is with a slash, else where the loader and the shell would find it. */
function findBinary(name: string): string {
  if (name.includes("/")) return name;
  const library = name.endsWith(".so") || name.includes(".so.");
  const folders = library ? libraryFolders() : executableFolders();
  const mode = library ? constants.R_OK : constants.R_OK | constants.X_OK;
  for (const folder of folders) {
    const path = `${folder}/${name}`;
    if (isUsable(path, mode)) return path;
  }
  throw new NotFoundError(`no ${library ? "shared object" : "executable"} ${name} in ${folders.join(", ")}`, {
    hint: "give its path",
  });
}

/** Debian's names of machines, by `process.arch`. */
const multiArch: Readonly<Record<string, string>> = {
  x64: "x86_64-linux-gnu",
  ia32: "i386-linux-gnu",
  arm64: "aarch64-linux-gnu",
  arm: "arm-linux-gnueabihf",
  s390x: "s390x-linux-gnu",
  ppc64: "powerpc64le-linux-gnu",
  riscv64: "riscv64-linux-gnu",
  loong64: "loongarch64-linux-gnu",
};

function libraryFolders(): string[] {
  const own = multiArch[process.arch];
  return [...listOf("LD_LIBRARY_PATH"), "/usr/lib64", "/usr/lib", ...(own === undefined ? [] : [`/usr/lib/${own}`])];
}

function executableFolders(): string[] {
  return [...listOf("PATH"), "/usr/bin", "/usr/sbin"];
}

function listOf(variable: string): string[] {
  return (process.env[variable] ?? "").split(":").filter((folder) => folder !== "");
}

function isUsable(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function open(path: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    const failure = fileFailure("open", path, cause);
    if (failure.errnoName === "ENOENT") throw new NotFoundError(`there is no file ${path}`, { cause: failure });
    throw failure;
  }
}

function fileSource(fd: number, path: string): RangeSource {
  const stat = fstatSync(fd);
  if (!stat.isFile()) throw new ElfError("ELF_INVALID", "not a file", { file: path });
  return {
    size: stat.size,
    read: (offset, length) => {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const count = readSync(fd, bytes, at, length - at, offset + at);
        if (count === 0) throw new ElfError("ELF_TRUNCATED", "the file ends before its end", { file: path, offset });
        at += count;
      }
      return bytes;
    },
  };
}
