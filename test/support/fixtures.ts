// The prebuilt objects of fixtures/, and what tests of loaded programs share.

import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type BpfObject, BpfObject as Objects, type OpenOptions } from "../../src/index.js";
import { progTestRun, type TestRunResult } from "../../src/syscall/index.js";

/** Path of a prebuilt object. Tests are started in the project's folder, also in the guests of the matrix. */
export function fixturePath(name: string): string {
  return resolve("fixtures", `${name}.bpf.o`);
}

/** A private copy of a prebuilt object (not a Buffer: their slice() does not copy). */
export function fixtureBytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(fixturePath(name)));
}

/** Names of all prebuilt objects. */
export function fixtureNames(): string[] {
  return readdirSync("fixtures")
    .filter((file) => file.endsWith(".bpf.o"))
    .map((file) => file.slice(0, -".bpf.o".length));
}

/** Opens a fixture, lets `edit` change it, loads it, and closes it after `body`. */
export async function withLoaded<T>(
  name: string,
  edit: (obj: BpfObject) => void,
  body: (obj: BpfObject) => T | Promise<T>,
  options?: OpenOptions,
): Promise<T> {
  const obj = Objects.open(fixturePath(name), options);
  try {
    edit(obj);
    obj.loadSync();
    return await body(obj);
  } finally {
    obj.close();
  }
}

/** An edit for {@link withLoaded}: only these programs are loaded. */
export function only(...names: string[]): (obj: BpfObject) => void {
  return (obj) => {
    for (const program of obj.programs) program.autoload = names.includes(program.name);
  };
}

/** Opens a fixture, lets `edit` change it, loads it; what that throws, and undefined when it did not. All is closed again. */
export function loadError(name: string, edit: (obj: BpfObject) => void, options?: OpenOptions): unknown {
  const obj = Objects.open(fixturePath(name), options);
  try {
    edit(obj);
    obj.loadSync();
    return undefined;
  } catch (error) {
    return error;
  } finally {
    obj.close();
  }
}

/** Runs a loaded socket filter on an empty packet. */
export function runFilter(obj: BpfObject, program: string): number {
  return progTestRun({ program: obj.program(program).fd, data: new Uint8Array(64) }).returnValue;
}

/** Runs a loaded program of section `syscall` with a context, which the program may write to. */
export function runSyscall(obj: BpfObject, program: string, context = new Uint8Array(0)): TestRunResult {
  return progTestRun({ program: obj.program(program).fd, context, contextOutSize: context.length });
}

/** Descriptors that this process has open. */
export function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** The same as {@link eventually} without leaving the thread, for those who are in a namespace. */
export function soon(condition: () => boolean, timeoutMs = 20_000): boolean {
  const end = performance.now() + timeoutMs;
  while (!condition()) if (performance.now() > end) return false;
  return true;
}

/** Waits until `condition` holds; false when it does not within `timeoutMs`. */
export async function eventually(condition: () => boolean, timeoutMs = 20_000): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end) return false;
    await new Promise((done) => setTimeout(done, 5));
  }
  return true;
}
