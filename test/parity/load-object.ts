// The subject of the comparison, a process of its own: opens one object with bpfkit, all programs switched on, loads it,
// and tells the result as one line of JSON. With --each every program is loaded alone from a freshly opened object, so
// that one program that cannot load hides no other. The libbpf side is oracle-load of the reference tools.

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { BpfObject } from "../../src/index.js";
import type { LoaderReport, ProgramReport } from "./loader-report.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { each: { type: "boolean" }, btf: { type: "string" } },
});
const [path] = positionals;
if (path === undefined || positionals.length !== 1) throw new Error("usage: load-object [--each] [--btf FILE] OBJECT");
const bytes = readFileSync(path);
const options = {
  name: basename(path).split(".", 1)[0]!,
  ...(values.btf === undefined ? {} : { kernelBtf: values.btf }),
};

const report = load();
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exitCode = report.loaded ? 0 : 1;

function load(): LoaderReport {
  let object: BpfObject;
  try {
    object = BpfObject.open(bytes, options);
  } catch (error) {
    return { opened: false, loaded: false, error: textOf(error), programs: [] };
  }
  const names = object.programs.map((program) => program.name);
  if (values.each) {
    object.close();
    const programs = names.map(loadOne);
    return { opened: true, loaded: programs.every((program) => program.error === undefined), programs };
  }
  const error = attempt(object, () => true);
  const programs = names.map((program) => ({ name: program, ...(error === undefined ? {} : { error }) }));
  return { opened: true, loaded: error === undefined, ...(error === undefined ? {} : { error }), programs };
}

function loadOne(program: string): ProgramReport {
  const error = attempt(BpfObject.open(bytes, options), (candidate) => candidate === program);
  return { name: program, ...(error === undefined ? {} : { error }) };
}

/** Loads the chosen programs and closes the object. Returns what went wrong. */
function attempt(object: BpfObject, chosen: (program: string) => boolean): string | undefined {
  try {
    for (const program of object.programs) program.autoload = chosen(program.name);
    object.loadSync();
    return undefined;
  } catch (error) {
    return textOf(error);
  } finally {
    object.close();
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
