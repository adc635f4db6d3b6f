// Which blocks of the library have run: V8 counts, one look for a batch of inputs. Costs too much for every input, and
// little enough for a hundred.

import { Session } from "node:inspector";

interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly {
    readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; readonly count: number }[];
  }[];
}

/** Counts blocks of one script. */
export class Coverage {
  readonly #session = new Session();
  readonly #url: string;
  readonly #seen = new Set<number>();

  constructor(url: string) {
    this.#url = url;
    this.#session.connect();
    this.#post("Profiler.enable");
    this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Blocks that have run at any time. */
  get blocks(): number {
    return this.#seen.size;
  }

  /** True when since the last look a block has run that never had; `remember` makes it old. */
  anythingNew(remember: boolean): boolean {
    const { result } = this.#post("Profiler.takePreciseCoverage") as { result: readonly ScriptCoverage[] };
    let found = false;
    for (const { url, functions } of result) {
      if (url !== this.#url) continue;
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          const block = startOffset * 0x1000000 + endOffset;
          if (count === 0 || this.#seen.has(block)) continue;
          found = true;
          if (!remember) return true;
          this.#seen.add(block);
        }
      }
    }
    return found;
  }

  #post(method: string, parameters: object = {}): unknown {
    let answer: unknown;
    this.#session.post(method, parameters, (error, result) => {
      if (error !== null) throw error;
      answer = result;
    });
    return answer;
  }
}
