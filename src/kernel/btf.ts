// The running kernel's own types.

import { readFileSync } from "node:fs";
import { release } from "node:os";
import { Btf } from "../btf/index.js";
import { BtfError, withLocation } from "../errors.js";
import { log } from "../log.js";

const VMLINUX = "/sys/kernel/btf/vmlinux";

/** Kept only as long as somebody uses it: several objects in a row share one index, an idle process holds nothing. */
let cached: WeakRef<Btf> | undefined;

/**
 * The BTF of the running kernel, from /sys/kernel/btf/vmlinux (Linux 5.4 and later with CONFIG_DEBUG_INFO_BTF).
 *
 * @param neededFor completes "… is needed for", for the error text.
 * @throws BtfError `BTF_MISSING` when the kernel does not show its types.
 *
 * libbpf: `btf__load_vmlinux_btf`.
 */
export function loadKernelBtf(neededFor: string): Btf {
  const known = cached?.deref();
  if (known !== undefined) return known;
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(VMLINUX);
  } catch (cause) {
    throw new BtfError("BTF_MISSING", `the kernel's BTF is needed for ${neededFor}, and ${VMLINUX} cannot be read`, {
      cause,
      hint: `kernel ${release()} was built without CONFIG_DEBUG_INFO_BTF, or /sys is not mounted; pass a BTF file of this very kernel by the option kernelBtf`,
    });
  }
  const btf = withLocation({ file: VMLINUX }, () => Btf.parse(bytes, { trusted: true }));
  log.debug(() => `kernel BTF: ${btf.typeCount} types from ${VMLINUX}`);
  cached = new WeakRef(btf);
  return btf;
}
