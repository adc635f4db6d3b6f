// Facts about the running kernel that are in no configuration, which objects ask for by externs named `LINUX_…`
// (libbpf.md 3.5). Each is found out once per process.

import type { FileDescriptor } from "../syscall/index.js";
import { loadKernelBtf } from "./btf.js";
import { kernelHas } from "./features.js";
import { readKernelSymbols } from "./kallsyms.js";
import { kernelVersionCode } from "./release.js";

/** What the kernel puts before the name of a system call's entry, by Node's name of the machine. */
const syscallPrefixes: Readonly<Record<string, string>> = {
  x64: "__x64_",
  arm64: "__arm64_",
  riscv64: "__riscv_",
};

/** The values by name, as the kernel shows them to the holder of a BPF token. 0 stands for what cannot be told. */
export const virtualValues: ReadonlyMap<string, (token?: FileDescriptor | undefined) => number> = new Map([
  ["LINUX_KERNEL_VERSION", kernelVersionCode],
  ["LINUX_HAS_BPF_COOKIE", (token?: FileDescriptor | undefined) => Number(kernelHas("bpf_cookie", token) === true)],
  ["LINUX_HAS_SYSCALL_WRAPPER", once(hasSyscallWrapper)],
]);

function once(probe: () => boolean): () => number {
  let answer: boolean | undefined;
  return () => {
    answer ??= probe();
    return Number(answer);
  };
}

/** Whether entries of system calls take their arguments in a `struct pt_regs` and have a name that says so (Linux 4.17). */
function hasSyscallWrapper(): boolean {
  const prefix = syscallPrefixes[process.arch];
  if (prefix === undefined) return false;
  const name = `${prefix}sys_bpf`;
  try {
    // Ten times faster than the list of symbols, where it is there and complete.
    if (loadKernelBtf("nothing").findByName(name, "func") !== undefined) return true;
  } catch {
    // No BTF: the names tell.
  }
  try {
    return readKernelSymbols([name]).addresses.has(name);
  } catch {
    return false;
  }
}

/**
 * The kernel's symbol for the entry of a system call, such as `__x64_sys_openat` (libbpf.md 2.3, ksyscall). Native ABI only.
 */
export function syscallSymbol(name: string): string {
  const prefix = syscallPrefixes[process.arch];
  const wrapped = prefix !== undefined && virtualValues.get("LINUX_HAS_SYSCALL_WRAPPER")?.() === 1;
  return wrapped ? `${prefix}sys_${name}` : `__se_sys_${name}`;
}
