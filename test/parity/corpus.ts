// Many objects, two at a time, with a line on the terminal that tells how far it is.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { compareObject, type ObjectComparison } from "./compare.js";
import { factsOf } from "./facts.js";
import type { ObjectFile, Oracle } from "./oracle.js";

/** All objects of folders and files, sorted. @throws Error when a path does not exist */
export function findObjects(places: readonly string[]): ObjectFile[] {
  const files = places.flatMap((place) => {
    if (!existsSync(place)) throw new Error(`${place} does not exist`);
    if (!statSync(place).isDirectory()) return [{ path: place, name: relative(dirname(place), place) }];
    return readdirSync(place, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".o"))
      .map((name) => ({ path: join(place, name), name }));
  });
  return files.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/**
 * The kernel's CO-RE selftests below a folder: every `test_core_reloc_X` with each of the objects `btf__core_reloc_Y` that
 * hold nothing but types to relocate it against, where X begins with the first part of Y.
 */
export function corePairs(objects: readonly ObjectFile[]): ObjectFile[] {
  const part = (name: string, prefix: string): string | undefined =>
    name.startsWith(prefix) ? name.slice(prefix.length).replace(/(__|\.).*/, "") : undefined;
  return objects.flatMap((object) => {
    const tested = part(object.name, "test_core_reloc_");
    if (tested === undefined) return [];
    return objects.flatMap((types): ObjectFile[] => {
      const described = part(types.name, "btf__core_reloc_");
      if (described === undefined || !tested.startsWith(described)) return [];
      return [{ path: object.path, name: `${object.name} with ${types.name}`, btf: types.path }];
    });
  });
}

/** Objects with the types that lie beside them: `X.bpf.o` with every `X.types_Y.bpf.o`. */
export function typePairs(objects: readonly ObjectFile[]): ObjectFile[] {
  return objects.flatMap((types): ObjectFile[] => {
    const [, subject] = /^(.*)\.types_[^/]*\.bpf\.o$/.exec(types.name) ?? [];
    const object = objects.find(({ name }) => name === `${subject}.bpf.o`);
    if (object === undefined) return [];
    return [{ path: object.path, name: `${object.name} with ${types.name}`, btf: types.path }];
  });
}

/** Compares all objects; `jobs` of them at a time. */
export async function compareCorpus(
  oracle: Oracle,
  objects: readonly ObjectFile[],
  jobs: number,
): Promise<ObjectComparison[]> {
  const results = new Map<ObjectFile, ObjectComparison>();
  const waiting = [...objects];
  const progress = new Progress(objects.length);
  const worker = async (): Promise<void> => {
    for (let object = waiting.shift(); object !== undefined; object = waiting.shift()) {
      results.set(object, await compareOne(oracle, object));
      progress.step(object.name);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  progress.end();
  return objects.map((object) => results.get(object)!);
}

async function compareOne(oracle: Oracle, object: ObjectFile): Promise<ObjectComparison> {
  const runs = async (each: boolean) => ({
    libbpf: await oracle.run("libbpf", object, each),
    bpfkit: await oracle.run("bpfkit", object, each),
  });
  const whole = await runs(false);
  const { libbpf, bpfkit } = whole;
  const openedByBoth = libbpf.report.opened && bpfkit.report.opened;
  const apart = openedByBoth && !(libbpf.report.loaded && bpfkit.report.loaded);
  const facts = factsOf(readFileSync(object.path));
  return compareObject({ name: object.name, facts }, whole, apart ? await runs(true) : undefined);
}

/** One line that is written over on a terminal, and a line every 15 seconds elsewhere. Short work tells nothing. */
class Progress {
  readonly #total: number;
  readonly #start = Date.now();
  #done = 0;
  #told = Date.now();

  constructor(total: number) {
    this.#total = total;
  }

  step(name: string): void {
    this.#done++;
    const tty = process.stderr.isTTY;
    if (Date.now() - this.#told < (tty ? 200 : 15_000)) return;
    this.#told = Date.now();
    const seconds = ((Date.now() - this.#start) / 1000).toFixed(0);
    const text = `${this.#done} of ${this.#total} objects, ${seconds} s, ${name}`;
    process.stderr.write(tty ? `\r\x1b[K${text}` : `${text}\n`);
  }

  end(): void {
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  }
}
