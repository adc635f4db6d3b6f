// The bpfkit side of the loader figures, as a process of its own: plain JavaScript, run with `node -e` on the built
// package. It stands between bpfkit and koffi's `syscall` to take the time inside BPF_PROG_LOAD, which is the kernel's.
import { execFileSync } from "node:child_process";
import { builtUrl } from "./target.js";

/** Milliseconds of every measured run; what was spent inside BPF_PROG_LOAD is part of `load`. */
export interface LoadRun {
  readonly open: number;
  readonly load: number;
  readonly close: number;
  readonly verifier: number;
}

/** What one child measured. */
export interface LoadResult {
  readonly runs: readonly LoadRun[];
  /** Peak resident memory, MiB. */
  readonly memory: number;
}

const child = `
import { createRequire } from "node:module";
const [index, path, warmUp, runs] = process.argv.slice(1);
const koffi = createRequire(index)("koffi");
const now = () => Number(process.hrtime.bigint()) / 1e6;
let verifier = 0;
const { load } = koffi;
koffi.load = (file) => {
  const library = load(file);
  return {
    func(name, result, types) {
      const call = library.func(name, result, types);
      // bpf() is the one function with a prototype of its own: syscall(long, int command, void *attr, uint32_t size)
      if (types.length !== 4) return call;
      return (number, command, attr, size) => {
        if (command !== 5) return call(number, command, attr, size);
        const start = now();
        const fd = call(number, command, attr, size);
        verifier += now() - start;
        return fd;
      };
    },
  };
};
const { BpfObject } = await import(index);
const once = () => {
  verifier = 0;
  const start = now();
  const obj = BpfObject.open(path);
  const opened = now();
  obj.loadSync();
  const loaded = now();
  obj.close();
  return { open: opened - start, load: loaded - opened, close: now() - loaded, verifier };
};
for (let i = 0; i < Number(warmUp); i++) once();
const measured = Array.from({ length: Number(runs) }, once);
console.log(JSON.stringify({ runs: measured, memory: process.resourceUsage().maxRSS / 1024 }));
`;

/** Opens, loads and closes an object `warmUp` times in vain and `runs` times measured. */
export function loadInChild(path: string, warmUp: number, runs: number): LoadResult {
  const args = ["--input-type=module", "-e", child, builtUrl("index.js"), path, String(warmUp), String(runs)];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as LoadResult;
}
