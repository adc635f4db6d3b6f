// Which privileges this process has, read only to explain a refusal: the kernel decides, we name what was missing.

import { readFileSync } from "node:fs";

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

/**
 * Capabilities in effect for this process, among those that matter for BPF; `undefined` when /proc is not readable.
 * What CAP_SYS_ADMIN implies is not expanded here.
 */
export function effectiveCapabilities(): ReadonlySet<Capability> | undefined {
  let status: string;
  try {
    status = readFileSync("/proc/self/status", "latin1");
  } catch {
    return undefined;
  }
  const hex = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1];
  return hex === undefined ? undefined : capabilitiesOf(BigInt(`0x${hex}`));
}

/** The known capabilities in a mask as /proc shows it. */
export function capabilitiesOf(mask: bigint): ReadonlySet<Capability> {
  const names = Object.keys(bits) as Capability[];
  return new Set(names.filter((name) => ((mask >> BigInt(bits[name])) & 1n) === 1n));
}

/**
 * The sentence that explains EPERM for something that wants the capabilities `needed`.
 *
 * @param effective what the process has; by default asked from /proc
 */
export function privilegeHint(needed: readonly Capability[], effective = effectiveCapabilities()): string {
  const orAdmin = needed.every((name) => impliedByAdmin.has(name)) ? " (or CAP_SYS_ADMIN)" : "";
  if (effective === undefined) return `this needs ${needed.join(" and ")}${orAdmin}`;
  const has = (name: Capability) => effective.has(name) || (effective.has("CAP_SYS_ADMIN") && impliedByAdmin.has(name));
  const missing = needed.filter((name) => !has(name));
  if (missing.length > 0) return `the process lacks ${missing.join(" and ")}${orAdmin}; run it as root or grant that`;
  return (
    "the process has the capabilities that this needs; a container's seccomp filter, a user namespace, a security module, " +
    "kernel lockdown, or before Linux 5.11 a small RLIMIT_MEMLOCK (ulimit -l) may forbid it"
  );
}
