// The running kernel's own types.

import { closeSync, fstatSync, openSync } from "node:fs";
import { release } from "node:os";
import { Btf } from "../btf/index.js";
import { BpfkitError, BtfError } from "../errors.js";
import { log } from "../log.js";
import { MappedRegion } from "../syscall/index.js";
import { readBtfFile } from "./btf-source.js";

const VMLINUX = "/sys/kernel/btf/vmlinux";

/** Images of the running kernel that may have its types, in the order of libbpf.md 3.2 step 4. */
const images: readonly ((release: string) => string)[] = [
  (name) => `/boot/vmlinux-${name}`,
  (name) => `/lib/modules/${name}/vmlinux-${name}`,
  (name) => `/lib/modules/${name}/build/vmlinux`,
  (name) => `/usr/lib/modules/${name}/kernel/vmlinux`,
  (name) => `/usr/lib/debug/boot/vmlinux-${name}`,
  (name) => `/usr/lib/debug/boot/vmlinux-${name}.debug`,
  (name) => `/usr/lib/debug/lib/modules/${name}/vmlinux`,
];

/** Kept only as long as somebody uses it: several objects in a row share one index, an idle process holds nothing. */
let cached: WeakRef<Btf> | undefined;

/**
 * The BTF of the running kernel: from /sys/kernel/btf/vmlinux (Linux 5.4 and later with CONFIG_DEBUG_INFO_BTF), else from
 * an image of the kernel with its types in it, where distributions put those.
 *
 * @param neededFor completes "… is needed for", for the error text.
 * @throws BtfError `BTF_MISSING` with all places when none has the types.
 *
 * libbpf: `btf__load_vmlinux_btf`.
 */
export function loadKernelBtf(neededFor: string): Btf {
  const known = cached?.deref();
  if (known !== undefined) return known;
  const btf = searchKernelBtf(neededFor);
  cached = new WeakRef(btf);
  return btf;
}

/** Where to look, for tests. */
interface KernelBtfPlaces {
  /** Raw BTF, from the kernel itself. */
  readonly raw?: string;
  readonly images?: readonly string[];
}

/** {@link loadKernelBtf} without the memory. */
export function searchKernelBtf(
  neededFor: string,
  { raw = VMLINUX, images: files = images.map((path) => path(release())) }: KernelBtfPlaces = {},
): Btf {
  const failures: { readonly path: string; readonly why: string }[] = [];
  for (const path of [raw, ...files]) {
    try {
      // What the kernel gives needs less checking than a file that anybody may have put there.
      const btf = (path === VMLINUX ? mappedBtf() : undefined) ?? readBtfFile(path, { trusted: path === raw });
      log.debug(() => `kernel BTF: ${btf.typeCount} types from ${path}`);
      return btf;
    } catch (error) {
      const why = reasonOf(error);
      log.debug(() => `kernel BTF: not from ${path}: ${why}`);
      failures.push({ path, why });
    }
  }
  const tried = failures.map(({ path, why }) => `${path} (${why})`).join(", ");
  throw new BtfError("BTF_MISSING", `the kernel's BTF is needed for ${neededFor}, and was not found in ${tried}`, {
    hint: `kernel ${release()} was built without CONFIG_DEBUG_INFO_BTF, or /sys is not mounted; pass a BTF file of this very kernel by the option kernelBtf`,
  });
}

/**
 * The kernel's types in the kernel's own memory, which nobody can change (Linux 6.16): reading them takes as long as
 * indexing them. Undefined where they cannot be mapped. The Btf must not be handed to users: who writes to its bytes ends
 * the process.
 */
function mappedBtf(): Btf | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(VMLINUX, "r");
    const region = MappedRegion.map(fd, { length: fstatSync(fd).size, shared: false });
    return Btf.parse(region.leave(), { trusted: true });
  } catch (error) {
    log.debug(() => `kernel BTF: not mapped: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function reasonOf(error: unknown): string {
  if (BpfkitError.isBpfkitError(error)) return error.reason;
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  return code === "ENOENT" ? "no such file" : code;
}
