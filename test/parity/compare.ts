// Two recordings of the same object held against each other. Every difference is one record: which object, what kind,
// whose program or map, and both sides in words.

import { formatInsn } from "../../src/insn/index.js";
import { sameCause } from "./causes.js";
import type { Fact } from "./facts.js";
import type { LoaderReport } from "./loader-report.js";
import type { LoaderRun } from "./oracle.js";
import type { RecordedInsn, RecordedMap, RecordedProgram, Recording } from "./recording.js";

/** What differs. */
export type DifferenceKind =
  | "open"
  | "load"
  | "refusal"
  | "program missing"
  | "program extra"
  | "program attribute"
  | "instructions"
  | "func info"
  | "line info"
  | "map missing"
  | "map extra"
  | "map attribute"
  | "BTF"
  | "initial value"
  | "effect";

/** One difference. */
export interface Difference {
  readonly object: string;
  readonly kind: DifferenceKind;
  /** Program, map or field. */
  readonly subject: string;
  readonly libbpf: string;
  readonly bpfkit: string;
}

/** Equal and different things of one sort. */
export interface Tally {
  equal: number;
  different: number;
  onlyLibbpf: number;
  onlyBpfkit: number;
}

/** Who could do something. */
export type Who = "both" | "libbpf" | "bpfkit" | "none";

/** The comparison of one object. */
export interface ObjectComparison {
  readonly object: string;
  readonly opened: Who;
  /** All its programs at once. */
  readonly loaded: Who;
  /** What each side says about the object as a whole. */
  readonly libbpf: string;
  readonly bpfkit: string;
  readonly programs: Tally;
  readonly maps: Tally;
  readonly btf: Tally;
  /** What the object uses, for explanations. */
  readonly facts: readonly Fact[];
  readonly differences: readonly Difference[];
}

/** Both sides of one object. `each` is there when one of them could not load all programs at once. */
export interface Pair {
  readonly libbpf: LoaderRun;
  readonly bpfkit: LoaderRun;
}

/** Compares an object. `each`: the runs program by program, made when loading all at once failed. */
export function compareObject(
  { name: object, facts }: { readonly name: string; readonly facts: readonly Fact[] },
  whole: Pair,
  each: Pair | undefined,
): ObjectComparison {
  const { libbpf, bpfkit } = each ?? whole;
  const opened = who(whole, (report) => report.opened);
  const loaded = who(whole, (report) => report.loaded);
  const comparison = new Comparison(object);
  if (opened === "libbpf" || opened === "bpfkit") {
    comparison.add("open", "", outcome(whole.libbpf.report), outcome(whole.bpfkit.report));
  } else if (opened === "none") {
    comparison.refusals("", whole.libbpf.report.error, whole.bpfkit.report.error);
  } else if (opened === "both") {
    const differing = comparison.outcomes(libbpf.report, bpfkit.report);
    // Programs alone may load where the object does not.
    if (loaded !== "both" && loaded !== "none" && differing === 0) {
      comparison.add("load", "", outcome(whole.libbpf.report), outcome(whole.bpfkit.report));
    }
    comparison.programRefusals(libbpf.report, bpfkit.report);
    comparison.recordings(libbpf.recording, bpfkit.recording, [libbpf.report, bpfkit.report]);
  }
  const refused = opened === "both" && [libbpf, bpfkit].every(({ report }) => !loadedAny(report));
  return {
    object,
    opened,
    loaded,
    libbpf: outcome(whole.libbpf.report),
    bpfkit: outcome(whole.bpfkit.report),
    facts: refused ? [...facts, "nothing loads"] : facts,
    ...comparison.result(),
  };
}

function who({ libbpf, bpfkit }: Pair, can: (report: LoaderReport) => boolean): Who {
  if (can(libbpf.report)) return can(bpfkit.report) ? "both" : "libbpf";
  return can(bpfkit.report) ? "bpfkit" : "none";
}

/** True when a program loaded, or there was none to load. */
function loadedAny({ loaded, programs }: LoaderReport): boolean {
  return loaded || programs.some((program) => program.error === undefined);
}

function outcome(report: LoaderReport): string {
  return report.error ?? "succeeds";
}

/** One object's tallies and differences while they are collected. */
class Comparison {
  readonly #object: string;
  readonly #programs: Tally = emptyTally();
  readonly #maps: Tally = emptyTally();
  readonly #btf: Tally = emptyTally();
  readonly #differences: Difference[] = [];

  constructor(object: string) {
    this.#object = object;
  }

  add(kind: DifferenceKind, subject: string, libbpf: string, bpfkit: string): void {
    this.#differences.push({ object: this.#object, kind, subject, libbpf, bpfkit });
  }

