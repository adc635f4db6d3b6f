// virtme-ng, QEMU and what they need, unpacked into the cache and started through small scripts: the programs come from
// a newer Debian than the machine may run, so each is started by its own dynamic linker with its own libraries.

import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AptSuite } from "./apt.js";
import { type CacheEntry, ensureCached, say } from "./cache.js";
import { tools } from "./kernels.js";

/** A starter: `$R` is the unpacked root. */
interface Starter {
  readonly name: string;
  readonly env?: string;
  readonly command: string;
}

const PYTHON = "PYTHONHOME=$R/usr PYTHONPATH=$R/usr/lib/python3/dist-packages PYTHONDONTWRITEBYTECODE=1";

const starters: readonly Starter[] = [
  { name: "qemu-system-x86_64", command: "$R/usr/bin/qemu-system-x86_64 -L $R/usr/share/qemu" },
  // It keeps a descriptor per file a guest has seen, and root may not raise the limit everywhere: file handles instead.
  { name: "virtiofsd", command: "$R/usr/libexec/virtiofsd --cache=always --inode-file-handles=prefer" },
  { name: "depmod", command: "$R/usr/bin/kmod" },
  { name: "modprobe", command: "$R/usr/bin/kmod" },
  { name: "file", env: "MAGIC=$R/usr/lib/file/magic.mgc", command: "$R/usr/bin/file" },
  { name: "vng", env: PYTHON, command: "$R/usr/bin/python3 $R/usr/bin/vng" },
  { name: "virtme-run", env: PYTHON, command: "$R/usr/bin/python3 $R/usr/bin/virtme-run" },
];

/** The tools, fetched when missing. Programs are in `bin` below the entry. */
export function ensureTools(): Promise<CacheEntry> {
  return ensureCached("tools", async (folder, finalPath) => {
    say(`fetching virtme-ng and QEMU (Debian ${tools.suite})`);
    const root = join(folder, "root");
    mkdirSync(root);
    mkdirSync(join(folder, "bin"));
    const apt = await AptSuite.open(tools.suite);
    await apt.unpack(tools.packages, root, true);
    linkFirmware(root);
    for (const starter of starters) writeStarter(folder, finalPath, starter);
    symlinkSync("../root/usr/bin/busybox", join(folder, "bin/busybox"));
    installGuestInit(root, finalPath);
    return tools.suite;
  });
}

/** Once `-L` is given QEMU looks in that folder only, but the BIOS is packaged in another. */
function linkFirmware(root: string): void {
  for (const file of readdirSync(join(root, "usr/share/seabios"))) {
    symlinkSync(`../seabios/${file}`, join(root, "usr/share/qemu", file));
  }
}

function writeStarter(folder: string, finalPath: string, starter: Starter): void {
  const path = join(folder, "bin", starter.name);
  const lines = ["#!/bin/sh", `R=${finalPath}/root L=${finalPath}/root/usr/lib/x86_64-linux-gnu`];
  if (starter.env !== undefined) lines.push(`export ${starter.env}`);
  lines.push(`exec "$L/ld-linux-x86-64.so.2" --library-path "$L" --argv0 ${starter.name} ${starter.command} "$@"`, "");
  writeFileSync(path, lines.join("\n"));
  chmodSync(path, 0o755);
}

/** Puts our first process where virtme-run looks for its own, and virtiofsd beside it. */
function installGuestInit(root: string, finalPath: string): void {
  const bin = join(root, "usr/lib/python3/dist-packages/virtme/guest/bin");
  mkdirSync(bin, { recursive: true });
  const script = readFileSync(new URL("./guest-init.sh", import.meta.url), "utf8");
  writeFileSync(join(bin, "virtme-ng-init"), script.replaceAll("@TOOLS@", finalPath));
  chmodSync(join(bin, "virtme-ng-init"), 0o755);
  symlinkSync(`${finalPath}/bin/virtiofsd`, join(bin, "virtiofsd"));
}
