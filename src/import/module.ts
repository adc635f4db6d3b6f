// What an import of `minimal.bpf.o` or `minimal.bpf.c` gives: the text of a module, with its types written beside it.
// The loader of Node.js and the plugins of bundlers have this in common.

import { readFileSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import { BpfkitError, withLocation } from "../errors.js";
import { generateDeclarations, generateSkeleton, type ObjectPlace } from "../generator/index.js";
import { type Compiled, compile } from "./compile.js";
import { CompileError } from "./compile-error.js";
import { type ImportOptions, readConfig } from "./config.js";
import { replaceFileIfOther } from "./files.js";

/** The module that an object is. */
export interface ObjectModule {
  /** JavaScript: the skeleton's class as default export and by its name, with the object in it. */
  readonly code: string;
  /** What clang warned about; mostly empty. */
  readonly warnings: string;
}

/** Files that are imported as skeletons, by their path. */
export const importable: RegExp = /\.bpf\.[co]$/;

/** Puts an object where the module finds it, by a name that its file may be called after. */
export type PlaceObject = (name: string, object: Uint8Array) => ObjectPlace;

/** For whom a module is made. */
export interface Importer {
  /**
   * Gets the absolute path of each file that the module depends on as soon as it is known: of those too that keep it from being
   * made, for a change of one may mend it. They may be missing, and be told more than once.
   */
  readonly watch: (file: string) => void;
  /** What `object: "file"` is; by default the module reads the imported file, and has in it what was compiled. */
  readonly placeObject?: PlaceObject | undefined;
}

/**
 * Makes the module of an object or of its source in C.
 *
 * @param path absolute
 * @param given options that count more than those of the package.json
 * @throws CompileError; BpfkitError for a file that cannot be read; ElfError, BtfError, ObjectError for a bad object
 */
export function importObject(path: string, given: ImportOptions, { watch, placeObject }: Importer): ObjectModule {
  watch(path);
  const config = readConfig(path, watch);
  const options: ImportOptions = {
    ...config,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  };
  const declarations = given.declarations ?? (process.env.BPFKIT_DECLARATIONS !== "0" && config.declarations);
  const { object, warnings } = path.endsWith(".c")
    ? compileWatched(path, options, watch)
    : { object: readObject(path), warnings: "" };
  const source = basename(path);
  const naming = {
    name: source.split(".", 1)[0] || "object",
    source,
    optionalTypes: options.types ?? [],
    ...(options.int64 && { int64: options.int64 }),
  };
  const ownFile: PlaceObject = () => (path.endsWith(".c") ? "embed" : { external: `./${encodeURIComponent(source)}` });
  return withLocation({ file: path }, () => {
    if (declarations ?? !path.split(sep).includes("node_modules")) {
      // An object of a read-only folder can be used, too: types are for the author.
      const text = generateDeclarations(object, naming);
      try {
        replaceFileIfOther(declarationsPath(path), text);
      } catch {}
    }
    const place = options.object === "file" ? (placeObject ?? ownFile)(source.replace(/c$/, "o"), object) : "embed";
    const code = generateSkeleton(object, { ...naming, language: "js", object: place });
    return { code, warnings };
  });
}

function compileWatched(path: string, options: ImportOptions, watch: Importer["watch"]): Compiled {
  try {
    const compiled = compile(path, options);
    for (const source of compiled.sources) watch(source);
    return compiled;
  } catch (error) {
    if (error instanceof CompileError) for (const source of error.sources) watch(source);
    throw error;
  }
}

/** Where TypeScript looks for the types of `./minimal.bpf.o`: in `./minimal.bpf.d.o.ts`. */
function declarationsPath(path: string): string {
  return join(dirname(path), basename(path).replace(/\.([co])$/, ".d.$1.ts"));
}

function readObject(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/, \w+( '.*)?$/, "") : String(cause);
    throw new BpfkitError("ARGUMENT", `the file cannot be read: ${reason}`, { file: path, cause });
  }
}
