// What an object consists of, by name: programs, maps and global variables.

import type { BtfValue, ValueInput } from "../btf/index.js";
import { NotFoundError } from "../errors.js";
import type { GlobalVariables } from "../map/index.js";
import { nearNames } from "../near-names.js";
import type { BpfMap } from "./bpf-map.js";
import type { BpfProgram } from "./bpf-program.js";

/** The parts of an object. Users meet it as {@link BpfObject}, which adds the object's life. */
export abstract class ObjectParts {
  /** Programs in the order of their sections; sub-programs are not listed. libbpf: `bpf_object__next_program`. */
  abstract readonly programs: readonly BpfProgram[];
  /** Maps in declaration order, then data sections. libbpf: `bpf_object__next_map`. */
  abstract readonly maps: readonly BpfMap[];
  /** @internal Name or path of the object, for messages. */
  protected abstract readonly file: string;

  /** The program of that name. @throws NotFoundError naming near names. libbpf: `bpf_object__find_program_by_name`. */
  program(name: string): BpfProgram {
    const found = this.findProgram(name);
    if (found !== undefined) return found;
    const names = this.programs.map((program) => program.name);
    throw new NotFoundError(`no program ${name}${nearNames(name, names)}`, { file: this.file });
  }

  /** The program of that name, or undefined. */
  findProgram(name: string): BpfProgram | undefined {
    return this.programs.find((program) => program.name === name);
  }

  /**
   * The map of that name; a name that begins with a dot is that of a data section. `K` and `V` tell the compiler what
   * keys and values are, `VI` what values are written as.
   *
   * @throws NotFoundError naming near names. libbpf: `bpf_object__find_map_by_name`.
   */
  map<K extends BtfValue = BtfValue, V extends BtfValue = BtfValue, VI = ValueInput<V>>(
    name: string,
  ): BpfMap<K, V, VI> {
    const found = this.findMap<K, V, VI>(name);
    if (found !== undefined) return found;
    const names = this.maps.map((map) => (map.isInternal ? map.sectionName : map.name));
    throw new NotFoundError(`no map ${name}${nearNames(name, names)}`, { file: this.file });
  }

  /** The map of that name, or undefined. */
  findMap<K extends BtfValue = BtfValue, V extends BtfValue = BtfValue, VI = ValueInput<V>>(
    name: string,
  ): BpfMap<K, V, VI> | undefined {
    const found = this.maps.find((map) =>
      name.startsWith(".") ? map.isInternal && map.sectionName === name : map.name === name,
    );
    return found as BpfMap<K, V, VI> | undefined;
  }

  /** Global constants (`const volatile`): written before load, read-only afterwards. Skeletons: `skel->rodata`. */
  get rodata(): GlobalVariables {
    return this.globals(".rodata");
  }

  /** Global variables with an initial value, in memory shared with the program after load. Skeletons: `skel->data`. */
  get data(): GlobalVariables {
    return this.globals(".data");
  }

  /** Global variables that begin as zero, in memory shared with the program after load. Skeletons: `skel->bss`. */
  get bss(): GlobalVariables {
    return this.globals(".bss");
  }

  /**
   * Global variables in the object's arena (`__arena`), in memory shared with the programs after load. Linux 6.9.
   * Skeletons: `skel->arena`. @throws NotFoundError
   */
  get arena(): GlobalVariables {
    return this.globals(".addr_space.1");
  }

  /** The variables of a data section by its name, such as `.data.custom`. @throws NotFoundError */
  globals(section: string): GlobalVariables {
    const data = this.maps.find((map) => map.dataSectionName === section)?.data;
    if (data !== undefined) return data.variables;
    const names = this.maps.flatMap((map) => map.dataSectionName ?? []);
    throw new NotFoundError(`no data section ${section}${nearNames(section, names)}`, { file: this.file });
  }
}
