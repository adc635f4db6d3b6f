// A user's project in a folder of its own, with the package installed as `npm run build` makes it.

import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const entries = ["index", "skeleton/index", "syscall/index", "import/register", "import/hooks", "import/plugin"];

/** Whether require() of ES modules is on, as from Node.js 20.19. */
export const canRequireModules: boolean = (process.features as { require_module?: boolean }).require_module === true;

/** What a process did. */
export interface Outcome {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

export class ImportingProject {
  readonly folder = mkdtempSync(join(tmpdir(), "bpfkit-import-"));

  constructor() {
    this.write("package.json", '{ "type": "module" }');
    const installed = join(this.folder, "node_modules/bpfkit");
    mkdirSync(installed, { recursive: true });
    cpSync("package.json", join(installed, "package.json"));
    for (const name of ["koffi", "elfy"]) {
      symlinkSync(resolve("node_modules", name), join(this.folder, "node_modules", name));
    }
    execFileSync(resolve("node_modules/.bin/esbuild"), [
      ...entries.map((entry) => `src/${entry}.ts`),
      `--outdir=${join(installed, "dist")}`,
      ..."--outbase=src --bundle --splitting --format=esm --platform=node --target=es2022 --log-level=error".split(" "),
      "--external:koffi",
      "--external:elfy",
      "--tsconfig-raw={}",
    ]);
  }

  path(file: string): string {
    return join(this.folder, file);
  }

  write(file: string, text: string | Uint8Array): void {
    mkdirSync(dirname(this.path(file)), { recursive: true });
    writeFileSync(this.path(file), text);
  }

  /** Copies the object of a fixture into the project. */
  addObject(name: string, file = `${name}.bpf.o`): void {
    cpSync(`fixtures/${name}.bpf.o`, this.path(file));
  }

  /**
   * A compiler of its own, whose path is returned. It makes of each source the object that value.h names, which all of them
   * include.
   */
  addCompiler(): string {
    const compiler = this.path("my-clang");
    const header = this.path("value.h");
    const script = `#!/bin/sh
object= rule= source=
while [ $# -gt 0 ]; do
  case $1 in -o) object=$2; shift ;; -MF) rule=$2; shift ;; *.bpf.c) source=$1 ;; esac
  shift
done
name=$(cat '${header}' 2>/dev/null)
if [ -z "$object" ]; then echo "object: $source ${header}"; exit; fi
[ -f "${this.folder}/$name" ] || { echo "value.h:1:1: error: no $name" >&2; exit 1; }
cp "${this.folder}/$name" "$object"
echo "object: $source ${header}" >"$rule"
`;
    writeFileSync(compiler, script, { mode: 0o755 });
    return compiler;
  }

  /** The environment of its processes: nothing of the tester's, a cache of its own. */
  environment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
    return { PATH: process.env.PATH, NO_COLOR: "1", XDG_CACHE_HOME: this.path("cache"), ...more };
  }

  /** Runs a module of this text with the loader's hooks. */
  run(text: string, env: Readonly<Record<string, string>> = {}, args: readonly string[] = []): Promise<Outcome> {
    this.write("main.mjs", text);
    return new Promise((done) => {
      const all = ["--import", "bpfkit/register", ...args, "main.mjs"];
      const options = { cwd: this.folder, env: this.environment(env), timeout: 60_000 };
      const child = execFile(process.execPath, all, options, (_error, out, err) =>
        done({ status: child.exitCode, out, err }),
      );
    });
  }

  /** Starts `node --watch` on a module of this text, its output in `output`. To be killed by the caller. */
  watch(text: string): { readonly child: ChildProcess; readonly output: () => string } {
    this.write("watched.mjs", text);
    const child = spawn(process.execPath, ["--watch", "--import", "bpfkit/register", "watched.mjs"], {
      cwd: this.folder,
      env: this.environment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        output += chunk;
      });
    }
    return { child, output: () => output };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
