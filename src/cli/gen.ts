// `bpfkit gen`: TypeScript from BPF objects.

import { basename, dirname, relative, resolve, sep } from "node:path";
import { withLocation } from "../errors.js";
import { type GenerateOptions, generateSkeleton, generateSubskeleton, generateTypes } from "../skeleton/index.js";
import { keywords } from "./arguments.js";
import { type Invocation, type Noun, type Option, UsageError } from "./command.js";
import { readInputFile, refuseSameFile, writeOutputFile } from "./files.js";

const output: Option = { name: "output", short: "o", value: "FILE", summary: "write to a file instead of stdout" };
const type: Option = {
  name: "type",
  short: "t",
  value: "NAME",
  multiple: true,
  summary: "declare this C type too: event, struct event",
};
const name: Option = {
  name: "name",
  short: "n",
  value: "NAME",
  summary: "name of the object, after which the class is called",
};
const int64: Option = {
  name: "int64",
  value: "TYPE",
  summary: "what 64-bit integers are: bigint (default) or number, which is exact up to 2^53",
};
const usage = "FILE [name NAME]";

/** Where the object's name comes from, and what is named after it. */
const naming = [
  "The object is called after its file, up to the first dot, unless NAME is given; the class of minimal is MinimalBpf.",
];

/** The commands. */
export const gen: Noun = {
  name: "gen",
  summary: "write TypeScript from a BPF object",
  commands: [
    {
      name: "skeleton",
      usage,
      summary: "write a class with every map, program and variable of the object, typed",
      details: [
        ...naming,
        "The object is embedded, or stays a file beside the module (--external), which is found by its relative path.",
      ],
      options: [
        output,
        name,
        type,
        int64,
        { name: "external", short: "x", summary: "read the object's file when the program runs, do not embed it" },
      ],
      run: (invocation) => {
        const { file, options } = skeletonInput(invocation);
        const object = invocation.has("external") ? { external: relativeUrl(invocation, file) } : "embed";
        deliver(invocation, file, () => generateSkeleton(readInputFile(file), { ...options, object }));
      },
    },
    {
      name: "subskeleton",
      usage,
      summary: "write a class for a library's part of an object that others open",
      details: naming,
      options: [output, name, type, int64],
      run: (invocation) => {
        const { file, options } = skeletonInput(invocation);
        deliver(invocation, file, () => generateSubskeleton(readInputFile(file), options));
      },
    },
    {
      name: "types",
      usage: "FILE",
      summary: "write the types only: of an object, or of a file with raw BTF",
      details: [
        "Without --type all types that have a name and values are written, with it those and what they refer to.",
      ],
      options: [output, { ...type, summary: "write this C type: event, struct event" }, int64],
      run: (invocation) => {
        const { file, rest } = inputFile(invocation);
        keywords(rest, []);
        const types = invocation.values("type");
        deliver(invocation, file, () =>
          generateTypes(readInputFile(file), {
            source: basename(file),
            types: types.length > 0 ? types : undefined,
            int64: int64Option(invocation),
          }),
        );
      },
    },
  ],
};

function inputFile({ words }: Invocation): { file: string; rest: readonly string[] } {
  const [file, ...rest] = words;
  if (file === undefined) throw new UsageError("which object? a FILE is needed");
  // bpftool's word before a path.
  if (file === "file" && rest[0] !== undefined) return { file: rest[0], rest: rest.slice(1) };
  return { file, rest };
}

function skeletonInput(invocation: Invocation): { file: string; options: GenerateOptions } {
  const { file, rest } = inputFile(invocation);
  const [option] = invocation.values("name");
  const given = keywords(rest, ["name"]).name;
  if (option !== undefined && given !== undefined) throw new UsageError("name was given twice");
  const source = basename(file);
  const objectName = option ?? given ?? source.split(".", 1)[0]!;
  if (objectName === "") throw new UsageError(`${source} gives no name for the object`, "add: name NAME");
  return {
    file,
    options: { name: objectName, source, types: invocation.values("type"), int64: int64Option(invocation) },
  };
}

function int64Option({ values }: Invocation): GenerateOptions["int64"] {
  const given = values("int64")[0];
  if (given === undefined || given === "bigint" || given === "number") return given;
  throw new UsageError(`--int64 is bigint or number, not ${given}`);
}

/** Where the object is, seen from the module. */
function relativeUrl(invocation: Invocation, file: string): string {
  const [out] = invocation.values("output");
  const path = out === undefined ? basename(file) : relative(dirname(resolve(out)), resolve(file));
  const url = path.split(sep).map(encodeURIComponent).join("/");
  return url.startsWith("../") ? url : `./${url}`;
}

/** Makes the text, then writes it: a failure leaves no half of it. */
function deliver({ io, json, values }: Invocation, file: string, make: () => string): void {
  const text = withLocation({ file }, make);
  const [out] = values("output");
  if (out === undefined) {
    io.stdout(text);
    return;
  }
  refuseSameFile(file, out);
  writeOutputFile(out, text);
  if (json !== undefined) io.stdout("null\n");
}
