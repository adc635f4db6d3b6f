// The C side: bench-libbpf of the project's reference tools, which prints JSON lines. It is a program of the developer's
// machine, never a dependency; where it is missing, only absolute figures are given.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { combine, type Figure } from "./measure.js";

interface Line extends Figure {
  readonly impl: string;
  readonly name: string;
}

/** Results of bench-libbpf, kept by name over any number of runs. */
export class Reference {
  readonly #folder: string;
  readonly #figures = new Map<string, Figure[]>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Where the tools may be: $BPFKIT_ORACLE, /opt/oracle, ~/oracle; each with bench-libbpf in it or in bin/. */
  static find(): Reference | undefined {
    const places = [process.env.BPFKIT_ORACLE, "/opt/oracle", join(homedir(), "oracle")];
    for (const place of places) {
      if (place === undefined) continue;
      for (const folder of [place, join(place, "bin")]) {
        if (existsSync(join(folder, "bench-libbpf")) && existsSync(join(folder, "bench.bpf.o"))) {
          return new Reference(folder);
        }
      }
    }
    return undefined;
  }

  /** Runs one group (`obj`, `btf` or `map`) and keeps its figures. */
  run(group: "obj" | "btf" | "map", objects: readonly string[] = []): void {
    const command = join(this.#folder, "bench-libbpf");
    const output = execFileSync(command, ["--only", group, join(this.#folder, "bench.bpf.o"), ...objects], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
    for (const text of output.split("\n")) {
      if (!text.startsWith("{")) continue;
      const line = JSON.parse(text) as Line;
      const kept = this.#figures.get(line.name);
      if (kept === undefined) this.#figures.set(line.name, [line]);
      else kept.push(line);
    }
  }

  /** The figure of that name over all runs so far, scaled; undefined when it was not measured. */
  figure(name: string, scale = 1): Figure | undefined {
    const combined = combine(this.#figures.get(name) ?? []);
    return combined && { min: combined.min * scale, median: combined.median * scale };
  }

  toString(): string {
    return join(this.#folder, "bench-libbpf");
  }
}
