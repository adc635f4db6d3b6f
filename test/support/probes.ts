// What tests of probes on kernel functions and on user programs have in common: fixtures that count alike, and what is
// expected of them however they are attached.

import { expect } from "vitest";
import type { BpfLink, BpfObject, ProbeMode } from "../../src/index.js";
import { withTraceFs } from "../../src/kernel/index.js";
import { only, withLoaded } from "./fixtures.js";

/** Calls after which the counters are looked at. */
const CALLS = 3;

/** The fixtures `kprobes` and `uprobes`, whose programs have the same names and counters. */
export class ProbeFixture {
  readonly #name: "kprobes" | "uprobes";
  readonly #act: () => void;

  /** @param act calls what the probes of the fixture are on, once */
  constructor(name: "kprobes" | "uprobes", act: () => void) {
    this.#name = name;
    this.#act = act;
  }

  /** Loads these programs, which count what this process does. */
  async load(programs: readonly string[], body: (obj: BpfObject) => void | Promise<void>): Promise<void> {
    const edit = (obj: BpfObject): void => {
      only(...programs)(obj);
      obj.rodata.target_pid = process.pid;
    };
    await withLoaded(this.#name, edit, body);
  }

  /** How much a counter grows by three calls. */
  growth(obj: BpfObject, counter: string): bigint {
    const before = obj.bss[counter] as bigint;
    for (let i = 0; i < CALLS; i++) this.#act();
    return (obj.bss[counter] as bigint) - before;
  }

  /** Names of probes in tracefs that this process made. */
  traceEvents(): string[] {
    const names = withTraceFs((files) => files.list(`events/${this.#name}`) ?? []);
    return names.filter((name) => name.startsWith(`bpfkit_${process.pid}_`));
  }

  /** Programs run by ioctl and by tracefs, and nothing is left there. @param attach to entry and return */
  async expectOlderModes(attach: (obj: BpfObject, mode: ProbeMode) => readonly [BpfLink, BpfLink]): Promise<void> {
    await this.load(["on_entry", "on_return"], (obj) => {
      for (const mode of ["ioctl", "tracefs"] as const) {
        const links = attach(obj, mode);
        expect(this.traceEvents().length).toBe(mode === "tracefs" ? 2 : 0);
        expect(this.growth(obj, "entries"), mode).toBe(3n);
        expect(this.growth(obj, "returns"), mode).toBe(3n);
        for (const link of links) link.close();
        expect(this.traceEvents()).toEqual([]);
        expect(this.growth(obj, "entries"), mode).toBe(0n);
      }
    });
  }

  /** Programs whose section has a pattern run for entry and return, until they are detached. */
  async expectPattern(kind: BpfLink["kind"]): Promise<void> {
    await this.load(["on_many", "on_many_returns"], (obj) => {
      const links = obj.attach();
      expect(links.map((link) => link.kind)).toEqual([kind, kind]);
      expect(this.growth(obj, "multi_entries")).toBe(3n);
      expect(this.growth(obj, "multi_returns")).toBe(3n);
      for (const link of links) link.close();
      expect(this.growth(obj, "multi_entries")).toBe(0n);
    });
  }

  /** A session's program runs at every entry, and at the return of every second call, as it says. */
  async expectSession(): Promise<void> {
    await this.load(["on_session"], (obj) => {
      const [link] = obj.attach();
      for (let i = 0; i < 4; i++) this.#act();
      expect(obj.bss.session_entries).toBe(4n);
      expect(obj.bss.session_returns).toBe(2n);
      link?.close();
      expect(this.growth(obj, "session_entries")).toBe(0n);
    });
  }
}
