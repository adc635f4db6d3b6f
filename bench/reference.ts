// The others: bench-libbpf and bench-go (cilium/ebpf) of the project's reference tools, and our own C programs. They
// print JSON lines. They are programs of the developer's machine, never a dependency; where they are missing, only
// absolute figures are given.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { libbpfProgram } from "./libbpf-program.js";
import { combine, type Figure } from "./measure.js";

interface Line extends Figure {
  readonly impl: string;
  readonly name: string;
}

/** One program to compare with; its figures are kept by name over any number of runs. */
export class Peer {
  readonly command: string;
  /** As the program calls itself, with its version; undefined before the first run. */
  impl: string | undefined;
  readonly #arguments: readonly string[];
  readonly #figures = new Map<string, Figure[]>();

  constructor(command: string, args: readonly string[] = []) {
    this.command = command;
    this.#arguments = args;
  }

  /** Runs it with these arguments in front of its own, and `rest` behind, and keeps its figures. */
  run(first: readonly string[], rest: readonly string[] = []): void {
    const output = execFileSync(this.command, [...first, ...this.#arguments, ...rest], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
    for (const text of output.split("\n")) {
      if (!text.startsWith("{")) continue;
      const line = JSON.parse(text) as Line;
      this.impl = line.impl;
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
}

/** What there is to compare with on this machine. */
export interface References {
  /** libbpf: kernel BTF, iteration of its own map. */
  readonly libbpf: Peer | undefined;
  /** libbpf, opening and loading objects. */
  readonly loader: Peer | undefined;
  /** libbpf's calls on elements of a map that bpfkit made. */
  readonly loops: Peer | undefined;
  /** libbpf's reader of a ring buffer that bpfkit made. */
  readonly ring: Peer | undefined;
  /** The same as `libbpf` by cilium/ebpf, and loading. */
  readonly cilium: Peer | undefined;
  /** For each that is missing, why. */
  readonly missing: readonly string[];
}

/** Looks in $BPFKIT_ORACLE, /opt/oracle and ~/oracle, there and in bin/; compiles what is compiled here. */
export function findReferences(): References {
  const places = [process.env.BPFKIT_ORACLE, "/opt/oracle", join(homedir(), "oracle")].filter((p) => p !== undefined);
  const folder = places
    .flatMap((place) => [place, join(place, "bin")])
    .find((at) => existsSync(join(at, "bench.bpf.o")));
  const missing: string[] = [];
  const tool = (name: string): Peer | undefined => {
    const path = folder === undefined ? undefined : join(folder, name);
    if (folder !== undefined && path !== undefined && existsSync(path))
      return new Peer(path, [join(folder, "bench.bpf.o")]);
    missing.push(`no ${name} (looked in ${places.join(", ")})`);
    return undefined;
  };
  const tree = places.map((place) => join(place, "sid")).find((path) => existsSync(path));
  const compiled = (name: string, flags?: readonly string[]): Peer | undefined => {
    const program = libbpfProgram(name, tree, flags);
    if ("path" in program) return new Peer(program.path);
    missing.push(program.missing);
    return undefined;
  };
  return {
    libbpf: tool("bench-libbpf"),
    loader: compiled("libbpf-loader", ["-Wl,--wrap=syscall"]),
    loops: compiled("map-loops"),
    ring: compiled("ring-loops"),
    cilium: tool("bench-go"),
    missing,
  };
}
