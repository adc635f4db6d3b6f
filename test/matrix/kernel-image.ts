// One kernel in the cache: image, modules with their index, and configuration, laid out as virtme-ng looks for them.

import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { AptSuite } from "./apt.js";
import { type CacheEntry, cached, ensureCached, say } from "./cache.js";
import { must } from "./command.js";
import type { KernelRow } from "./kernels.js";

/** A kernel's name in the cache. */
export function kernelEntry(kernel: KernelRow): string {
  return `kernels/${kernel.name}`;
}

/** The release in the cache, e.g. `6.12.107+deb13-cloud-amd64`; undefined before the first fetch. */
export function cachedRelease(kernel: KernelRow): string | undefined {
  return cached(kernelEntry(kernel))?.version;
}

/** The kernel, fetched when missing; the entry's version is its release. */
export function ensureKernel(kernel: KernelRow, tools: CacheEntry): Promise<CacheEntry> {
  return ensureCached(kernelEntry(kernel), async (folder) => {
    const apt = await AptSuite.open(kernel.suite);
    const image = await newestComplete(apt, kernel);
    const release = image.slice("linux-image-".length);
    say(`fetching kernel ${release} (Debian ${kernel.suite})`);
    // Newer kernels are split: the image holds the boot image only, or nothing but dependencies.
    const parts: string[] = [];
    for (const part of ["image", "binary", "modules", "base"]) {
      if (await apt.has(`linux-${part}-${release}`)) parts.push(`linux-${part}-${release}`);
    }
    await apt.unpack(parts, folder, false);
    arrange(folder, release);
    await must(join(tools.path, "bin/depmod"), ["-b", folder, release]);
    return release;
  });
}

/** The mirror keeps the signed parts of superseded kernels but not their modules: such a name depends on nothing real. */
async function newestComplete(apt: AptSuite, kernel: KernelRow): Promise<string> {
  for (const image of await apt.names(kernel.image)) {
    const missing = (await apt.dependencies(image)).some((name) => /^<linux-(binary|modules)-/.test(name));
    if (!missing && (await apt.has(image))) return image;
  }
  throw new Error(
    `Debian ${kernel.suite} has no complete package like ${kernel.image.source}: edit test/matrix/kernels.ts`,
  );
}

function arrange(folder: string, release: string): void {
  // Both module paths, whichever the package has: virtme-ng walks up to a folder with lib/modules.
  if (existsSync(join(folder, "usr/lib/modules"))) {
    symlinkSync("usr/lib", join(folder, "lib"));
  } else {
    mkdirSync(join(folder, "usr/lib"), { recursive: true });
    symlinkSync("../../lib/modules", join(folder, "usr/lib/modules"));
  }
  const modules = join(folder, "lib/modules", release);
  for (const [from, to] of [
    ["vmlinuz", "vmlinuz"],
    ["config", "config"],
  ] as const) {
    if (!existsSync(join(modules, to))) renameSync(join(folder, `boot/${from}-${release}`), join(modules, to));
  }
  rmSync(join(folder, "boot"), { recursive: true, force: true });
  rmSync(join(folder, "usr/share"), { recursive: true, force: true });
}
