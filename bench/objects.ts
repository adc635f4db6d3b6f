// Open, load and close a whole object, with the verifier's time and without it. `minimal` and `core` (with its CO-RE
// relocations) are measured warm, and by the first object of a process; libbpf parses the kernel's BTF again for every
// object that needs it, bpfkit keeps it while somebody uses it. The 13 MB object is measured in fresh processes only, on
// both sides.

import { basename } from "node:path";
import { type LoadRun, loadInChild } from "./load-child.js";
import { figure, type Row, type Subject } from "./measure.js";
import type { References } from "./reference.js";
import { pathOf } from "./target.js";

/** Not counted: until V8 has compiled the code, JavaScript measures V8. */
const WARM_UP = 1000;
const RUNS = 25;
const PEER_RUNS = 15;

const parts = {
  open: { title: "open", of: ({ open }: LoadRun) => open, libbpf: "open", cilium: "obj.open" },
  whole: {
    title: "open, load, close",
    of: ({ open, load, close }: LoadRun) => open + load + close,
    libbpf: "open+load+close",
    cilium: "obj.open+load+close",
  },
  own: {
    title: "the same without the verifier",
    of: ({ open, load, close, verifier }: LoadRun) => open + load + close - verifier,
    libbpf: "open+load+close-verifier",
    cilium: undefined,
  },
} as const;

type Budgets = Partial<Record<keyof typeof parts, Row["budget"]>>;

/** One object: what bpfkit took, beside what the others did. `scale` turns milliseconds into the row's unit. */
class Measured {
  readonly path: string;
  readonly runs: LoadRun[] = [];
  readonly #title: string;
  readonly #references: References;

  constructor(title: string, path: string, references: References) {
    this.#title = title;
    this.path = path;
    this.#references = references;
  }

  rows(unit: "ms" | "µs", budgets: Budgets): Row[] {
    const scale = unit === "ms" ? 1 : 1000;
    const { loader, cilium } = this.#references;
    const file = basename(this.path);
    return (Object.keys(parts) as (keyof typeof parts)[]).map((name) => {
      const part = parts[name];
      return {
        subject: `${this.#title}: ${part.title}`,
        unit,
        ours: figure(this.runs.map((run) => part.of(run) * scale)),
        reference: loader?.figure(`${part.libbpf} ${file}`, scale / 1000),
        cilium: part.cilium && cilium?.figure(`${part.cilium} ${file}`, scale / 1000),
        budget: budgets[name],
      };
    });
  }
}

/** `minimal` and `core`. */
export function objectSubject(references: References): Subject {
  const budgets: Record<string, Budgets> = {
    minimal: { whole: { ratio: 2 } },
    core: { whole: { ratio: 1 }, own: { ratio: 1 } },
  };
  const objects = Object.keys(budgets).map((name) => ({
    name,
    warm: new Measured(name, pathOf(`fixtures/${name}.bpf.o`), references),
    first: [] as number[],
  }));
  return {
    name: "obj",
    round() {
      for (const { warm, first } of objects) {
        for (let run = 0; run < 3; run++) first.push(...loadInChild(warm.path, 0, 1).runs.map(parts.whole.of));
        warm.runs.push(...loadInChild(warm.path, WARM_UP, RUNS).runs);
      }
      const paths = objects.map(({ warm }) => warm.path);
      references.loader?.run([String(PEER_RUNS)], paths);
      // Not core.bpf.o: cilium/ebpf relocates it into programs that the verifier refuses.
      references.cilium?.run(["-only", "obj"], paths.slice(0, 1));
    },
    rows() {
      return objects.flatMap(({ name, warm, first }) => [
        ...warm.rows("µs", budgets[name]!),
        { subject: `${name}: open, load, close, first in a process`, unit: "ms", ours: figure(first) },
      ]);
    },
  };
}

/** The 13 MB object at `path`. */
export function bigSubject(path: string, references: References): Subject {
  const big = new Measured("13 MB", path, references);
  const memory: number[] = [];
  return {
    name: "big",
    round() {
      const result = loadInChild(path, 0, 1);
      big.runs.push(...result.runs);
      memory.push(result.memory);
      references.loader?.run(["1"], [path]);
      // Repeats by itself, and its process is warm after the first time.
      if (memory.length === 1) references.cilium?.run(["-only", "obj"], [path]);
    },
    rows() {
      return [
        ...big.rows("ms", { own: { ratio: 1 } }),
        {
          subject: "13 MB: peak memory of the process",
          unit: "MiB",
          ours: figure(memory),
          reference: references.loader?.figure(`memory ${basename(path)}`),
          budget: { limit: 300 },
        },
      ];
    },
  };
}
