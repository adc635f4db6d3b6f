// The process that runs damaged inputs. It may hang or die: its parent knows the input from the file that is written
// before each run. Speaks JSON, one message a line.

import { mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import process, { argv, stdout } from "node:process";
import { pretend } from "../../src/kernel/features.js";
import { setLogger } from "../../src/log.js";
import { Coverage } from "./coverage.js";
import { minimize } from "./minimize.js";
import { JOURNAL_HEAD, type WorkerMessage, type WorkerTask } from "./protocol.js";
import { type Finding, FuzzSession, judge } from "./session.js";
import { targets } from "./targets.js";

/** Inputs, and milliseconds, between two looks at coverage. */
const BATCH = { inputs: 1000, time: 80 } as const;
/** Milliseconds that a target runs before the next one's turn. */
const SLICE = 1000;

const say = (message: WorkerMessage): boolean => stdout.write(`${JSON.stringify(message)}\n`);

function main(task: WorkerTask): void {
  // Composes every message, reads none; asks the kernel nothing.
  setLogger(() => {});
  pretend("ldimm64_full_range_off", true);
  const chosen = targets.filter(({ name }) => task.targets.includes(name));
  if (task.replay !== undefined) {
    const finding = judge(chosen[0]!, new Uint8Array(readFileSync(task.replay)));
    if (finding !== undefined) report(task, finding);
    say({ kind: "done" });
    return;
  }
  const coverage = task.coverage ? new Coverage(import.meta.url) : undefined;
  const journal = openSync(task.journal, "w+");
  const head = new Uint32Array(JOURNAL_HEAD / 4);
  const sessions = chosen.map(
    (target, i) =>
      new FuzzSession(target, {
        seed: task.seed + i,
        before: (input) => {
          head.set([targets.indexOf(target), head[1]! + 1, input.length]);
          writeSync(journal, input, 0, input.length, JOURNAL_HEAD);
          writeSync(journal, head, 0, JOURNAL_HEAD, 0);
        },
      }),
  );
  const known = new Set<string>();
  const run = (session: FuzzSession, input: Uint8Array): void => {
    const finding = session.run(input);
    if (finding === undefined || known.has(finding.key)) return;
    known.add(finding.key);
    report(task, small(session, finding));
  };
  for (const session of sessions) for (const input of session.seeds) run(session, input);
  coverage?.anythingNew(true);

  const end = performance.now() + task.seconds * 1000;
  const parent = process.ppid;
  // An orphan has nobody to tell.
  while (performance.now() < end && process.ppid === parent) {
    for (const session of sessions) {
      const turn = Math.min(performance.now() + SLICE, end);
      while (performance.now() < turn) {
        const batch: Uint8Array[] = [];
        const look = Math.min(performance.now() + BATCH.time, turn);
        while (batch.length < BATCH.inputs && performance.now() < look) {
          const input = session.next();
          batch.push(input);
          run(session, input);
        }
        if (coverage?.anythingNew(false)) keepNew(session, coverage, batch);
      }
      progress(sessions, coverage);
    }
  }
  say({ kind: "done" });
}

function progress(sessions: readonly FuzzSession[], coverage: Coverage | undefined): void {
  say({
    kind: "progress",
    executions: Object.fromEntries(sessions.map(({ target, executions }) => [target.name, executions])),
    blocks: coverage?.blocks ?? 0,
    kept: sessions.reduce((sum, { kept }) => sum + kept, 0),
    ownErrors: [...new Set(sessions.flatMap(({ ownErrors }) => [...ownErrors]))],
  });
}

/** Keeps those inputs of a batch that reach something new, by halves. */
function keepNew(session: FuzzSession, coverage: Coverage, batch: readonly Uint8Array[]): void {
  for (const input of batch) session.run(input);
  const [only] = batch;
  if (!coverage.anythingNew(batch.length === 1)) return;
  if (batch.length === 1) {
    session.keep(only!);
    return;
  }
  const middle = batch.length >> 1;
  keepNew(session, coverage, batch.slice(0, middle));
  keepNew(session, coverage, batch.slice(middle));
}

function small(session: FuzzSession, finding: Finding): Finding {
  if (finding.kind !== "foreign error") return finding;
  const input = minimize(
    finding.input,
    session.seeds,
    (candidate) => judge(session.target, candidate)?.key === finding.key,
  );
  return judge(session.target, input) ?? finding;
}

let count = 0;

function report({ folder, seed }: WorkerTask, { input, ...finding }: Finding): void {
  mkdirSync(`${folder}/${finding.target}`, { recursive: true });
  const file = `${folder}/${finding.target}/${finding.kind.replace(" ", "-")}-${seed}-${++count}.bin`;
  writeFileSync(file, input);
  writeFileSync(`${file}.txt`, finding.text);
  say({ kind: "finding", finding: { ...finding, file, bytes: input.length } });
}

main(JSON.parse(argv[2]!) as WorkerTask);
