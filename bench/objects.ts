// Open, load and close a whole object, warm: `minimal`, and `core` with its CO-RE relocations. libbpf parses the kernel's
// BTF again for every object that needs it; bpfkit keeps it while somebody uses it, and here nobody lets go in between.
import { figure, type Subject, time } from "./measure.js";
import type { Reference } from "./reference.js";
import { type loadBpfkit, pathOf } from "./target.js";

const RUNS = 25;
/** Not counted: until V8 has compiled the code, JavaScript measures V8. */
const WARM_UP = 300;
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
      ]);
    },
  };
}
