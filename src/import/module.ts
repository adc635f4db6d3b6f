// What an import of `minimal.bpf.o` or `minimal.bpf.c` gives: the text of a module, with its types written beside it.
// The loader of Node.js and the plugins of bundlers have this in common.

import { readFileSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import { BpfkitError, withLocation } from "../errors.js";
import { generateDeclarations, generateSkeleton, type ObjectPlace } from "../generator/index.js";
import { compile } from "./compile.js";
import { type ImportOptions, readConfig } from "./config.js";
import { replaceFileIfOther } from "./files.js";

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

/** Puts an object where the module finds it, by a name that its file may be called after. */
export type PlaceObject = (name: string, object: Uint8Array) => ObjectPlace;

/**
 * Makes the module of an object or of its source in C.
 *
 * @param path absolute
 * @param placeObject what `object: "file"` is for a bundler; by default the module reads the file at `path`, and has in it
 *   what was compiled
 * @throws CompileError; BpfkitError for a file that cannot be read; ElfError, BtfError, ObjectError for a bad object
 */
export function importObject(path: string, given: ImportOptions = {}, placeObject?: PlaceObject): ObjectModule {
  const config = readConfig(path);
  const options: ImportOptions = {
    ...config.options,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  };
  const declarations = given.declarations ?? (process.env.BPFKIT_DECLARATIONS !== "0" && config.options.declarations);
  const { object, sources, warnings } = path.endsWith(".c")
    ? compile(path, options)
    : { object: readObject(path), sources: [path], warnings: "" };
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
    return { code, files: config.file === undefined ? sources : [...sources, config.file], warnings };
  });
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
