// Calls that mean nothing but a question: the errno of a deliberately wrong call tells what the kernel knows. They stand
// here because only this room reaches system calls that have no typed function (libbpf.md 3.10).

import { BpfCommand, btfLoadLayout, commonAttrLayout } from "./attr-layout.js";
import { attrOf, BPF_COMMON_ATTRS } from "./bpf-call.js";
import { readInfo } from "./bpf-info-map.js";
import { errnoOf } from "./failure.js";
import type { FdLike } from "./fd.js";
import { ffi } from "./ffi.js";
import { btfInfoLayout } from "./info-layout.js";
import { alive } from "./memory.js";

/** uprobe() exists on x86-64 only; it is meant for the trampolines that the kernel writes. */
const UPROBE_SYSCALL_X64 = 336;

/**
 * errno of a command that announces common attributes and points to none: EFAULT where the kernel reads them (Linux 7.x),
 * EINVAL where it does not know the bit.
 */
export function commonAttrsErrno(): number {
  const attr = attrOf("BTF_LOAD", btfLoadLayout, {});
  const { syscall, numbers } = ffi();
  const command = BpfCommand.BTF_LOAD | BPF_COMMON_ATTRS;
  return -Math.min(
    0,
    alive(attr, () => syscall(numbers.bpf, command, attr.address, attr.size, 0, commonAttrLayout.size)),
  );
}

/**
 * errno of uprobe() outside of a trampoline: ENXIO where the kernel has the call (Linux 6.18); undefined on machines that
 * have no number for it.
 */
export function uprobeSyscallErrno(): number | undefined {
  if (process.arch !== "x64") return undefined;
  return -Math.min(0, ffi().syscall(UPROBE_SYSCALL_X64));
}

/** errno, or 0, of asking for the name of loaded type information: E2BIG before Linux 5.11. */
export function btfNameErrno(btf: FdLike): number {
  const name = new Uint8Array(64);
  return errnoOf(() => void readInfo(btf, "btf", btfInfoLayout, { name, name_len: name.length }));
}
