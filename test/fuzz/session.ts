// One target under fire: makes inputs from its seeds and from what was interesting, runs them, and judges the outcome.
// The same seed gives the same inputs, as long as coverage guidance is off or finds the same.

import { cpuUsage, memoryUsage } from "node:process";
import type { BpfkitError } from "../../src/errors.js";
import { random as randomOf } from "../support/random.js";
import { type FuzzTarget, listenToOwnErrors, type Random } from "./target.js";

/** What one input may cost: processor time in milliseconds, and memory in bytes that stays or waits for collection. */
const limits = { time: 2000, memory: 96 << 20, memoryPerByte: 256 } as const;

/** Other bounds than {@link limits}. */
type Limits = { readonly [name in keyof typeof limits]: number };

/** Something that must not happen. */
export interface Finding {
  readonly target: string;
  readonly kind: "foreign error" | "slow" | "memory" | "hang" | "crash";
  /** The same for findings with the same cause, as far as can be told. */
  readonly key: string;
  readonly text: string;
  readonly input: Uint8Array;
}

/** What the sessions of a run have in common. */
export interface SessionOptions {
  readonly seed: number;
  /** Called before every input is run, so that one that kills the process is known. */
  readonly before?: (input: Uint8Array) => void;
}

/** Interesting inputs that are kept beside the seeds. */
const KEPT = 2000;

/** Fires at one target. */
export class FuzzSession {
  readonly target: FuzzTarget;
  executions = 0;
  readonly ownErrors = new Set<string>();
  readonly #random: Random;
  readonly #before: (input: Uint8Array) => void;
  readonly #seeds: readonly Uint8Array[];
  readonly #kept: Uint8Array[] = [];

  constructor(target: FuzzTarget, { seed, before = () => {} }: SessionOptions) {
    this.target = target;
    this.#random = randomOf(seed);
    this.#before = before;
    this.#seeds = target.seeds();
  }

  /** The seeds themselves, which must pass, too. */
  get seeds(): readonly Uint8Array[] {
    return this.#seeds;
  }

  get kept(): number {
    return this.#kept.length;
  }

  /** A damaged copy of a seed, or of an input that was kept. */
  next(): Uint8Array {
    return this.target.mutate(this.#pick(), this.#random, this.#pick());
  }

  /** Remembers an input that led somewhere new. */
  keep(input: Uint8Array): void {
    if (this.#kept.length < KEPT) this.#kept.push(input);
    else this.#kept[this.#random(KEPT)] = input;
  }

  /** Runs one input. */
  run(input: Uint8Array): Finding | undefined {
    this.#before(input);
    this.executions++;
    listenToOwnErrors((error) => this.ownErrors.add(signature(error)));
    const finding = judge(this.target, input);
    listenToOwnErrors(undefined);
    if (finding === undefined || finding.kind === "foreign error") return finding;
    // Time and memory are also spent by neighbours and by the collector of what came before: once more, alone.
    globalThis.gc?.();
    return judge(this.target, input);
  }

  #pick(): Uint8Array {
    const { length } = this.#kept;
    if (length > 0 && this.#random(2) === 0) {
      // The latest lead farthest.
      const at = this.#random(2) === 0 ? length - 1 - this.#random(Math.min(length, 32)) : this.#random(length);
      return this.#kept[at]!;
    }
    return this.#seeds[this.#random(this.#seeds.length)]!;
  }
}

/** Runs `input` once; undefined when all is well. */
export function judge(target: FuzzTarget, input: Uint8Array, bounds: Limits = limits): Finding | undefined {
  const before = memory();
  const start = performance.now();
  const cpu = cpuUsage();
  const found = (kind: Finding["kind"], text: string, key: string = kind): Finding => ({
    target: target.name,
    kind,
    key: `${target.name}: ${key}`,
    text,
    input,
  });
  try {
    // Targets must not change their input: it is what gets reported.
    target.run(input.slice());
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return found("foreign error", text, placeOf(text));
  }
  if (performance.now() - start > bounds.time) {
    const { user, system } = cpuUsage(cpu);
    const spent = (user + system) / 1000;
    if (spent > bounds.time)
      return found("slow", `${Math.round(spent)} ms of processor time for ${input.length} bytes`);
  }
  const grown = memory() - before;
  if (grown > bounds.memory + input.length * bounds.memoryPerByte) {
    return found("memory", `${grown >> 20} MiB more after ${input.length} bytes`);
  }
  return undefined;
}

function memory(): number {
  const { heapUsed, arrayBuffers } = memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Name, message without its numbers, and the first places of a stack. */
function placeOf(stack: string): string {
  const [message = "", ...frames] = stack.split("\n");
  const places = frames.filter((line) => line.includes("src/")).slice(0, 2);
  return [message.replace(/0x[0-9a-f]+|\d+/gi, "N").slice(0, 80), ...places.map((line) => line.trim())].join(" ");
}

/** What is the same in errors of one kind, whatever names and numbers they tell. */
function signature({ code, reason }: BpfkitError): string {
  const words = reason
    .replace(/`[^`]*`|"[^"]*"/g, "…")
    .replace(/0x[0-9a-f]+|-?\d+/gi, "N")
    .split(/\s+/);
  // Names are damaged in as many ways as there are inputs; plain words of English are not.
  return `${code} ${words.map((word) => (/^[a-z]+[,:;]?$/.test(word) ? word : "…")).join(" ")}`.slice(0, 60);
}
