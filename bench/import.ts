// What `import "bpfkit"` costs, in a process of its own each time, and that koffi is not loaded by it.
import { execFileSync } from "node:child_process";
import { figure, type Subject } from "./measure.js";
import { builtUrl } from "./target.js";

/** Times the import inside the child; a native library that is loaded appears among the shared objects. */
const child = `
const start = process.hrtime.bigint();
await import(process.argv[1]);
const ms = Number(process.hrtime.bigint() - start) / 1e6;
const native = process.report.getReport().sharedObjects.filter((path) => path.endsWith(".node"));
console.log(JSON.stringify({ ms, native }));
`;

export function importSubject(): Subject {
  const sample: number[] = [];
  const native = new Set<string>();
  return {
    name: "import",
    round() {
      for (let run = 0; run < 5; run++) {
        const output = execFileSync(process.execPath, ["--input-type=module", "-e", child, builtUrl("index.js")], {
          encoding: "utf8",
        });
        const result = JSON.parse(output) as { ms: number; native: string[] };
        sample.push(result.ms);
        for (const path of result.native) native.add(path);
      }
    },
    rows() {
      const note = native.size === 0 ? "no native code loaded" : `LOADED ${[...native].join(", ")}`;
      return [{ subject: "import bpfkit", unit: "ms", ours: figure(sample), budget: { limit: 30 }, note }];
    },
  };
}
