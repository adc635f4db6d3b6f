// Names as the kernel takes them.

/** BPF_OBJ_NAME_LEN without the NUL. */
const LENGTH = 15;

/** The first 15 characters, with what the kernel does not allow replaced by `_`. */
export function kernelName(name: string): string {
  return name.slice(0, LENGTH).replace(/[^A-Za-z0-9_.]/g, "_");
}
