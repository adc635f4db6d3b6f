// Names that libbpf derives instead of reading them (libbpf.md 3.4).

/** Longest name of a map or program that the kernel keeps (BPF_OBJ_NAME_LEN without the NUL). */
const KERNEL_NAME_LENGTH = 15;
/** Room that is left to the section's name, also where it is shorter: that of `.rodata`. */
const SECTION_LENGTH = 7;

/**
 * Name of the map made from a data section: `<object>.bss` with the beginning of the object's name, at most 15 characters,
 * without those that the kernel refuses; for a section of the user's own naming (`.data.mine`) all of its name, of which
 * the kernel keeps as much as it can.
 */
export function dataMapName(objectName: string, sectionName: string): string {
  if (sectionName.indexOf(".", 1) !== -1) return sectionName;
  const prefixLength = KERNEL_NAME_LENGTH - Math.max(SECTION_LENGTH, sectionName.length);
  const full = objectName.slice(0, Math.max(0, prefixLength)) + sectionName;
  return full.slice(0, KERNEL_NAME_LENGTH).replace(/[^A-Za-z0-9_.]/g, "_");
}
