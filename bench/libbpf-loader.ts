// Compiles libbpf-loader.c once, into the cache: in the tree of the reference tools, which has the newest libbpf, else
// with the machine's own compiler and libbpf-dev.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./cache.js";
import { pathOf } from "./target.js";

const NAME = "bpfkit-bench-libbpf-loader";

/** Path of the program, or why there is none. `tree`: a Debian tree with gcc and libbpf's static library. */
export function libbpfLoader(tree: string | undefined): { readonly path: string } | { readonly missing: string } {
  const source = pathOf("bench/libbpf-loader.c");
  const inTree = tree !== undefined && existsSync(join(tree, "usr/bin/gcc")) && process.getuid?.() === 0;
  const key = createHash("sha256")
    .update(`${readFileSync(source, "utf8")}${inTree ? tree : ""}`)
    .digest("hex");
  const path = join(cacheFolder(), `libbpf-loader-${key.slice(0, 12)}`);
  if (existsSync(path)) return { path };
  mkdirSync(cacheFolder(), { recursive: true });
  const made = `${path}.${process.pid}.tmp`;
  try {
    if (inTree) compileInTree(tree, source, made);
    else compile("cc", [], source, made);
    renameSync(made, path);
    return { path };
  } catch (error) {
    const text = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
    return { missing: `bench/libbpf-loader.c does not compile here (it needs libbpf-dev): ${text.split("\n")[0]}` };
  } finally {
    rmSync(made, { force: true });
  }
}

function compileInTree(tree: string, source: string, made: string): void {
  const inside = `/tmp/${NAME}.${process.pid}`;
  const folder = join(tree, inside);
  mkdirSync(folder);
  try {
    copyFileSync(source, join(folder, "loader.c"));
    compile("chroot", [tree, "gcc"], `${inside}/loader.c`, `${inside}/loader`);
    copyFileSync(join(folder, "loader"), made);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function compile(command: string, before: readonly string[], source: string, made: string): void {
  const libraries = ["-lbpf", "-lelf", "-lz"];
  // libelf needs zstd in new versions, and there is none to link in old ones.
  try {
    run([...libraries, "-lzstd"]);
  } catch {
    run(libraries);
  }

  function run(linked: readonly string[]): void {
    const flags = ["-O2", "-static", "-Wl,--wrap=syscall", source, "-o", made, ...linked];
    execFileSync(command, [...before, ...flags], { stdio: ["ignore", "ignore", "pipe"] });
  }
}
