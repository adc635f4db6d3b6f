// CO-RE by the relocation, on the records of the 13 MB object against the running kernel: a type met for the first time
// (its candidates are searched), a field met for the first time, and one that is known. libbpf has no function for one
// relocation; beside the average stands what its relocating of all programs takes, divided by their number.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { CoreRelocationRecord } from "../src/btf/index.js";
import { figure, type Subject } from "./measure.js";
import type { References } from "./reference.js";
import { builtUrl } from "./target.js";

/** A relocation and a private copy of the instructions that it patches. */
interface Relocation {
  readonly insns: Uint8Array;
  readonly record: CoreRelocationRecord;
}

const groups = ["type", "field", "known"] as const;

export async function coreSubject(path: string, references: References): Promise<Subject> {
  const { Btf } = (await import(builtUrl("btf/index.js"))) as typeof import("../src/btf/index.js");
  const { openObject } = (await import(builtUrl("object/index.js"))) as typeof import("../src/object/index.js");
  const { CoreRelocator } = (await import(
    builtUrl("core-reloc/index.js")
  )) as typeof import("../src/core-reloc/index.js");
  const kernel = Btf.parse(readFileSync("/sys/kernel/btf/vmlinux"), { trusted: true });
  kernel.findByName("task_struct"); // makes the index of names
  const { programs, btf } = openObject(readFileSync(path), { name: "big" });
  if (btf === undefined) throw new Error(`${path} has no type information`);
  const samples = { type: [] as number[], field: [] as number[], known: [] as number[], all: [] as number[] };
  const count = programs.reduce((sum, { coreRelocations }) => sum + coreRelocations.length, 0);
  return {
    name: "core",
    round() {
      const groupsOf = grouped();
      const relocator = new CoreRelocator(btf, { kernel });
      let total = 0;
      for (const group of groups) {
        const list = groupsOf[group];
        const start = process.hrtime.bigint();
        for (const { insns, record } of list) relocator.apply(insns, record);
        const duration = Number(process.hrtime.bigint() - start);
        samples[group].push(duration / list.length);
        total += duration;
      }
      samples.all.push(total / count);
      references.loader?.run(["1"], [path]);
    },
    rows() {
      const { loader } = references;
      const file = basename(path);
      const [all, none] = ["prepare", "prepare-no-programs"].map((what) => loader?.figure(`${what} ${file}`, 1000));
      const average = (which: "min" | "median"): number => (all![which] - none![which]) / count;
      const row = (subject: string, sample: readonly number[]) => ({ subject, unit: "ns", ours: figure(sample) });
      return [
        { ...row("CO-RE: first relocation of a type", samples.type), note: "searches its candidates" },
        { ...row("CO-RE: first of a field, type known", samples.field), budget: { limit: 1000 } },
        { ...row("CO-RE: of a known field", samples.known), budget: { limit: 1000 } },
        {
          ...row("CO-RE: average of the 13 MB object", samples.all),
          reference: all && none && { min: average("min"), median: average("median") },
          note: `${count} relocations`,
        },
      ];
    },
  };

  function grouped(): Record<(typeof groups)[number], Relocation[]> {
    const result = { type: [] as Relocation[], field: [] as Relocation[], known: [] as Relocation[] };
    const types = new Set<number>();
    const fields = new Set<string>();
    for (const program of programs) {
      const insns = program.insns.slice();
      for (const record of program.coreRelocations) {
        const field = `${record.typeId} ${record.accessOffset} ${record.kind}`;
        const group = !types.has(record.typeId) ? "type" : !fields.has(field) ? "field" : "known";
        types.add(record.typeId);
        fields.add(field);
        result[group].push({ insns, record });
      }
    }
    return result;
  }
}
