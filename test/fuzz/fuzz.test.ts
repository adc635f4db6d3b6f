// Damaged input in the normal suite: every finding of `npm run fuzz` that was fixed, once more, and a short round of
// each target that is the same in every run.

import { readdirSync, readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BpfkitError, ObjectError } from "../../src/errors.js";
import { pretend } from "../../src/kernel/features.js";
import { type Logger, setLogger } from "../../src/log.js";
import { minimize } from "./minimize.js";
import { FuzzSession, judge } from "./session.js";
import { attempt, type FuzzTarget, insist } from "./target.js";
import { targets } from "./targets.js";

const CORPUS = "test/fuzz/corpus";
/** Inputs in the short round of one target. */
const ROUND = 100;

/** Files of a target's folder in the corpus. */
function corpusOf(name: string): string[] {
  return readdirSync(CORPUS, { withFileTypes: true }).some((entry) => entry.name === name)
    ? readdirSync(`${CORPUS}/${name}`)
    : [];
}

let logger: Logger | null;
let before: ReturnType<typeof pretend>;
beforeAll(() => {
  logger = setLogger(() => {});
  before = pretend("ldimm64_full_range_off", true);
});
afterAll(() => {
  setLogger(logger);
  pretend("ldimm64_full_range_off", before);
});

it("the corpus has folders of targets only", () => {
  const names = targets.map(({ name }) => name);
  expect(readdirSync(CORPUS).filter((name) => !names.includes(name))).toEqual([]);
});

describe.each(targets.map((target) => [target.name, target] as const))("%s", (name, target) => {
  // A kernel that shows no types: nothing to relocate against. The other targets cover the same code.
  if (target.missing?.() !== undefined) return;

  it("takes its seeds, and what once was too much for it", () => {
    for (const input of target.seeds()) expect(judge(target, input)).toBeUndefined();
    for (const file of corpusOf(name)) {
      const input = new Uint8Array(readFileSync(`${CORPUS}/${name}/${file}`));
      expect([file, judge(target, input)?.text]).toEqual([file, undefined]);
    }
  });

  it("gives errors of its own only", () => {
    const session = new FuzzSession(target, { seed: 1 });
    for (let i = 0; i < ROUND; i++) expect(session.run(session.next())).toBeUndefined();
    expect(session.executions).toBe(ROUND);
  });
});

describe("the fuzzer", () => {
  const target = (run: FuzzTarget["run"]): FuzzTarget => ({
    name: "test",
    seeds: () => [Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)],
    mutate: (input, random) => input.map((byte) => (random(8) === 0 ? random(256) : byte)),
    run,
  });

  it("finds foreign errors, and tells own ones apart", () => {
    const own = target(() =>
      attempt(() => {
        throw new ObjectError("OBJECT_INVALID", "bad thing 17");
      }),
    );
    const session = new FuzzSession(own, { seed: 1 });
    for (let i = 0; i < 20; i++) expect(session.run(session.next())).toBeUndefined();
    expect([...session.ownErrors]).toEqual(["OBJECT_INVALID bad thing …"]);
    const foreign = target((input) => attempt(() => new DataView(input.buffer).getUint8(input[0]!)));
    expect(judge(foreign, Uint8Array.of(9))).toMatchObject({ kind: "foreign error", target: "test" });
    expect(judge(foreign, Uint8Array.of(0))).toBeUndefined();
    expect(
      judge(
        target(() => insist(false, () => "no")),
        Uint8Array.of(0),
      )?.key,
    ).toContain("BrokenPromise");
  });

  it("finds what takes too long, and too much memory", () => {
    // A busy machine gives less processor time than time.
    const bounds = { time: 10, memory: 8 << 20, memoryPerByte: 1 };
    const slow = target(() => {
      for (const start = performance.now(); performance.now() - start < 300; );
    });
    expect(judge(slow, Uint8Array.of(0), bounds)?.kind).toBe("slow");
    // What tests before this one left would otherwise be collected while the memory is measured.
    setFlagsFromString("--expose-gc");
    (runInNewContext("gc") as () => void)();
    let held: Uint8Array | undefined;
    const greedy = target(() => {
      held = new Uint8Array(bounds.memory * 2);
    });
    expect(judge(greedy, Uint8Array.of(0), bounds)?.kind).toBe("memory");
    expect(held?.length).toBeGreaterThan(0);
  });

  it("makes the same inputs from the same seed", () => {
    const inputs = (seed: number): string[] => {
      const session = new FuzzSession(targets[0]!, { seed });
      return Array.from({ length: 20 }, () => Buffer.from(session.next()).toString("base64"));
    };
    expect(inputs(3)).toEqual(inputs(3));
    expect(inputs(3)).not.toEqual(inputs(4));
  });

  it("makes inputs smaller", () => {
    const seed = new Uint8Array(100).fill(7);
    const input = seed.map((byte, i) => (i % 3 === 0 ? 200 + (i % 50) : byte));
    const needed = input[42]!;
    const result = minimize(input, [seed], (candidate) => candidate.includes(needed));
    expect(result.length).toBeLessThan(3);
    expect(result).toContain(needed);
  });

  it("takes errors of bpfkit's own for what they are", () => {
    expect(() => attempt(() => JSON.parse("{"))).toThrow(SyntaxError);
    expect(
      attempt(() => {
        throw new BpfkitError("VALUE", "x");
      }),
    ).toBeUndefined();
  });
});
