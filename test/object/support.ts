// Opening what the builders made, and catching what it throws.

import { BpfkitError, type BpfkitErrorCode, type ErrorLocation } from "../../src/errors.js";
import { type MapSpec, type ObjectSpec, openObject, type ProgramSpec } from "../../src/object/index.js";
import { code, exit, mov, ObjectWriter, TypeWriter } from "./builders.js";

export function open(file: ObjectWriter, relaxedMaps = false): ObjectSpec {
  return openObject(file.build(), { name: "test", relaxedMaps });
}

export interface Failure extends ErrorLocation {
  code: BpfkitErrorCode;
  reason: string;
  hint: string | undefined;
}

/** The error of bpfkit that `body` throws, its known parts only. Anything else that is thrown passes through. */
export function failure(body: () => unknown): Failure {
  try {
    body();
  } catch (error) {
    if (!(error instanceof BpfkitError)) throw error;
    const known = Object.entries(error.location).filter(([, value]) => value !== undefined);
    return { code: error.code, reason: error.reason, hint: error.hint, ...Object.fromEntries(known) };
  }
  throw new Error("nothing was thrown");
}

/** An object with one program of two instructions in `section`. */
export function oneProgram(section = "xdp", file = new ObjectWriter()): ObjectWriter {
  const index = file.code(section, code(mov, exit));
  file.func("main", index, 0, 16);
  return file;
}

/** An object that declares one map per struct definition; the writer adds types and returns the struct's id. */
export function mapObject(maps: Record<string, (types: TypeWriter) => number>, linkage = 1): ObjectWriter {
  const file = new ObjectWriter();
  const types = new TypeWriter();
  const names = Object.keys(maps);
  const section = file.section(".maps", new Uint8Array(64 * names.length));
  const entries = names.map((name, i) => {
    const variable = types.variable(name, maps[name]!(types), linkage);
    file.symbol(name, section, { value: i * 64, size: 64 });
    // Offsets are zero, as the compiler leaves them.
    return [variable, linkage === 1 ? 0 : i * 64, 64] as const;
  });
  types.datasec(".maps", entries);
  file.btf(types);
  return file;
}

/** Opens an object whose only map `m` has these members. */
export function openMap(members: (types: TypeWriter) => [string, number][], relaxedMaps = false): MapSpec {
  const file = mapObject({ m: (types) => types.struct("", 64, members(types)) });
  return open(file, relaxedMaps).maps[0]!;
}

export function program(object: ObjectSpec, name: string): ProgramSpec {
  const found = object.programs.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no program ${name}`);
  return found;
}
