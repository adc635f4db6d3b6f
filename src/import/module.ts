// What an import of `minimal.bpf.o` or `minimal.bpf.c` gives: the text of a module, with its types written beside it.
// The loader of Node.js and the plugins of bundlers have this in common.

import { readFileSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import { BpfkitError, withLocation } from "../errors.js";
import { generateDeclarations, generateSkeleton } from "../generator/index.js";
import { type CompileOptions, compile } from "./compile.js";
import { replaceFileIfOther } from "./files.js";

/** How objects are imported. */
export interface ImportOptions extends CompileOptions {
  /**
   * Whether the types are written, as `minimal.bpf.d.o.ts` beside `minimal.bpf.o`, where `tsc` looks for them with
   * `allowArbitraryExtensions`; by default yes, except in node_modules and with `BPFKIT_DECLARATIONS=0`.
   */
  readonly declarations?: boolean;
}

/** The module that an object is. */
export interface ObjectModule {
  /** JavaScript: the skeleton's class as default export and by its name, with the object in it. */
  readonly code: string;
  /** Absolute paths of the files that it was made from. */
  readonly files: readonly string[];
  /** What clang warned about; mostly empty. */
  readonly warnings: string;
}

/** Files that are imported as skeletons, by their path. */
export const importable: RegExp = /\.bpf\.[co]$/;

/**
 * Makes the module of an object or of its source in C.
 *
 * @param path absolute
 * @throws CompileError; BpfkitError for a file that cannot be read; ElfError, BtfError, ObjectError for a bad object
 */
export function importObject(path: string, options: ImportOptions = {}): ObjectModule {
  const { object, sources, warnings } = path.endsWith(".c")
    ? compile(path, options)
    : { object: readObject(path), sources: [path], warnings: "" };
  const source = basename(path);
  const naming = { name: source.split(".", 1)[0] || "object", source };
  return withLocation({ file: path }, () => {
    if (wantsDeclarations(path, options)) {
      // An object of a read-only folder can be used, too: types are for the author.
      const text = generateDeclarations(object, naming);
      try {
        replaceFileIfOther(declarationsPath(path), text);
      } catch {}
    }
    return { code: generateSkeleton(object, { ...naming, language: "js" }), files: sources, warnings };
  });
}

/** Where TypeScript looks for the types of `./minimal.bpf.o`: in `./minimal.bpf.d.o.ts`. */
function declarationsPath(path: string): string {
  return join(dirname(path), basename(path).replace(/\.([co])$/, ".d.$1.ts"));
}

function wantsDeclarations(path: string, { declarations }: ImportOptions): boolean {
  if (declarations !== undefined) return declarations;
  return process.env.BPFKIT_DECLARATIONS !== "0" && !path.split(sep).includes("node_modules");
}

function readObject(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/, \w+( '.*)?$/, "") : String(cause);
    throw new BpfkitError("ARGUMENT", `the file cannot be read: ${reason}`, { file: path, cause });
  }
}
