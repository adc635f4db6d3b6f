// A guest: boots one kernel over this machine's own root file system and runs one command in it as root. The root is
// read-only with throw-away overlays, so a guest can write and nothing stays; results come back by stdout and status.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type CacheEntry, cacheRoot } from "./cache.js";
import { type CommandResult, interact, run } from "./command.js";
import { guestDefaults, type KernelRow, kernelParameters } from "./kernels.js";

/** A kernel and the tools that boot it, all in the cache. */
export interface Bootable {
  readonly kernel: KernelRow;
  readonly image: CacheEntry;
  readonly tools: CacheEntry;
}

/** What became of a guest. `stderr` ends with the kernel's console. */
export interface GuestResult extends CommandResult {
  /** `ended`: the command ended by itself, with `status`. */
  readonly fate: "ended" | "hung" | "died";
}

/** Folders that virtme-ng makes writable by itself. */
const WRITABLE = /^\/(etc|home|lib|opt|srv|usr|var|tmp)(\/|$)/;

/** The status of vng when the guest went away without telling one (a panic), and of `timeout` when the time was up. */
const STATUS_DIED = 255;
const STATUS_TIME_UP = 124;

/** Files with the process ids of the guests that run. */
const running = new Set<string>();

/** Runs a shell command in a guest, in this directory. Its stdout arrives line by line while it runs. */
export async function runInGuest(
  guest: Bootable,
  directory: string,
  shellCommand: string,
  onLine: (line: string) => void,
): Promise<GuestResult> {
  mkdirSync(join(cacheRoot(), "run"), { recursive: true });
  const folder = mkdtempSync(join(cacheRoot(), "run", `${guest.kernel.name}.`));
  try {
    // The kernel's command line holds 2 KiB: the command goes in by file.
    const script = join(folder, "command.sh");
    writeFileSync(script, guestScript(guest, directory, shellCommand));
    const limit = process.env.MATRIX_TIMEOUT ?? String(guestDefaults.timeLimitSeconds);
    const vng = vngArguments(guest, directory, ["--verbose", "--exec", `bash ${script}`]);
    const pidFile = join(folder, "pid");
    running.add(pidFile);
    const boot = fileURLToPath(new URL("./boot.sh", import.meta.url));
    const result = await run("bash", [boot, pidFile, limit, "vng", ...vng], { env: vngEnvironment(guest), onLine });
    const fate = result.status === STATUS_TIME_UP ? "hung" : result.status === STATUS_DIED ? "died" : "ended";
    return { ...result, fate };
  } finally {
    running.delete(join(folder, "pid"));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Ends all guests: they are not in the terminal's process group and would survive an interrupt. */
export function endGuests(): void {
  for (const pidFile of running) {
    try {
      process.kill(Number(readFileSync(pidFile, "utf8")), "SIGTERM");
    } catch {
      // Not started yet, or just ended.
    }
    rmSync(dirname(pidFile), { recursive: true, force: true });
  }
}

/** A shell in a guest, on the user's terminal. */
export function shellInGuest(guest: Bootable): Promise<number> {
  return interact("vng", vngArguments(guest, process.cwd(), []), { env: vngEnvironment(guest) });
}

function vngArguments(guest: Bootable, directory: string, more: readonly string[]): string[] {
  const { image, tools, kernel } = guest;
  const kvm = process.env.MATRIX_KVM === "1";
  const append = [...kernelParameters, process.env.MATRIX_APPEND ?? ""].join(" ").trim();
  return [
    ...["--run", join(image.path, "lib/modules", image.version, "vmlinuz")],
    ...["--name", `k${kernel.name}`, "--busybox", join(tools.path, "bin/busybox")],
    // Any /dev/kvm that opens would be used; one that cannot run stock kernels is why this is opt-in.
    ...(kvm ? [] : ["--disable-kvm", "--qemu-opts=-cpu max,la57=off"]),
    ...(WRITABLE.test(directory) ? [] : ["--overlay-rwdir", directory]),
    ...["--cpus", process.env.MATRIX_CPUS ?? String(guestDefaults.cpus)],
    ...["--memory", process.env.MATRIX_MEMORY ?? guestDefaults.memory],
    ...["--append", append, ...more],
  ];
}

function vngEnvironment(guest: Bootable): NodeJS.ProcessEnv {
  const home = join(cacheRoot(), "home");
  mkdirSync(home, { recursive: true });
  return { ...process.env, PATH: `${guest.tools.path}/bin:${process.env.PATH ?? ""}`, HOME: home };
}

function guestScript(guest: Bootable, directory: string, shellCommand: string): string {
  const values: Record<string, string> = {
    PATH: process.env.PATH ?? "/usr/bin:/bin",
    MATRIX_KERNEL: guest.kernel.name,
    MATRIX_RELEASE: guest.image.version,
    MATRIX_TOOLS: join(guest.tools.path, "bin"),
    MATRIX_DIRECTORY: directory,
    MATRIX_COMMAND: shellCommand,
  };
  const exports = Object.entries(values).map(([name, value]) => `export ${name}=${quote(value)}\n`);
  return exports.join("") + readFileSync(new URL("./guest-command.sh", import.meta.url), "utf8");
}

/** One word for a shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
