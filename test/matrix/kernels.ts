// What the matrix runs on, as one table: the kernels, the Debian packages they and the tools come from, the Node.js
// versions, and the limits of a guest. To add a kernel, add a row; to replace one that left the mirror, edit its row.

/** One kernel of the matrix. */
export interface KernelRow {
  /** What the user types, and the profile name in `test/support/features.ts`. */
  readonly name: string;
  /** Debian suite whose package lists are read. */
  readonly suite: string;
  /** The image package. Of all complete matches the newest is taken, then kept in the cache. */
  readonly image: RegExp;
  /** Why this kernel is here. */
  readonly why: string;
}

/** Oldest first. "cloud" is Debian's flavour for virtual machines: a third of the size, and for BPF only HID is missing. */
export const kernels: readonly KernelRow[] = [
  {
    name: "5.10",
    suite: "bullseye",
    image: /^linux-image-5\.10\.[0-9.]+-[0-9]+-cloud-amd64$/,
    why: "the oldest kernel bpfkit promises: Debian 11; no BPF links for perf events, no cookies, memlock counted",
  },
  {
    name: "6.1",
    suite: "bookworm",
    image: /^linux-image-6\.1\.[0-9.]+-[0-9]+-cloud-amd64$/,
    why: "Debian 12",
  },
  {
    name: "6.12",
    suite: "trixie",
    image: /^linux-image-6\.12\.[0-9.]+\+deb13-cloud-amd64$/,
    why: "Debian 13",
  },
  {
    name: "6.18",
    suite: "trixie-backports",
    image: /^linux-image-6\.18\.[0-9.]+\+deb13-cloud-amd64$/,
    why: "long-term kernel after 6.12; the same version as the project's machines, with all of BPF allowed",
  },
  {
    name: "latest",
    suite: "trixie-backports",
    image: /^linux-image-[0-9.]+\+deb13-cloud-amd64$/,
    why: "the newest kernel Debian packages",
  },
];

/** What boots them. One suite for all, so that the tools fit each other; they run with the libraries of that suite. */
export const tools = {
  suite: "trixie",
  packages: ["virtme-ng", "qemu-system-x86", "virtiofsd", "busybox-static", "kmod", "file"],
} as const;

/** Node.js majors the native suite runs on beside the one that runs the matrix; npm carries their binaries. */
export const nodeMajors: readonly number[] = [22, 24, 26];

/** A guest, unless the environment says otherwise (see `--help`). */
export const guestDefaults = { cpus: 2, memory: "2G", timeLimitSeconds: 900 } as const;

/** Kernel parameters for all guests. */
export const kernelParameters: readonly string[] = [
  // 5.10's default list of security modules lacks bpf.
  "lsm=landlock,yama,bpf",
  // Without it the first node waits for entropy for seconds.
  "random.trust_cpu=on",
  "mitigations=off",
  // Warnings and worse on the console: its end is what we print when a guest dies.
  "loglevel=5",
  // A guest that panics ends at once, with status 255.
  "panic=-1",
];

/** The rows with these names, in the table's order; every row when no name is given. */
export function selectKernels(names: readonly string[]): readonly KernelRow[] {
  const unknown = names.filter((name) => !kernels.some((kernel) => kernel.name === name));
  if (unknown.length > 0) {
    throw new Error(
      `no such kernel: ${unknown.join(", ")} (there are ${kernels.map((kernel) => kernel.name).join(", ")})`,
    );
  }
  return names.length === 0 ? kernels : kernels.filter((kernel) => names.includes(kernel.name));
}
