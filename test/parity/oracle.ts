// The reference tools: where they are, how to get them, and one run of a loader under the recorder.

import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { projectRoot } from "../matrix/bundle-paths.js";
import { type LoaderReport, readOracleReport } from "./loader-report.js";
import { type Recording, readSpyLog, recordingOf } from "./recording.js";

/** Where `setup.sh` is, seen from a checkout of the project. */
const setupScript = resolve(projectRoot, "../shared/oracle/setup.sh");

/** Seconds after which the recorder ends a loader. */
const TIME_LIMIT = 120;

/** How programs reach the kernel. */
export interface Circumstances {
  /** Named program loads never reach the kernel; they all succeed. */
  readonly faked: boolean;
  /** Raw BTF that stands in the place of the running kernel's. */
  readonly vmlinux: string | undefined;
}

/** An object file. */
export interface ObjectFile {
  readonly path: string;
  /** Below the folder that was asked for. */
  readonly name: string;
  /** Types for CO-RE instead of the kernel's. */
  readonly btf?: string | undefined;
}

/** What one loader said and did. */
export interface LoaderRun {
  readonly report: LoaderReport;
  readonly recording: Recording;
}

/** Which loader. */
export type Side = "libbpf" | "bpfkit";

/** The folder of the tools: $BPFKIT_ORACLE, /opt/oracle or ~/oracle. @throws Error that says how to get them */
export function findOracle(): string {
  const places = [process.env.BPFKIT_ORACLE, "/opt/oracle", join(homedir(), "oracle")].filter((p) => p !== undefined);
  const found = places.find((place) => ["bpfspy", "oracle-load"].every((tool) => existsSync(join(place, "bin", tool))));
  if (found !== undefined) return found;
  throw new Error(
    `no reference tools in ${places.join(", ")}: bin/bpfspy and bin/oracle-load are wanted.\n` +
      "Build them, as root, in about five minutes from Debian packages: npm run parity -- --setup /opt/oracle\n" +
      "(in another place: set BPFKIT_ORACLE)",
  );
}

/** Builds the tools, and the kernel's selftest objects, in this folder. */
export function setUpOracle(folder: string): void {
  for (const script of [setupScript, join(setupScript, "../selftests.sh")]) {
    if (!existsSync(script)) throw new Error(`${script} is missing: the reference tools come with the project's notes`);
    mkdirSync(folder, { recursive: true });
    const { status } = spawnSync("bash", [script, resolve(folder)], { stdio: "inherit" });
    if (status !== 0) throw new Error(`${script} failed`);
  }
}

/** Runs loaders under the recorder. Files of its own are gone after close(). */
export class Oracle {
  readonly #bin: string;
  readonly #subject: string;
  readonly #folder: string;
  readonly #circumstances: Circumstances;
  #runs = 0;

  private constructor(bin: string, subject: string, circumstances: Circumstances) {
    this.#bin = bin;
    this.#subject = subject;
    this.#circumstances = circumstances;
    this.#folder = mkdtempSync(join(tmpdir(), "bpfkit-parity-"));
  }

  /** Bundles the bpfkit side: compiled once, it starts ten times faster. */
  static async start(folder: string, circumstances: Circumstances): Promise<Oracle> {
    // Inside node_modules: ignored by git and by the linters, and koffi is found from there.
    const subject = join(projectRoot, `node_modules/.cache/bpfkit-parity/load-object-${process.pid}.mjs`);
    await build({
      absWorkingDir: projectRoot,
      entryPoints: ["test/parity/load-object.ts"],
      bundle: true,
      outfile: subject,
      platform: "node",
      format: "esm",
      target: "node20",
      external: ["koffi"],
      banner: {
        js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
      },
      logLevel: "error",
    });
    return new Oracle(join(folder, "bin"), subject, circumstances);
  }

  /** Loads an object; with `each` every program alone. */
  async run(side: Side, { path, btf }: ObjectFile, each: boolean): Promise<LoaderRun> {
    const log = join(this.#folder, `${this.#runs++}.jsonl`);
    const { faked, vmlinux } = this.#circumstances;
    const types = btf === undefined ? [] : ["--btf", btf];
    const loader =
      side === "libbpf"
        ? [join(this.#bin, "oracle-load"), each ? "--each" : "--all", "--no-insns", ...types, path]
        : [process.execPath, this.#subject, ...(each ? ["--each"] : []), ...types, path];
    const spy = [
      ...(vmlinux === undefined ? ["-p"] : ["-b", vmlinux]),
      ...(faked ? ["-f"] : []),
      ...["-T", String(TIME_LIMIT), "-o", log, "--", ...loader],
    ];
    try {
      const output = await outputOf(join(this.#bin, "bpfspy"), spy);
      return { report: readReport(side, output), recording: recordingOf(existsSync(log) ? readSpyLog(log) : []) };
    } finally {
      rmSync(log, { force: true });
    }
  }

  /** Removes what start() and run() made. */
  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
    rmSync(this.#subject, { force: true });
  }
}

interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** A loader that fails says why in its report: the exit status says nothing more. */
function outputOf(command: string, parameters: readonly string[]): Promise<Output> {
  return new Promise((done) => {
    const options = { encoding: "utf8", maxBuffer: 1 << 28, timeout: (TIME_LIMIT + 20) * 1000 } as const;
    execFile(command, parameters, options, (_, stdout, stderr) => done({ stdout, stderr }));
  });
}

function readReport(side: Side, { stdout, stderr }: Output): LoaderReport {
  try {
    return side === "libbpf" ? readOracleReport(stdout) : (JSON.parse(stdout) as LoaderReport);
  } catch {
    const last = stderr.trim().split("\n").slice(-3).join(" | ");
    return { opened: false, loaded: false, error: `the loader died: ${last}`, programs: [] };
  }
}
