// Names that libbpf derives instead of reading them (libbpf.md 3.4).

/** Longest name of a map or program that the kernel keeps (BPF_OBJ_NAME_LEN without the NUL). */
const KERNEL_NAME_LENGTH = 15;
/** Room that is left to the section's name, also where it is shorter: that of `.rodata`. */
const SECTION_LENGTH = 7;

/**
 * Name of the map made from a data section: `<object>.bss`, or for a section of the user's own naming (`.data.mine`) its
 * own name. Characters that the kernel refuses become `_`; at most 15 characters.
 */
export function dataMapName(objectName: string, sectionName: string): string {
  const isCustom = sectionName.indexOf(".", 1) !== -1;
  const prefixLength = KERNEL_NAME_LENGTH - Math.max(SECTION_LENGTH, sectionName.length);
  const full = isCustom ? sectionName : objectName.slice(0, prefixLength) + sectionName;
  return full.slice(0, KERNEL_NAME_LENGTH).replace(/[^A-Za-z0-9_.]/g, "_");
}
