// `npm run bench`: builds the package and measures it against the project's budgets, with libbpf, C loops and
// cilium/ebpf beside it where the reference tools are. Subjects take turns, round by round, so that a noisy neighbour
// hits all of them.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { constants, cpus, loadavg, release, setPriority } from "node:os";
import { parseArgs } from "node:util";
import { bigObject } from "./big-object.js";
import { coreSubject } from "./core-relocations.js";
import { globalSubject } from "./globals.js";
import { importSubject } from "./import.js";
import { kernelBtfSubject } from "./kernel-btf.js";
import { mapSubject } from "./maps.js";
import { formatTable, markdownTable, type Row, type Subject, verdict } from "./measure.js";
import { bigSubject, objectSubject } from "./objects.js";
import { findReferences, type References } from "./reference.js";
import { ringSubject } from "./ring.js";
import { loadBpfkit, pathOf } from "./target.js";
import { valueSubject } from "./values.js";

const usage = `usage: npm run bench -- [--rounds N] [--only import|btf|obj|big|core|map|value|ring|global] [--strict] [--write-docs]
  --rounds N    how often the subjects take turns (5)
  --only NAME   one subject
  --strict      exit status 1 when a budget is exceeded
  --write-docs  the table as docs/speed.md, too: only on a machine that does nothing else`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      only: { type: "string" },
      strict: { type: "boolean", default: false },
      "write-docs": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return console.log(usage);
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--rounds wants a whole number above 0");

  const built = spawnSync("npm", ["run", "--silent", "build"], { cwd: pathOf("."), stdio: "inherit" });
  if (built.status !== 0) throw new Error("the package does not build");

  if (values["write-docs"] && values.only !== undefined) throw new Error("--write-docs wants all subjects");

  const references = findReferences();
  const machine = `${cpus()[0]?.model}, ${cpus().length} CPUs; Linux ${release()}, Node ${process.version}`;
  console.log(`${machine}; load ${loadavg()[0]?.toFixed(1)}`);
  for (const reason of references.missing) console.log(`${reason}: absolute figures only, no ratios`);

  try {
    // Inherited by the C side: neighbours disturb both less.
    setPriority(constants.priority.PRIORITY_HIGHEST);
  } catch {
    console.log("not allowed to raise the priority: figures vary more");
  }
  const bpfkit = await loadBpfkit();
  const makers: Record<string, () => Subject | Promise<Subject>> = {
    import: importSubject,
    btf: () => kernelBtfSubject(references),
    obj: () => objectSubject(references),
    big: async () => bigSubject(await bigObject(), references),
    core: async () => coreSubject(await bigObject(), references),
    map: () => mapSubject(bpfkit, references),
    value: () => valueSubject(bpfkit, references),
    ring: () => ringSubject(bpfkit, references),
    global: () => globalSubject(bpfkit),
  };
  const wanted = values.only === undefined ? Object.keys(makers) : [values.only];
  const subjects: Subject[] = [];
  for (const name of wanted) {
    const make = makers[name];
    if (make === undefined) throw new Error(`no subject ${name}\n${usage}`);
    try {
      subjects.push(await make());
    } catch (error) {
      // Without privileges the parts that need no kernel are measured all the same.
      console.log(`${name}: left out: ${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
    }
  }
  try {
    for (let round = 0; round < rounds; round++) for (const subject of subjects) subject.round();
    const rows = subjects.flatMap((subject) => subject.rows());
    console.log(formatTable(rows));
    console.log(`C: ${peerNames(references)}`);
    if (values["write-docs"]) writeDocs(rows, machine, rounds, references);
    const over = rows.filter((row) => verdict(row).over).length;
    if (over > 0) console.log(`${over} over budget`);
    if (over > 0 && values.strict) process.exitCode = 1;
  } finally {
    for (const subject of subjects) subject.close?.();
  }
}

function peerNames({ libbpf, loader, loops, ring, cilium }: References): string {
  const names = [libbpf, loader, loops, ring, cilium].map((peer) => peer?.impl).filter((name) => name !== undefined);
  return names.length === 0 ? "nothing to compare with" : [...new Set(names)].join(", ");
}

function writeDocs(rows: readonly Row[], machine: string, rounds: number, references: References): void {
  const text = `# Speed

Written by \`npm run bench -- --write-docs\`, in ${rounds} rounds in which all take turns; the minimum counts, the median shows
how quiet the machine was. Ratios compare bpfkit with C or libbpf. "Without the verifier" is less the time inside
\`BPF_PROG_LOAD\`, which is the kernel's; for cilium/ebpf that is not known.

${machine}; beside it ${peerNames(references)}.

${markdownTable(rows)}
`;
  writeFileSync(pathOf("docs/speed.md"), text);
}

await main();
