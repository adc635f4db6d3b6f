// Names for addresses: of the kernel from /proc/kallsyms, of processes from the files that they have mapped, and of code that
// a virtual machine made from the map that it wrote (node --perf-basic-prof, java with perf-map-agent).

import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { BinaryFunctions } from "bpfkit/elf";

/** Names by address: the function that begins last before it. */
class Names {
  readonly #starts: readonly bigint[];
  readonly #names: readonly string[];

  constructor(symbols: Iterable<readonly [start: bigint, name: string]>) {
    const sorted = [...symbols].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#starts = sorted.map(([start]) => start);
    this.#names = sorted.map(([, name]) => name);
  }

  find(address: bigint): string | undefined {
    let [low, high] = [0, this.#starts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle]! <= address) low = middle + 1;
      else high = middle;
    }
    return this.#names[low - 1];
  }
}

/** Functions of the running kernel. */
export function kernelNames(): (address: bigint) => string {
  const lines = readFileSync("/proc/kallsyms", "utf8").matchAll(/^(?!0+ )([0-9a-f]+) [tTwW] (\S+)/gm);
  const names = new Names(Array.from(lines, ([, start, name]) => [BigInt(`0x${start}`), name!]));
  return (address) => names.find(address) ?? "[unknown]";
}

interface Mapping {
  readonly start: bigint;
  readonly end: bigint;
  /** Bytes from the beginning of the file. */
  readonly offset: bigint;
  readonly path: string;
}

/** Functions of processes; what is read of a process or a file is read once. */
export function userNames(): (pid: number, address: bigint) => string {
  const mappings = memoize((pid: number) => readMappings(pid));
  const files = memoize((path: string) => readFunctions(path));
  const generated = memoize((pid: number) => readPerfMap(pid));
  return (pid, address) => {
    const mapping = mappings(pid).find(({ start, end }) => start <= address && address < end);
    if (mapping === undefined) return "[unknown]";
    const { path, start, offset } = mapping;
    if (!path.startsWith("/")) return generated(pid).find(address) ?? (path || "[unknown]");
    return files(`/proc/${pid}/root${path}`).find(address - start + offset) ?? `[${path.replace(/.*\//, "")}]`;
  };
}

function readMappings(pid: number): Mapping[] {
  const line = /^([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) \S+ \d+ *(.*)$/gm;
  return Array.from(textOf(`/proc/${pid}/maps`).matchAll(line), ([, start, end, offset, path]) => ({
    start: BigInt(`0x${start}`),
    end: BigInt(`0x${end}`),
    offset: BigInt(`0x${offset}`),
    path: path!,
  }));
}

function readFunctions(path: string): Names {
  try {
    const fd = openSync(path, "r");
    try {
      const read = (offset: number, length: number): Uint8Array => {
        const bytes = new Uint8Array(length);
        return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
      };
      const functions = new BinaryFunctions({ size: fstatSync(fd).size, read }).all();
      return new Names(Array.from(functions, ({ offset, name }) => [BigInt(offset), name.replace(/@.*/, "")]));
    } finally {
      closeSync(fd);
    }
  } catch {
    return new Names([]); // gone, or no ELF file
  }
}

function readPerfMap(pid: number): Names {
  const lines = textOf(`/tmp/perf-${pid}.map`).matchAll(/^([0-9a-f]+) [0-9a-f]+ (.+)$/gm);
  return new Names(Array.from(lines, ([, start, name]) => [BigInt(`0x${start}`), name!]));
}

/** "" for what is not there: processes end. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function memoize<Key, Value>(make: (key: Key) => Value): (key: Key) => Value {
  const known = new Map<Key, Value>();
  return (key) => {
    if (!known.has(key)) known.set(key, make(key));
    return known.get(key)!;
  };
}
