// What the kernels we test on must be able to do. A feature is expected where the kernel is new enough; the exceptions,
// which come from how a kernel was configured, stand here with their reason. A wrong line fails the run in both
// directions (needs.test.ts), so no test can pass by being skipped.

import { release } from "node:os";
import { type FeatureName, features } from "./features.js";

/** One kernel we know: the matrix's name for it, or `native` for the project's own machines. */
interface Profile {
  /** New enough by version, yet absent. */
  readonly absent?: Readonly<Partial<Record<FeatureName, string>>>;
  /** Not new enough by version, yet there. */
  readonly early?: Readonly<Partial<Record<FeatureName, string>>>;
}

const NO_KPROBES = "built without CONFIG_KPROBES";
const POLICY = "refused with EPERM before the verifier: the machine's policy";

const profiles: Readonly<Record<string, Profile>> = {
  native: {
    absent: {
      virtual_machine: "it is the machine's own kernel: one refused program has brought it down before",
      conntrack_functions: "built without modules",
      ksym_variable: "built without CONFIG_KALLSYMS_ALL",
      kprobe: NO_KPROBES,
      kretprobe: NO_KPROBES,
      kprobe_multi: NO_KPROBES,
      kprobe_session: NO_KPROBES,
      fentry: POLICY,
      fexit: POLICY,
      fmod_ret: POLICY,
      freplace: POLICY,
      lsm: POLICY,
      tracing_cookie: POLICY,
      sleepable_fentry: POLICY,
      sleepable_lsm: POLICY,
      lsm_cgroup: POLICY,
      module_btf: "built without modules",
      netkit: "built without CONFIG_NETKIT",
      sched_ext: "built without CONFIG_SCHED_CLASS_EXT",
    },
  },
  "5.10": { absent: { btf_variable: "pahole was too old for variables" } },
  "6.1": { absent: { kprobe_multi: "built without CONFIG_FPROBE" } },
  "6.12": { absent: { sched_ext: "built without CONFIG_SCHED_CLASS_EXT" } },
  "6.18": {},
  latest: {},
};

/** The profile of the running kernel: a guest's name, `native` in CI, else undefined: nothing is expected of it. */
export function currentProfile(): string | undefined {
  return process.env.MATRIX_KERNEL ?? (process.env.CI ? "native" : undefined);
}

/** Whether a kernel of this profile and release should have a feature; undefined for a kernel we do not know. */
export function isExpected(
  name: FeatureName,
  profile: string | undefined = currentProfile(),
  kernelRelease: string = release(),
): boolean | undefined {
  const known = profile === undefined ? undefined : profiles[profile];
  if (known === undefined) return undefined;
  if (known.absent?.[name] !== undefined) return false;
  return known.early?.[name] !== undefined || isAtLeast(kernelRelease, features[name].since);
}

/** Whether a release such as `6.12.107+deb13` is that version or a later one. */
export function isAtLeast(kernelRelease: string, version: string): boolean {
  const [have, need] = [numbers(kernelRelease), numbers(version)];
  for (let i = 0; i < 2; i++) {
    if ((have[i] ?? 0) !== (need[i] ?? 0)) return (have[i] ?? 0) > (need[i] ?? 0);
  }
  return true;
}

/** Major and minor; the third number of old kernels (2.6.24) does not matter to the kernels we test. */
function numbers(version: string): readonly number[] {
  return version.split(/[.\-+]/, 2).map(Number);
}
