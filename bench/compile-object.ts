// BPF objects that only the benchmark needs: compiled by the clang that makes the fixtures, once, into the user's cache.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { machine } from "node:os";
import { join } from "node:path";
import { cacheFolder } from "./cache.js";

/** Path of the object made from the text of a BPF C program. @throws Error without clang-19 */
export function compiledObject(label: string, source: string): string {
  const folder = cacheFolder();
  const name = `${label}-${createHash("sha256").update(source).digest("hex").slice(0, 12)}`;
  const path = join(folder, `${name}.bpf.o`);
  if (existsSync(path)) return path;
  console.log(`compiling ${path}, once`);
  mkdirSync(folder, { recursive: true });
  const input = join(folder, `${name}.bpf.c`);
  const output = join(folder, `${name}.${process.pid}.tmp`);
  writeFileSync(input, source);
  const headers = `/usr/include/${machine()}-linux-gnu`;
  const flags = ["-O2", "-g", "-mcpu=v3", "-target", "bpfel", "-ffile-compilation-dir=.", "-idirafter", headers];
  execFileSync(process.env.CLANG ?? "clang-19", [...flags, "-c", input, "-o", output], { stdio: "inherit" });
  // As objects are shipped: without DWARF, which no loader looks at.
  execFileSync(process.env.STRIP ?? "llvm-strip-19", ["-g", output], { stdio: "inherit" });
  renameSync(output, path);
  return path;
}
