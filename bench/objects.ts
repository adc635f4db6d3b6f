// Open, load and close a whole object, warm: `minimal`, and `core` with its CO-RE relocations. libbpf parses the kernel's
// BTF again for every object that needs it; bpfkit keeps it while somebody uses it, and here nobody lets go in between.
import { figure, type Subject, time } from "./measure.js";
import type { Reference } from "./reference.js";
import { type loadBpfkit, pathOf } from "./target.js";

const RUNS = 9;
const objects = [
  { name: "minimal", budget: { ratio: 2 } },
  { name: "core", budget: { ratio: 1 } },
] as const;

export function objectSubject(
  bpfkit: Awaited<ReturnType<typeof loadBpfkit>>,
  reference: Reference | undefined,
): Subject {
  const opened = new Map<string, number[]>();
  const whole = new Map<string, number[]>();
  const keep = (all: Map<string, number[]>, name: string, sample: readonly number[]): void => {
    all.set(name, [...(all.get(name) ?? []), ...sample]);
  };
  return {
    name: "obj",
    round() {
      for (const { name } of objects) {
        const path = pathOf(`fixtures/${name}.bpf.o`);
        const open = time(RUNS, 1000, () => bpfkit.BpfObject.open(path).close());
        keep(opened, name, open);
        const load = time(RUNS, 1000, () => {
          const obj = bpfkit.BpfObject.open(path);
          obj.loadSync();
          obj.close();
        });
        keep(whole, name, load);
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
      ]);
    },
  };
}
