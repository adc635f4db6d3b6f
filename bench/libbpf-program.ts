// Compiles the C programs of the benchmark once, into the cache: in the tree of the reference tools, which has the newest libbpf, else
// with the machine's own compiler and libbpf-dev.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { cacheFolder } from "./cache.js";
import { pathOf } from "./target.js";

/** What they all include. */
const HEADER = "measure.h";

/**
 * Path of the program of `bench/NAME.c`, or why there is none. `tree`: a Debian tree with gcc and libbpf's static library;
 * `flags`: what else the compiler is told.
 */
export function libbpfProgram(
  name: string,
  tree: string | undefined,
  flags: readonly string[] = [],
): { readonly path: string } | { readonly missing: string } {
  const source = pathOf(`bench/${name}.c`);
  const sources = [source, pathOf(`bench/${HEADER}`)];
  const inTree = tree !== undefined && existsSync(join(tree, "usr/bin/gcc")) && process.getuid?.() === 0;
  const key = createHash("sha256")
    .update(`${sources.map((file) => readFileSync(file, "utf8")).join("")}${flags}${inTree ? tree : ""}`)
    .digest("hex");
  const path = join(cacheFolder(), `${name}-${key.slice(0, 12)}`);
  if (existsSync(path)) return { path };
  mkdirSync(cacheFolder(), { recursive: true });
  const made = `${path}.${process.pid}.tmp`;
  try {
    if (inTree) compileInTree(tree, flags, sources, made);
    else compile(["cc", ...flags], source, made);
    renameSync(made, path);
    return { path };
  } catch (error) {
    const text = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
    return { missing: `bench/${name}.c does not compile here (it needs libbpf-dev): ${text.split("\n")[0]}` };
  } finally {
    rmSync(made, { force: true });
  }
}

function compileInTree(tree: string, flags: readonly string[], sources: readonly string[], made: string): void {
  const inside = `/tmp/bpfkit-bench.${process.pid}`;
  const folder = join(tree, inside);
  mkdirSync(folder);
  try {
    for (const source of sources) copyFileSync(source, join(folder, basename(source)));
    compile(["chroot", tree, "gcc", ...flags], `${inside}/${basename(sources[0]!)}`, `${inside}/program`);
    copyFileSync(join(folder, "program"), made);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function compile([command = "cc", ...before]: readonly string[], source: string, made: string): void {
  const libraries = ["-lbpf", "-lelf", "-lz"];
  // libelf needs zstd in new versions, and there is none to link in old ones.
  try {
    run([...libraries, "-lzstd"]);
  } catch {
    run(libraries);
  }

  function run(linked: readonly string[]): void {
    const flags = ["-O2", "-static", source, "-o", made, ...linked];
    execFileSync(command, [...before, ...flags], { stdio: ["ignore", "ignore", "pipe"] });
  }
}
