// Type-checks code as a user of the package would: against its declarations, in a folder of its own, with any TypeScript.

import { execFile, execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** Packages of the compilers: the newest that is supported, and the oldest. */
export const compilers = ["typescript", "typescript-5.4"] as const;
export type Compiler = (typeof compilers)[number];

/** Everything that a careful project switches on. */
const strictest = {
  target: "es2022",
  module: "nodenext",
  lib: ["es2023", "esnext.disposable"],
  types: ["node"],
  strict: true,
  noEmit: true,
  declaration: true,
  skipLibCheck: false,
  allowUnreachableCode: false,
  allowUnusedLabels: false,
  exactOptionalPropertyTypes: true,
  isolatedModules: true,
  noFallthroughCasesInSwitch: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  noPropertyAccessFromIndexSignature: true,
  noUncheckedIndexedAccess: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
  verbatimModuleSyntax: true,
};
/** Options that came after 5.4. */
const newer = { erasableSyntaxOnly: true, isolatedDeclarations: true, noUncheckedSideEffectImports: true };

/** An error of a compiler. */
export interface Complaint {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** A project that depends on the package. */
export class Project {
  readonly folder = mkdtempSync(join(tmpdir(), "bpfkit-skeleton-"));

  /** @param installed whether code in it can import the package */
  constructor({ installed: isInstalled = true } = {}) {
    writeFileSync(join(this.folder, "package.json"), '{ "type": "module" }');
    const modules = join(this.folder, "node_modules");
    mkdirSync(modules);
    symlinkSync(resolve("node_modules/@types"), join(modules, "@types"));
    if (!isInstalled) return;
    const installed = join(modules, "bpfkit");
    mkdirSync(installed);
    cpSync("package.json", join(installed, "package.json"));
    const out = join(installed, "dist");
    execFileSync(process.execPath, [compilerPath("typescript"), "-p", "tsconfig.build.json", "--outDir", out]);
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text);
  }

  /** The errors in these files; with more options of the compiler. */
  async check(compiler: Compiler, files: readonly string[], more: object = {}): Promise<Complaint[]> {
    const config = `tsconfig.${compiler}.json`;
    const compilerOptions = { ...strictest, ...(compiler === "typescript" && newer), ...more };
    this.write(config, JSON.stringify({ compilerOptions, files }));
    const output = await new Promise<string>((done, fail) => {
      const args = [compilerPath(compiler), "-p", config, "--pretty", "false"];
      execFile(process.execPath, args, { cwd: this.folder, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
        if (error !== null && stdout === "") fail(new Error(stderr, { cause: error }));
        else done(stdout);
      });
    });
    return output.split("\n").flatMap((text) => {
      const [, file, line] = /^(\S+)\((\d+),\d+\): error/.exec(text) ?? [];
      if (file !== undefined) return [{ file, line: Number(line), text }];
      if (text.startsWith("error")) return [{ file: "", line: 0, text }];
      return [];
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

function compilerPath(compiler: Compiler): string {
  return resolve("node_modules", compiler, "bin/tsc");
}

/** The version of a compiler. */
export function compilerVersion(compiler: Compiler): string {
  const text = readFileSync(resolve("node_modules", compiler, "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
