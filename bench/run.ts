// `npm run bench`: builds the package and measures it against the project's budgets, with libbpf and C loops beside it
// where the reference tools are. Subjects take turns, round by round, so that a noisy neighbour hits all of them.
import { spawnSync } from "node:child_process";
import { constants, cpus, loadavg, release, setPriority } from "node:os";
import { parseArgs } from "node:util";
import { globalSubject } from "./globals.js";
import { importSubject } from "./import.js";
import { kernelBtfSubject } from "./kernel-btf.js";
import { mapSubject } from "./maps.js";
import { formatTable, type Subject, verdict } from "./measure.js";
import { objectSubject } from "./objects.js";
import { Reference } from "./reference.js";
import { loadBpfkit, pathOf } from "./target.js";

const usage = `usage: npm run bench -- [--rounds N] [--only import|btf|obj|map|global] [--strict]
  --rounds N   how often the subjects take turns (5)
  --only NAME  one subject
  --strict     exit status 1 when a budget is exceeded`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      only: { type: "string" },
      strict: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return console.log(usage);
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--rounds wants a whole number above 0");

  const built = spawnSync("npm", ["run", "--silent", "build"], { cwd: pathOf("."), stdio: "inherit" });
  if (built.status !== 0) throw new Error("the package does not build");

  const reference = Reference.find();
  console.log(
    `${cpus()[0]?.model}, ${cpus().length} CPUs, load ${loadavg()[0]?.toFixed(1)}; Linux ${release()}, Node ${process.version}`,
  );
  console.log(
    reference === undefined
      ? "no bench-libbpf here (looked in $BPFKIT_ORACLE, /opt/oracle, ~/oracle): absolute figures only, no ratios"
      : `C: ${reference}`,
  );

  try {
    // Inherited by the C side: neighbours disturb both less.
    setPriority(constants.priority.PRIORITY_HIGHEST);
  } catch {
    console.log("not allowed to raise the priority: figures vary more");
  }
  const bpfkit = await loadBpfkit();
  const makers: Record<string, () => Subject> = {
    import: importSubject,
    btf: () => kernelBtfSubject(reference),
    obj: () => objectSubject(bpfkit, reference),
    map: () => mapSubject(bpfkit, reference),
    global: () => globalSubject(bpfkit),
  };
  const wanted = values.only === undefined ? Object.keys(makers) : [values.only];
  const subjects: Subject[] = [];
  for (const name of wanted) {
    const make = makers[name];
    if (make === undefined) throw new Error(`no subject ${name}\n${usage}`);
    try {
      subjects.push(make());
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
    const over = rows.filter((row) => verdict(row).over).length;
    if (over > 0) console.log(`${over} over budget`);
    if (over > 0 && values.strict) process.exitCode = 1;
  } finally {
    for (const subject of subjects) subject.close?.();
  }
}

await main();
