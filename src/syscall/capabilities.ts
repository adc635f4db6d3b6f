// Which privileges this process has, read only to explain a refusal: the kernel decides, we name what was missing.

import { readlinkSync } from "node:fs";
import { release } from "node:os";
import { readTextFile } from "./text-file.js";

/** Bit numbers of the capabilities that matter for BPF (UAPI linux/capability.h). */
const bits = {
  CAP_NET_ADMIN: 12,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_RESOURCE: 24,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
} as const;

/** For what BPF does with them, CAP_SYS_ADMIN stands in for these. */
const impliedByAdmin: ReadonlySet<string> = new Set(["CAP_NET_ADMIN", "CAP_PERFMON", "CAP_BPF"]);

/** A capability by name. */
export type Capability = keyof typeof bits;

/** What decides about privileges, as far as a process can see it. What cannot be seen is missing. */
export interface Privileges {
  /** Capabilities in effect, among those that matter for BPF. What CAP_SYS_ADMIN implies is not expanded here. */
  readonly effective?: ReadonlySet<Capability> | undefined;
  /** The process is not in the initial user namespace, whose capabilities alone count for BPF. */
  readonly inUserNamespace?: boolean | undefined;
  /** A seccomp filter is in force. */
  readonly seccomp?: boolean | undefined;
  /** Kernel lockdown as /sys shows it: `integrity`, `confidentiality`. */
  readonly lockdown?: string | undefined;
  /** RLIMIT_MEMLOCK in bytes, where it limits BPF: before Linux 5.11, unless it is unlimited. */
  readonly memlock?: number | undefined;
}

/**
 * Capabilities in effect for this process, among those that matter for BPF; `undefined` when /proc is not readable.
 * What CAP_SYS_ADMIN implies is not expanded here.
 */
export function effectiveCapabilities(): ReadonlySet<Capability> | undefined {
  return ownPrivileges().effective;
}

/** The known capabilities in a mask as /proc shows it. */
export function capabilitiesOf(mask: bigint): ReadonlySet<Capability> {
  const names = Object.keys(bits) as Capability[];
  return new Set(names.filter((name) => ((mask >> BigInt(bits[name])) & 1n) === 1n));
}

/** PROC_USER_INIT_INO of the kernel's linux/proc_ns.h, which never changes. */
const INITIAL_USER_NAMESPACE = "user:[4026531837]";

let inUserNamespace: boolean | undefined;

/**
 * True when this process is in another user namespace than the initial one; undefined when /proc does not tell. Asked
 * once: a process with several threads, which Node always has, cannot change its user namespace.
 */
export function isInUserNamespace(): boolean | undefined {
  try {
    inUserNamespace ??= readlinkSync("/proc/self/ns/user") !== INITIAL_USER_NAMESPACE;
  } catch {
    // Not mounted, or hidden.
  }
  return inUserNamespace;
}

/** What /proc and /sys say about this process. */
function ownPrivileges(): Privileges {
  const status = readTextFile("/proc/self/status") ?? "";
  const mask = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1];
  return {
    effective: mask === undefined ? undefined : capabilitiesOf(BigInt(`0x${mask}`)),
    inUserNamespace: isInUserNamespace(),
    seccomp: /^Seccomp:\s*2$/m.test(status),
    lockdown: /\[(integrity|confidentiality)\]/.exec(readTextFile("/sys/kernel/security/lockdown") ?? "")?.[1],
    memlock: isBefore5_11(release()) ? lockedMemoryLimit() : undefined,
  };
}

function isBefore5_11(version: string): boolean {
  const [major = 0, minor = 0] = version.split(/[.-]/, 2).map(Number);
  return major < 5 || (major === 5 && minor < 11);
}

function lockedMemoryLimit(): number | undefined {
  const soft = /^Max locked memory\s+(\d+)/m.exec(readTextFile("/proc/self/limits") ?? "")?.[1];
  return soft === undefined ? undefined : Number(soft);
}

/** How a process in a user namespace comes to use BPF all the same. */
const TOKEN_ADVICE =
  "or give it a BPF token: mount a BPF file system with delegate_* options for this namespace (Linux 6.9) at /sys/fs/bpf, " +
  "or name its place by the option tokenPath";

/**
 * The sentence that explains EPERM for something that wants the capabilities `needed`.
 *
 * @param options.byToken a BPF token can stand in for them
 * @param options.exactly CAP_SYS_ADMIN does not stand in for them, as it does for all of BPF
 * @param options.otherwise what it is when the process has them; by default what is seen to be in force besides
 * @param options.privileges what the process has; by default asked from /proc
 */
export function privilegeHint(
  needed: readonly Capability[],
  options: { byToken?: boolean; exactly?: boolean; otherwise?: string; privileges?: Privileges } = {},
): string {
  const { byToken = false, exactly = false, otherwise, privileges = ownPrivileges() } = options;
  const { effective } = privileges;
  const implied = (name: Capability): boolean => !exactly && impliedByAdmin.has(name);
  const needs = (names: readonly Capability[]) =>
    `${names.join(" and ")}${needed.every(implied) ? " (or CAP_SYS_ADMIN)" : ""}`;
  if (privileges.inUserNamespace === true) {
    const advice = byToken ? `; run it outside, ${TOKEN_ADVICE}` : "; run it outside";
    return `this needs ${needs(needed)} in the initial user namespace, and the process is in another one${advice}`;
  }
  if (effective === undefined) return `this needs ${needs(needed)}`;
  const has = (name: Capability) => effective.has(name) || (effective.has("CAP_SYS_ADMIN") && implied(name));
  const missing = needed.filter((name) => !has(name));
  if (missing.length > 0) return `the process lacks ${needs(missing)}; run it as root or grant that`;
  return otherwise ?? `the process has the capabilities that this needs; ${suspects(privileges)}`;
}

/** What besides capabilities may forbid something: what is seen to be in force, else all that is known. */
function suspects({ seccomp, lockdown, memlock }: Privileges): string {
  const seen = [
    memlock !== undefined &&
      `RLIMIT_MEMLOCK, ${Math.floor(memlock / 1024)} KiB, limits BPF memory before Linux 5.11: raise it (ulimit -l unlimited)`,
    seccomp === true && "a seccomp filter is in force, as in containers, and may forbid it: allow the call there",
    lockdown !== undefined && `kernel lockdown (${lockdown}) is in force and may forbid it`,
  ].filter((suspect) => suspect !== false);
  if (seen.length > 0) return seen.join("; ");
  return "a security module, or a filter or policy around the container, may forbid it";
}
