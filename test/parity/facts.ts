// What an object uses, as far as it explains differences: read from the file, without bpfkit's loader.

import { Btf } from "../../src/btf/index.js";
import { parseElf } from "../../src/elf/index.js";

/** A feature of the object; "nothing loads": neither side could load a single program of it. */
export type Fact = "externs" | "struct_ops" | "nothing loads";

/** The features of an object; none when the file or its BTF is damaged. */
export function factsOf(bytes: Uint8Array): Fact[] {
  try {
    const elf = parseElf(bytes);
    const facts = new Set<Fact>();
    if (elf.sections.some(({ name }) => name.startsWith(".struct_ops"))) facts.add("struct_ops");
    const section = elf.section(".BTF");
    if (section === undefined) return [...facts];
    const btf = Btf.parse(bytes.subarray(section.offset, section.offset + section.size));
    if ([".kconfig", ".ksyms"].some((name) => btf.findByName(name, "datasec") !== undefined)) facts.add("externs");
    return [...facts];
  } catch {
    return [];
  }
}
