// Which clang there is, and the flags that BPF C is compiled with on this machine.

import { accessSync, constants, existsSync, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { CompileError } from "./compile-error.js";

/** Names to look for in `$PATH`, in this order: Debian has clang-19 without clang. The oldest is the first with CO-RE. */
const names: readonly string[] = ["clang", ...Array.from({ length: 21 }, (_, index) => `clang-${30 - index}`)];

/**
 * The path of the compiler.
 *
 * @param wanted a path or a name in `$PATH`; by default `$CLANG`, else the first of clang, clang-30 … clang-10
 * @throws CompileError when there is none
 */
export function findClang(wanted: string | undefined = process.env.CLANG): string {
  const isGiven = wanted !== undefined && wanted !== "";
  for (const name of isGiven ? [wanted] : names) {
    const folders = name.includes("/") ? [""] : (process.env.PATH ?? "").split(delimiter);
    for (const folder of folders) {
      const path = resolve(join(folder, name));
      if (isExecutable(path)) return path;
    }
  }
  throw isGiven
    ? new CompileError(`there is no compiler ${wanted}`, { hint: "$CLANG is a path, or a name in $PATH" })
    : new CompileError("there is no clang to compile it with", {
        hint: "install clang, or say in $CLANG where it is, or import the compiled .bpf.o",
      });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

interface Machine {
  /** What bpf_tracing.h of libbpf calls it. */
  readonly macro: string;
  /** The folder of its <asm/…> headers where several machines share /usr/include. */
  readonly headers: string;
}

/** By `process.arch`. */
const machines: Readonly<Record<string, Machine>> = {
  x64: { macro: "x86", headers: "x86_64-linux-gnu" },
  arm64: { macro: "arm64", headers: "aarch64-linux-gnu" },
  arm: { macro: "arm", headers: "arm-linux-gnueabihf" },
  riscv64: { macro: "riscv", headers: "riscv64-linux-gnu" },
  s390x: { macro: "s390", headers: "s390x-linux-gnu" },
  ppc64: { macro: "powerpc", headers: "powerpc64le-linux-gnu" },
  loong64: { macro: "loongarch", headers: "loongarch64-linux-gnu" },
};

/** The flags: BPF with type information, for programs that trace this machine's kernel, then the user's. */
export function clangFlags(cflags: readonly string[]): string[] {
  const flags = ["-target", "bpf", "-O2", "-g"];
  const machine = machines[process.arch];
  if (machine !== undefined) {
    if (!cflags.some((flag) => flag.startsWith("-D__TARGET_ARCH_"))) flags.push(`-D__TARGET_ARCH_${machine.macro}`);
    const headers = `/usr/include/${machine.headers}`;
    if (existsSync(headers)) flags.push("-idirafter", headers);
  }
  return [...flags, ...cflags];
}
