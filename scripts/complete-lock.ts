// Completes package-lock.json after `npm install`: npm leaves out platform packages (biome for macOS, say) that the
// registry in use could not give, and `npm ci` then refuses the lock file. Their entries are written here from what the
// packages that want them say; npm skips them by `os`, `cpu` and `libc`, so they have no checksum.
// usage: tsx scripts/complete-lock.ts      (test/house/lock-file.test.ts tells when it is needed)
import { readFileSync, writeFileSync } from "node:fs";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";

/** One package of a lock file, as far as it matters here. */
export interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly license?: string;
  readonly optional?: boolean;
  readonly dev?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly engines?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Path in node_modules → package; `""` is the project itself. */
export type LockedPackages = Readonly<Record<string, LockedPackage>>;

const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"];
const processors = ["x64", "arm64", "arm", "ia32", "ppc64", "riscv64", "s390x", "loong64", "mips64el"];

/** Optional packages that some package wants and the lock file does not have. */
export function missingOptional(packages: LockedPackages): { name: string; version: string; wantedBy: string }[] {
  const missing: { name: string; version: string; wantedBy: string }[] = [];
  for (const [path, { optionalDependencies }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies ?? {})) {
      const places = [`${path}/node_modules/${name}`, `node_modules/${name}`];
      if (!places.some((place) => place in packages)) missing.push({ name, version, wantedBy: path });
    }
  }
  return missing;
}

/** The lock file's packages with entries for those that are missing; throws when a name tells no platform. */
export function completed(packages: LockedPackages): LockedPackages {
  const all: Record<string, LockedPackage> = { ...packages };
  for (const { name, version, wantedBy } of missingOptional(packages)) {
    const words = name.slice(name.lastIndexOf("/") + 1).split("-");
    const os = words.find((word) => systems.includes(word));
    const cpu = words.find((word) => processors.includes(word));
    if (os === undefined || cpu === undefined || !/^\d/.test(version)) {
      throw new Error(`${name}@${version}, wanted by ${wantedBy}, is not pinned or names no platform`);
    }
    const libc = words.some((word) => word.startsWith("musl")) ? "musl" : "glibc";
    const parent = packages[wantedBy];
    all[`node_modules/${name}`] = {
      version,
      cpu: [cpu],
      ...(parent?.dev === true ? { dev: true } : {}),
      ...(os === "linux" && words.some((word) => /^(gnu|musl)/.test(word)) ? { libc: [libc] } : {}),
      ...(parent?.license === undefined ? {} : { license: parent.license }),
      optional: true,
      os: [os],
      ...(parent?.engines === undefined ? {} : { engines: parent.engines }),
    };
  }
  return Object.fromEntries(Object.entries(all).sort(([a], [b]) => a.localeCompare(b, "en")));
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const path = fileURLToPath(new URL("../package-lock.json", import.meta.url));
  const lock = JSON.parse(readFileSync(path, "utf8")) as { packages: LockedPackages };
  const missing = missingOptional(lock.packages);
  writeFileSync(path, `${JSON.stringify({ ...lock, packages: completed(lock.packages) }, null, 2)}\n`);
  console.log(`package-lock.json: ${missing.length} platform packages added`);
}
