// The types of kernel modules: split BTF on top of vmlinux's, one for each loaded module that was built with it
// (libbpf.md 4.4 rule 5). Listed when first asked for, parsed one by one as they are searched.

import { readdirSync, readFileSync } from "node:fs";
import { Btf } from "../btf/index.js";
import { SystemCallError, withLocation } from "../errors.js";
import { log } from "../log.js";
import { btfInfo, Errno, type FileDescriptor, objectIds, openById } from "../syscall/index.js";

const FOLDER = "/sys/kernel/btf";
const VMLINUX = "vmlinux";

/** The types of one module. */
export interface ModuleBtf {
  /** Of the module. */
  readonly name: string;
  /** On top of vmlinux; parsed when first read. */
  readonly btf: Btf;
  /** For instructions that refer to the module's types; undefined when this process may not open BTF by id. */
  readonly fd: FileDescriptor | undefined;
}

/** The types of all modules that are loaded at the time of the first look. Close it when nothing refers to them any more. */
export class ModuleBtfs implements Disposable {
  readonly #vmlinux: () => Btf;
  #modules: readonly ModuleBtf[] | undefined;

  /** `vmlinux` is asked for once a module is parsed. */
  constructor(vmlinux: () => Btf) {
    this.#vmlinux = vmlinux;
  }

  /**
   * In the order in which the modules were loaded; none before Linux 5.11.
   *
   * libbpf: `load_module_btfs` (internal).
   * @throws SystemCallError
   */
  list(): readonly ModuleBtf[] {
    this.#modules ??= listById(this.#vmlinux) ?? listFiles(this.#vmlinux);
    return this.#modules;
  }

  close(): void {
    for (const { fd } of this.#modules ?? []) fd?.close();
    this.#modules = [];
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Undefined when this process may not look at ids (CAP_SYS_ADMIN). */
function listById(vmlinux: () => Btf): ModuleBtf[] | undefined {
  const opened = new Set<FileDescriptor>();
  const modules: ModuleBtf[] = [];
  try {
    for (const id of objectIds("btf")) {
      const fd = open(id);
      if (fd === undefined) continue;
      opened.add(fd);
      const { name, isKernel } = btfInfo(fd);
      if (isKernel && name !== VMLINUX) {
        modules.push(moduleBtf(name, fd, () => btfInfo(fd, { bytes: true }).bytes!, vmlinux));
        opened.delete(fd);
      }
    }
    return modules;
  } catch (error) {
    for (const { fd } of modules) fd?.close();
    if (!(error instanceof SystemCallError)) throw error;
    // EINVAL: this kernel has no list of BTF yet (5.4), much less of modules.
    if (error.errno === Errno.EINVAL) return [];
    if (error.errno === Errno.EPERM) return undefined;
    throw error;
  } finally {
    for (const fd of opened) fd.close();
  }
}

/** Undefined when it has gone since it was listed. */
function open(id: number): FileDescriptor | undefined {
  try {
    return openById("btf", id);
  } catch (error) {
    if (error instanceof SystemCallError && error.errno === Errno.ENOENT) return undefined;
    throw error;
  }
}

/** Good enough for CO-RE, which needs no descriptors. */
function listFiles(vmlinux: () => Btf): ModuleBtf[] {
  let names: string[];
  try {
    names = readdirSync(FOLDER);
  } catch {
    names = [];
  }
  log.debug(() => `types of modules by name, because ids need CAP_SYS_ADMIN: ${names.length} files in ${FOLDER}`);
  return names
    .filter((name) => name !== VMLINUX)
    .map((name) => moduleBtf(name, undefined, () => readFileSync(`${FOLDER}/${name}`), vmlinux));
}

function moduleBtf(
  name: string,
  fd: FileDescriptor | undefined,
  read: () => Uint8Array,
  vmlinux: () => Btf,
): ModuleBtf {
  let parsed: Btf | undefined;
  return {
    name,
    fd,
    get btf() {
      parsed ??= withLocation({ file: `${FOLDER}/${name}` }, () =>
        Btf.parse(read(), { base: vmlinux(), trusted: true }),
      );
      return parsed;
    },
  };
}
