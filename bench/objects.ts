// Open, load and close a whole object, warm: `minimal`, and `core` with its CO-RE relocations. libbpf parses the kernel's
// BTF again for every object that needs it; bpfkit keeps it while somebody uses it, and here nobody lets go in between.
import { execFileSync } from "node:child_process";
import { figure, type Subject, time } from "./measure.js";
import type { Reference } from "./reference.js";
import { builtUrl, type loadBpfkit, pathOf } from "./target.js";

const RUNS = 25;
/** Not counted: until V8 has compiled the code, JavaScript measures V8. */
const WARM_UP = 1000;
const objects = [
  { name: "minimal", budget: { ratio: 2 } },
  { name: "core", budget: { ratio: 1 } },
] as const;

/** What a user waits for: the first object of a process, koffi's loading and uncompiled code included. */
const child = `
const { BpfObject } = await import(process.argv[1]);
const start = process.hrtime.bigint();
const obj = BpfObject.open(process.argv[2]);
obj.loadSync();
obj.close();
console.log(Number(process.hrtime.bigint() - start) / 1e6);
`;

export function objectSubject(
  bpfkit: Awaited<ReturnType<typeof loadBpfkit>>,
  reference: Reference | undefined,
): Subject {
  const opened = new Map<string, number[]>();
  const whole = new Map<string, number[]>();
  const first = new Map<string, number[]>();
  const keep = (all: Map<string, number[]>, name: string, sample: readonly number[]): void => {
    all.set(name, [...(all.get(name) ?? []), ...sample]);
  };
  const openAndClose = (path: string): void => bpfkit.BpfObject.open(path).close();
  const openLoadClose = (path: string): void => {
    const obj = bpfkit.BpfObject.open(path);
    obj.loadSync();
    obj.close();
  };
  for (const { name } of objects) time(WARM_UP, 1, () => openLoadClose(pathOf(`fixtures/${name}.bpf.o`)));
  return {
    name: "obj",
    round() {
      for (const { name } of objects) {
        const path = pathOf(`fixtures/${name}.bpf.o`);
        for (let run = 0; run < 3; run++) {
          const args = ["--input-type=module", "-e", child, builtUrl("index.js"), path];
          keep(first, name, [Number(execFileSync(process.execPath, args, { encoding: "utf8" }))]);
        }
        keep(
          opened,
          name,
          time(RUNS, 1000, () => openAndClose(path)),
        );
        keep(
          whole,
          name,
          time(RUNS, 1000, () => openLoadClose(path)),
        );
      }
      reference?.run(
        "obj",
        objects.map(({ name }) => pathOf(`fixtures/${name}.bpf.o`)),
      );
    },
    rows() {
      return objects.flatMap(({ name, budget }) => [
        {
          subject: `${name}: open (and close)`,
          unit: "µs",
          ours: figure(opened.get(name) ?? []),
          reference: reference?.figure(`obj.open ${name}.bpf.o`),
        },
        {
          subject: `${name}: open, load, close`,
          unit: "µs",
          ours: figure(whole.get(name) ?? []),
          reference: reference?.figure(`obj.open+load+close ${name}.bpf.o`),
          budget,
        },
        { subject: `${name}: the same, first in a process`, unit: "ms", ours: figure(first.get(name) ?? []) },
      ]);
    },
  };
}