  result(): Pick<ObjectComparison, "programs" | "maps" | "btf" | "differences"> {
    return { programs: this.#programs, maps: this.#maps, btf: this.#btf, differences: this.#differences };
  }

  /** Programs that one side loads and the other does not. */
  outcomes(libbpf: LoaderReport, bpfkit: LoaderReport): number {
    const before = this.#differences.length;
    // Same order on both sides; a name may occur twice (static programs).
    const others = groups(bpfkit.programs, (program) => program.name);
    for (const program of libbpf.programs) {
      const other = others.get(program.name)?.shift();
      if (other === undefined) {
        this.add("program missing", program.name, program.error ?? "loads", "bpfkit knows no such program");
      } else if (program.error === undefined && other.error !== undefined) {
        this.#programs.onlyLibbpf++;
        this.add("program missing", program.name, "loads", other.error);
      } else if (program.error !== undefined && other.error === undefined) {
        this.#programs.onlyBpfkit++;
        this.add("program extra", program.name, program.error, "loads");
      }
    }
    for (const [name, rest] of others) {
      for (const other of rest) this.add("program extra", name, "libbpf knows no such program", other.error ?? "loads");
    }
    return this.#differences.length - before;
  }

  /** What both refuse, but for different reasons. */
  refusals(subject: string, libbpf: string | undefined, bpfkit: string | undefined): void {
    if (libbpf === undefined || bpfkit === undefined || sameCause(libbpf, bpfkit)) return;
    this.add("refusal", subject, libbpf, bpfkit);
  }

  /** The same, program by program. */
  programRefusals(libbpf: LoaderReport, bpfkit: LoaderReport): void {
    const others = groups(bpfkit.programs, (program) => program.name);
    for (const { name, error } of libbpf.programs) this.refusals(name, error, others.get(name)?.shift()?.error);
  }

  /** Everything that reached the kernel from both sides. */
  recordings(libbpf: Recording, bpfkit: Recording, reports: readonly LoaderReport[]): void {
    this.#comparePrograms(libbpf.programs, bpfkit.programs);
    // A side that loaded nothing has, in consequence, no maps: the missing programs say it already.
    const [theirs, ours] = reports.map(loadedAny);
    if (theirs !== ours) return;
    this.#compareMaps(libbpf.maps, bpfkit.maps);
    this.#compareBtf(libbpf.btfs, bpfkit.btfs);
    for (const key of new Set([...libbpf.contents.keys(), ...bpfkit.contents.keys()])) {
      const [ours, theirs] = [bpfkit.contents.get(key), libbpf.contents.get(key)];
      if (ours !== theirs) this.add("initial value", key, ...firstUnequal(valueText(theirs), valueText(ours)));
    }
    for (const effect of new Set([...libbpf.effects, ...bpfkit.effects])) {
      const did = (recording: Recording) => (recording.effects.includes(effect) ? "done" : "not done");
      if (did(libbpf) !== did(bpfkit)) this.add("effect", effect, did(libbpf), did(bpfkit));
    }
  }

  #comparePrograms(libbpf: readonly RecordedProgram[], bpfkit: readonly RecordedProgram[]): void {
    const others = groups(bpfkit, (program) => program.name);
    for (const [name, programs] of groups(libbpf, (program) => program.name)) {
      const candidates = others.get(name) ?? [];
      // Names are cut to 15 characters: equal ones belong together, the rest goes by order.
      const rest = programs.filter((program) => {
        const at = candidates.findIndex((candidate) => JSON.stringify(candidate) === JSON.stringify(program));
        if (at >= 0) candidates.splice(at, 1);
        if (at >= 0) this.#programs.equal++;
        return at < 0;
      });
      // One that never got here is told about by its loader's report.
      if (rest.length !== candidates.length) continue;
      rest.forEach((program, index) => {
        this.#programs.different++;
        this.#compareProgram(program, candidates[index]!);
      });
    }
  }

