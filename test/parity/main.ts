// `npm run parity`: what bpfkit gives to the kernel for an object, against what libbpf gives.

import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { projectRoot } from "../matrix/bundle-paths.js";
import { compareCorpus, corePairs, findObjects, typePairs } from "./corpus.js";
import { type ParityRun, writeDocs } from "./docs.js";
import { findOracle, Oracle, setUpOracle } from "./oracle.js";
import { groupDifferences, reportText } from "./report.js";
import { writeTestmodTypes } from "./testmod-types.js";

const help = `Opens and loads objects with bpfkit and with libbpf, and compares what reaches the kernel.

  npm run parity                          the fixtures, as the kernel takes them
  npm run parity -- DIR|OBJECT…           these objects
  npm run parity -- --faked DIR           no program reaches the kernel, all loads succeed: for programs that this kernel
                                          cannot load, and for those that are meant to be refused
  npm run parity -- --faked --vmlinux FILE DIR   both see the BTF of another kernel
  npm run parity -- --faked --btf FILE DIR       CO-RE against the types of FILE, raw or in an object
  npm run parity -- --faked --core DIR    the kernel's CO-RE selftests in DIR, each with every set of types made for it
  npm run parity -- --only PATTERN        objects whose name matches the regular expression
  npm run parity -- --list N              N differences of each kind instead of the first
  npm run parity -- --json FILE           the comparison of every object as JSON, too
  npm run parity -- --strict              missing features fail the run, too
  npm run parity -- --write-docs          the fixtures real and faked, and the kernel's selftests faked against this
                                          kernel and every *.btf of the tools' folder; the result as docs/parity.md
  npm run parity -- --testmod             only adds the types of the selftests' kernel module to the tools' folder:
                                          6.12-testmod.btf, for --vmlinux
  npm run parity -- --setup DIR           builds the reference tools and the selftests in DIR, from Debian packages

Never without --faked: objects whose programs are meant to be refused. One of the kernel's selftests has brought a
kernel down in its verifier.
Needs: root, and the reference tools in $BPFKIT_ORACLE, /opt/oracle or ~/oracle (x86-64 only).
Environment: PARITY_JOBS objects at a time (2)
Exit status: 0 no unexplained difference, 1 some, 2 it could not run.
`;

/** Fixtures that only virtual machines load for real: made to be refused, or with programs that wait for newer kernels. */
const onlyForGuests = /(^|\/)(refused|tracepoints|tracing_multi|trampolines)\.bpf\.o$/;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: "boolean", short: "h" },
    faked: { type: "boolean", default: false },
    real: { type: "boolean", default: false },
    vmlinux: { type: "string" },
    btf: { type: "string" },
    core: { type: "boolean", default: false },
    list: { type: "string", default: "1" },
    json: { type: "string" },
    only: { type: "string" },
    strict: { type: "boolean", default: false },
    setup: { type: "string" },
    testmod: { type: "boolean", default: false },
    "write-docs": { type: "boolean", default: false },
  },
});

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 2;
}

async function main(): Promise<number> {
  if (values.help) return say(help);
  if (values.setup !== undefined) {
    setUpOracle(values.setup);
    writeTestmodTypes(values.setup);
    return 0;
  }
  if (values.faked && values.real) throw new Error("--faked or --real, not both");
  if (values.vmlinux !== undefined && !values.faked)
    throw new Error("--vmlinux wants --faked: ids of another kernel's BTF mean nothing to this one");
  const list = Number(values.list);
  if (!Number.isInteger(list) || list < 0) throw new Error("--list wants a whole number");
  const oracle = findOracle();
  if (values.testmod) {
    if (!writeTestmodTypes(oracle)) throw new Error(`${oracle} has no selftests: npm run parity -- --setup ${oracle}`);
    return 0;
  }
  setPriority(10);

  const planned = values["write-docs"] ? documentedRuns(oracle) : [askedRun()];
  const runs: ParityRun[] = [];
  for (const plan of planned) {
    const run = await compare(oracle, plan);
    if (planned.length > 1) say(`## ${run.title}\n\n`);
    say(`${reportText(run.comparisons, list)}${planned.length > 1 ? "\n" : ""}`);
    runs.push(run);
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(runs, undefined, 1)}\n`);
  if (values["write-docs"]) writeDocs(runs);
  return runs.some(failed) ? 1 : 0;
}

interface Plan {
  readonly title: string;
  readonly places: readonly string[];
  readonly faked: boolean;
  readonly vmlinux?: string | undefined;
  /** Types for CO-RE. */
  readonly btf?: string | undefined;
  /** The CO-RE selftests with their own types. */
  readonly core?: boolean;
}

function askedRun(): Plan {
  const places = positionals.length === 0 ? [join(projectRoot, "fixtures")] : positionals;
  const vmlinux = values.vmlinux === undefined ? undefined : resolve(values.vmlinux);
  const btf = values.btf === undefined ? undefined : resolve(values.btf);
  return { title: places.join(" "), places, faked: values.faked, vmlinux, btf, core: values.core };
}

/** What docs/parity.md tells. */
function documentedRuns(oracle: string): Plan[] {
  const fixtures = [join(projectRoot, "fixtures")];
  const selftests = [join(oracle, "selftests")];
  const plans: Plan[] = [
    { title: "Fixtures, loaded into this kernel", places: fixtures, faked: false },
    { title: "Fixtures, the kernel's answer faked", places: fixtures, faked: true },
  ];
  if (!existsSync(selftests[0]!)) return plans;
  const title = "The kernel's selftests, faked, against";
  plans.push({ title: `${title} this kernel's BTF`, places: selftests, faked: true });
  plans.push({
    title: "The kernel's CO-RE selftests, faked, against types made for them",
    places: selftests,
    faked: true,
    core: true,
  });
  for (const name of readdirSync(oracle).filter((file) => file.endsWith(".btf"))) {
    const vmlinux = join(oracle, name);
    plans.push({ title: `${title} the BTF of Linux ${name.slice(0, -4)}`, places: selftests, faked: true, vmlinux });
  }
  return plans;
}

async function compare(folder: string, { title, places, faked, vmlinux, btf, core }: Plan): Promise<ParityRun> {
  const found = findObjects(places).map((object) => ({ ...object, btf }));
  const only = values.only === undefined ? undefined : new RegExp(values.only);
  const objects = (core ? corePairs(found) : [...found, ...typePairs(found)])
    .filter(({ name }) => only?.test(name) ?? true)
    // A program that will be refused never reaches the verifier of a kernel that is in use.
    .filter(({ name }) => faked || !onlyForGuests.test(name));
  if (objects.length === 0) throw new Error(`no objects in ${places.join(", ")}`);
  const oracle = await Oracle.start(folder, { faked, vmlinux });
  try {
    return { title, comparisons: await compareCorpus(oracle, objects, Number(process.env.PARITY_JOBS ?? 2)) };
  } finally {
    oracle.close();
  }
}

function failed({ comparisons }: ParityRun): boolean {
  return groupDifferences(comparisons).some(
    ({ explanation }) => explanation === undefined || (values.strict && explanation.state === "gap"),
  );
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}
