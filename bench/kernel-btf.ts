// The kernel's BTF: getting the blob, opening it and building the index by name (the first search does that), then
// memory beyond the blob. Every measurement is one fresh process, because that is how a loader meets it; the warm
// figures repeat it in the same process and are what libbpf's figure is, too.
import { execFileSync } from "node:child_process";
import { figure, type Subject } from "./measure.js";
import type { References } from "./reference.js";
import { builtUrl } from "./target.js";

const WARM_RUNS = 9;

const child = `
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
const { Btf } = await import(process.argv[1]);
const now = () => Number(process.hrtime.bigint()) / 1e6;
const memory = () => { gc(); const { heapUsed, arrayBuffers } = process.memoryUsage(); return heapUsed + arrayBuffers; };
const path = "/sys/kernel/btf/vmlinux";
const read = () => readFileSync(path);
const { MappedRegion } = await import(process.argv[2]);
const map = () => { // as the loader gets it: mapped since Linux 6.16
  const fd = openSync(path, "r");
  try {
    return MappedRegion.map(fd, { length: fstatSync(fd).size, shared: false }).leave();
  } catch {
    return read();
  } finally {
    closeSync(fd);
  }
};
const open = (bytes) => {
  const start = now();
  const btf = Btf.parse(bytes, { trusted: true }); // as the loader opens it
  const parsed = now();
  if (btf.findByName("task_struct", "struct") === undefined) throw new Error("no task_struct");
  return { btf, parse: parsed - start, total: now() - start };
};
const before = memory();
const bytes = read();
const cold = open(bytes);
const beyond = (memory() - before - bytes.length) / 2 ** 20;
const warm = Array.from({ length: ${WARM_RUNS} }, () => {
  const start = now();
  const blob = map();
  const { parse, total } = open(blob);
  return { parse, total, withBlob: now() - start };
});
const names = ["task_struct", "sock", "inode", "bpf_map", "sk_buff", "file"];
const find = Array.from({ length: ${WARM_RUNS} }, () => {
  const start = now();
  for (let i = 0; i < 6000; i++) if (cold.btf.findByName(names[i % 6], "struct") === undefined) throw new Error("lost");
  return (now() - start) * 1e6 / 6000;
});
console.log(JSON.stringify({ types: cold.btf.typeCount, blob: bytes.length, cold: cold.total, beyond, warm, find }));
`;

interface Result {
  readonly types: number;
  readonly blob: number;
  readonly cold: number;
  readonly beyond: number;
  readonly warm: readonly { readonly parse: number; readonly total: number; readonly withBlob: number }[];
  readonly find: readonly number[];
}

export function kernelBtfSubject({ libbpf, cilium }: References): Subject {
  const results: Result[] = [];
  return {
    name: "btf",
    round() {
      const args = [
        "--expose-gc",
        "--input-type=module",
        "-e",
        child,
        builtUrl("btf/index.js"),
        builtUrl("syscall/index.js"),
      ];
      results.push(JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as Result);
      libbpf?.run(["--only", "btf"]);
      cilium?.run(["-only", "btf"]);
    },
    rows() {
      const first = results[0]!;
      const warm = results.flatMap((result) => result.warm);
      const size = `${first.types} types, ${(first.blob / 1e6).toFixed(1)} MB`;
      return [
        {
          subject: "kernel BTF: open and index, first in a process",
          unit: "ms",
          ours: figure(results.map(({ cold }) => cold)),
          budget: { limit: 10 },
          note: size,
        },
        {
          subject: "kernel BTF: open and index, warm",
          unit: "ms",
          ours: figure(warm.map(({ total }) => total)),
          budget: { limit: 10 },
          note: `opening alone ${figure(warm.map(({ parse }) => parse)).min.toFixed(2)}`,
        },
        {
          subject: "kernel BTF: map (or read), open and index, warm",
          unit: "ms",
          ours: figure(warm.map(({ withBlob }) => withBlob)),
          reference: libbpf?.figure("btf.parse vmlinux", 1e-3),
          cilium: cilium?.figure("btf.parse vmlinux", 1e-3),
          note: "libbpf builds no index",
        },
        {
          subject: "kernel BTF: memory beyond the blob",
          unit: "MiB",
          ours: figure(results.map(({ beyond }) => beyond)),
          budget: { limit: 3 },
        },
        {
          subject: "kernel BTF: find a struct by name",
          unit: "ns",
          ours: figure(results.flatMap(({ find }) => find)),
          reference: libbpf?.figure("btf.find_by_name_kind struct"),
          cilium: cilium?.figure("btf.find_by_name_kind struct"),
        },
      ];
    },
  };
}