  #compareProgram(libbpf: RecordedProgram, bpfkit: RecordedProgram): void {
    const { name } = libbpf;
    for (const [field, theirs, ours] of unequalFields(libbpf.attributes, bpfkit.attributes)) {
      this.add("program attribute", `${name} ${field}`, theirs, ours);
    }
    const differing = firstDifferentInsn(libbpf.insns, bpfkit.insns);
    if (differing !== undefined) this.add("instructions", name, ...differing);
    if (libbpf.funcInfo !== bpfkit.funcInfo) {
      this.add("func info", name, ...firstUnequal(libbpf.funcInfo, bpfkit.funcInfo));
    }
    if (libbpf.lineInfo !== bpfkit.lineInfo) {
      this.add("line info", name, ...firstUnequal(libbpf.lineInfo, bpfkit.lineInfo));
    }
  }

  #compareMaps(libbpf: readonly RecordedMap[], bpfkit: readonly RecordedMap[]): void {
    const others = groups(bpfkit, (map) => map.name);
    for (const map of libbpf) {
      const candidates = others.get(map.name) ?? [];
      const exact = candidates.findIndex((candidate) => JSON.stringify(candidate) === JSON.stringify(map));
      const [other] = exact >= 0 ? candidates.splice(exact, 1) : candidates.splice(0, 1);
      if (other === undefined) {
        this.#maps.onlyLibbpf++;
        this.add("map missing", map.name, describe(map), "no such map");
        continue;
      }
      if (exact >= 0) this.#maps.equal++;
      else this.#maps.different++;
      for (const [field, theirs, ours] of unequalFields(map.attributes, other.attributes)) {
        this.add("map attribute", `${map.name} ${field}`, theirs, ours);
      }
    }
    for (const map of [...others.values()].flat()) {
      this.#maps.onlyBpfkit++;
      this.add("map extra", map.name, "no such map", describe(map));
    }
  }

  #compareBtf(libbpf: readonly string[], bpfkit: readonly string[]): void {
    for (let index = 0; index < Math.max(libbpf.length, bpfkit.length); index++) {
      const [theirs, ours] = [libbpf[index], bpfkit[index]];
      if (theirs === ours) this.#btf.equal++;
      else if (ours === undefined) this.#btf.onlyLibbpf++;
      else if (theirs === undefined) this.#btf.onlyBpfkit++;
      else this.#btf.different++;
      if (theirs !== ours) this.add("BTF", "", ...firstUnequal(theirs ?? "nothing", ours ?? "nothing"));
    }
  }
}

/** Zeros in words: a value that begins with zeros must not pass for one that is all zeros. */
function valueText(value: string | undefined): string {
  if (value === undefined) return "nothing";
  return /^0+$/.test(value) ? `zeros, ${value.length / 2} bytes` : value;
}

/** A tally of nothing. */
export function emptyTally(): Tally {
  return { equal: 0, different: 0, onlyLibbpf: 0, onlyBpfkit: 0 };
}

function groups<T>(values: readonly T[], key: (value: T) => string): Map<string, T[]> {
  const result = new Map<string, T[]>();
  for (const value of values) {
    const list = result.get(key(value));
    if (list === undefined) result.set(key(value), [value]);
    else list.push(value);
  }
  return result;
}

function unequalFields(
  libbpf: Readonly<Record<string, number | string>>,
  bpfkit: Readonly<Record<string, number | string>>,
): [field: string, libbpf: string, bpfkit: string][] {
  return Object.keys(libbpf)
    .filter((field) => libbpf[field] !== bpfkit[field])
    .map((field) => [field, String(libbpf[field]), String(bpfkit[field])]);
}

function describe({ attributes }: RecordedMap): string {
  return `type ${attributes.map_type}, key ${attributes.key_size}, value ${attributes.value_size}, entries ${attributes.max_entries}`;
}

/** The first instruction that is not the same, in the verifier's words. */
function firstDifferentInsn(
  libbpf: readonly RecordedInsn[],
  bpfkit: readonly RecordedInsn[],
): [string, string] | undefined {
  let index = 0;
  for (let at = 0; at < Math.max(libbpf.length, bpfkit.length); at++) {
    const [theirs, ours] = [libbpf[at], bpfkit[at]];
    if (theirs?.hex !== ours?.hex || theirs?.meaning !== ours?.meaning) {
      const sizes = [libbpf, bpfkit].map((insns) => insns.reduce((sum, insn) => sum + insn.hex.length / 16, 0));
      return [`${index}/${sizes[0]}: ${insnText(theirs)}`, `${index}/${sizes[1]}: ${insnText(ours)}`];
    }
    index += (theirs?.hex.length ?? 16) / 16;
  }
  return undefined;
}

function insnText(insn: RecordedInsn | undefined): string {
  if (insn === undefined) return "the end";
  const text = formatInsn(Buffer.from(insn.hex, "hex"), 0);
  return insn.meaning === "" ? text : `${text} {${insn.meaning}}`;
}

/** Both texts around the first place where they are not the same. */
function firstUnequal(libbpf: string, bpfkit: string): [string, string] {
  let at = 0;
  while (at < libbpf.length && libbpf[at] === bpfkit[at]) at++;
  // Whole 4-byte words.
  const from = at - (at % 8);
  const cut = (text: string) =>
    from === 0 && text.length <= 48 ? text : `${text.length / 2} bytes, @${from / 2}: ${text.slice(from, from + 32)}`;
  return [cut(libbpf), cut(bpfkit)];
}
