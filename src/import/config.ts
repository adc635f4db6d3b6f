// What a project says about its objects: the key "bpfkit" of the nearest package.json, which the loader of Node.js, the
// plugins and whoever else imports have in common. Options that a plugin is given count more.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ArgumentError } from "../errors.js";
import { nearNames } from "../near-names.js";
import type { CompileOptions } from "./compile.js";

/**
 * How objects are imported. All but `clang` can also be said in the package.json of the package that an object belongs to, as
 * `"bpfkit": { "types": ["event"] }`: there the loader of Node.js finds it too. Options of a plugin count more.
 */
export interface ImportOptions extends CompileOptions {
  /**
   * C names of types to declare besides those that maps and variables use, such as records of ring buffers: `["event"]`.
   * Each object declares those that it has.
   */
  readonly types?: readonly string[] | undefined;
  /** What 64-bit integers are: `"bigint"` (default), or `"number"`, exact up to 2^53 and rounded beyond. */
  readonly int64?: "bigint" | "number" | undefined;
  /**
   * Whether the module has the object in it (`"embed"`, the default), or reads its file when it is opened (`"file"`): the
   * imported one, or in a bundle a copy that is put out beside it. What is compiled from C has a file only in a bundle.
   */
  readonly object?: "embed" | "file" | undefined;
  /**
   * Whether the types are written, as `minimal.bpf.d.o.ts` beside `minimal.bpf.o`, where `tsc` looks for them with
   * `allowArbitraryExtensions`; by default yes, except in node_modules and with `BPFKIT_DECLARATIONS=0`.
   */
  readonly declarations?: boolean | undefined;
}

const isString = (value: unknown): boolean => typeof value === "string";
const isList = (value: unknown): boolean => Array.isArray(value) && value.every(isString);

/** Every option: what it takes, and how to recognise it. */
const options: Readonly<Record<keyof ImportOptions, readonly [what: string, fits: (value: unknown) => boolean]>> = {
  types: ["a list of C names of types", isList],
  int64: ['"bigint" or "number"', (value) => value === "bigint" || value === "number"],
  object: ['"embed" or "file"', (value) => value === "embed" || value === "file"],
  declarations: ["true or false", (value) => typeof value === "boolean"],
  clang: ["a path or a name", isString],
  cflags: ["a list of flags", isList],
};

/**
 * Reads the settings for an object.
 *
 * @param watch gets the package.json that has them, or would have them, before it is judged
 * @throws ArgumentError for an option that does not exist or does not fit
 */
export function readConfig(path: string, watch: (file: string) => void): Omit<ImportOptions, "clang"> {
  for (let folder = dirname(path), last = ""; folder !== last; last = folder, folder = dirname(folder)) {
    const file = join(folder, "package.json");
    const text = readText(file);
    if (text === undefined) continue;
    watch(file);
    // The nearest one is the package that the object belongs to, whether it says anything or not.
    const settings = parse(text)?.bpfkit;
    if (settings === undefined) break;
    checkOptions(settings, file);
    if (Object.hasOwn(settings as object, "clang")) {
      throw new ArgumentError('"bpfkit": which clang there is depends on the machine', { file, hint: "set $CLANG" });
    }
    return settings as ImportOptions;
  }
  return {};
}

/** @param file for messages; undefined for options of a plugin */
export function checkOptions(settings: unknown, file?: string): void {
  const place = file === undefined ? {} : { file };
  const where = file === undefined ? "" : '"bpfkit": ';
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) {
    throw new ArgumentError(`${where}an object with options is expected`, place);
  }
  for (const [name, value] of Object.entries(settings)) {
    if (!Object.hasOwn(options, name)) {
      throw new ArgumentError(`${where}there is no option ${name}${nearNames(name, Object.keys(options))}`, place);
    }
    const [what, fits] = options[name as keyof ImportOptions];
    if (value !== undefined && !fits(value)) throw new ArgumentError(`${where}${name} must be ${what}`, place);
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** A package.json that is not JSON is for others to complain about. */
function parse(text: string): { readonly bpfkit?: unknown } | undefined {
  try {
    return JSON.parse(text) as { readonly bpfkit?: unknown };
  } catch {
    return undefined;
  }
}
