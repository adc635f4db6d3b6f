// Fetching Debian packages of any suite without touching the machine: an apt of our own, with its configuration, lists
// and downloads below the cache, and the mirror that this machine's apt already uses. apt checks the signature of the
// lists against Debian's keyring and every package against the lists.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheRoot } from "./cache.js";
import { must, run } from "./command.js";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** The package lists of one suite, fresh. */
export class AptSuite {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#env = { ...process.env, APT_CONFIG: join(folder, "apt.conf"), LC_ALL: "C" };
  }

  /** Reads the lists of a suite from the mirror. */
  static async open(suite: string): Promise<AptSuite> {
    const folder = join(cacheRoot(), "apt", suite);
    for (const part of ["lists/partial", "archives/partial"]) mkdirSync(join(folder, part), { recursive: true });
    writeFileSync(join(folder, "sources.list"), `deb [signed-by=${KEYRING}] ${await mirror()} ${suite} main\n`);
    // Nothing counts as installed: dependencies come along whole.
    writeFileSync(join(folder, "status"), "");
    writeFileSync(join(folder, "apt.conf"), configuration(folder));
    const apt = new AptSuite(folder);
    await must("apt-get", ["update", "-qq"], { env: apt.#env });
    return apt;
  }

  /** Names of the packages that match, newest version first. */
  async names(pattern: RegExp): Promise<string[]> {
    const names = (await must("apt-cache", ["pkgnames"], { env: this.#env })).split("\n");
    return names.filter((name) => pattern.test(name)).sort((a, b) => compareVersions(b, a));
  }

  /** Whether the mirror has such a package. */
  async has(name: string): Promise<boolean> {
    return (await must("apt-cache", ["madison", name], { env: this.#env })).trim() !== "";
  }

  /** Direct dependencies; one that no package provides is written `<name>`. */
  async dependencies(name: string): Promise<string[]> {
    const text = await must("apt-cache", ["depends", "--no-recommends", "--no-suggests", name], { env: this.#env });
    return [...text.matchAll(/Depends: (\S+)/g)].map((match) => match[1]!);
  }

  /** Unpacks these packages below a folder, and with `withDependencies` all they depend on. */
  async unpack(packages: readonly string[], into: string, withDependencies: boolean): Promise<void> {
    const archives = join(this.#folder, "archives");
    this.#clean(archives);
    if (withDependencies) {
      const args = ["install", "-qq", "-y", "--download-only", "--no-install-recommends", ...packages];
      await must("apt-get", args, { env: this.#env });
    } else {
      await must("apt-get", ["download", "-qq", ...packages], { env: this.#env, cwd: archives });
    }
    for (const file of readdirSync(archives).filter((name) => name.endsWith(".deb"))) {
      await must("dpkg-deb", ["-x", join(archives, file), into]);
    }
    this.#clean(archives);
  }

  #clean(archives: string): void {
    for (const file of readdirSync(archives)) if (file.endsWith(".deb")) rmSync(join(archives, file));
  }
}

/** The archive this machine's own apt is set up with; no host name is written down in the project. */
async function mirror(): Promise<string> {
  const { APT_CONFIG: _, ...env } = process.env;
  const listed = await run("apt-get", ["update", "--print-uris"], { env });
  const found = /^'(\S*\/debian\/?)dists\/[^/]+\/InRelease'/m.exec(listed.stdout)?.[1];
  if (found === undefined) throw new Error("this machine's apt knows no Debian archive (apt-get update --print-uris)");
  return found;
}

function configuration(folder: string): string {
  return `Dir::State "${folder}"; Dir::State::lists "${folder}/lists"; Dir::State::status "${folder}/status";
Dir::Cache "${folder}"; Dir::Cache::archives "${folder}/archives";
Dir::Etc::sourcelist "${folder}/sources.list"; Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferencesparts "/dev/null";
Acquire::Languages "none"; Acquire::Check-Valid-Until "false"; Acquire::Retries "3";
APT::Update::Error-Mode "any"; APT::Sandbox::User "root"; APT::Architecture "amd64"; Debug::NoLocking "true";
`;
}

/** Orders package names by the numbers in them: 6.9 before 6.12. */
export function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
