// A BPF object through its whole life: open, edit, load, attach, use, close.

import type { Btf, BtfValue } from "../btf/index.js";
import { addLocation, NotFoundError, StateError, withLocation } from "../errors.js";
import { kernelVersionCode, pinPathIn } from "../kernel/index.js";
import type { BpfLink } from "../link/index.js";
import type { GlobalVariables } from "../map/index.js";
import { nearNames } from "../near-names.js";
import { checkU32, MapPinning, type ObjectSpec, openObject, type ProgramSpec } from "../object/index.js";
import { progLoad, progLoadAsync } from "../syscall/index.js";
import { BpfMap } from "./bpf-map.js";
import { BpfProgram } from "./bpf-program.js";
import { loadSteps } from "./load.js";
import { type OpenInput, type OpenOptions, readInput } from "./open-input.js";

type State = "open" | "loading" | "loaded" | "failed" | "closed";

/**
 * A compiled BPF object (`.bpf.o`).
 *
 * `open` only parses; `load` creates maps and loads programs; `attach` attaches those whose section names a hook;
 * `close` (or `using`) undoes all of it.
 *
 * libbpf: `struct bpf_object`.
 */
export class BpfObject implements Disposable {
  /** Programs in the order of their sections; sub-programs are not listed. libbpf: `bpf_object__next_program`. */
  readonly programs: readonly BpfProgram[];
  /** Maps in declaration order, then data sections. libbpf: `bpf_object__next_map`. */
  readonly maps: readonly BpfMap[];
  readonly #input: Omit<OpenInput, "bytes">;
  readonly #spec: ObjectSpec;
  #state: State = "open";

  private constructor(input: OpenInput, spec: ObjectSpec) {
    const { bytes: _, ...rest } = input;
    this.#input = rest;
    this.#spec = spec;
    this.programs = spec.programs.map((program) => new BpfProgram(program, input.file));
    const programOf = (wanted: ProgramSpec) => this.programs.find((program) => program.spec === wanted);
    this.maps = spec.maps.map((map) => declaredMap(new BpfMap(map, spec, input.file, programOf), input));
  }

  /**
   * Parses an object: no privileges, no system calls, any platform. libbpf: `bpf_object__open_file`, `…open_mem`.
   *
   * @param source path, file URL, or the object's bytes
   * @throws ElfError, BtfError, ObjectError for what is wrong with the file; ArgumentError for wrong options
   */
  static open(source: string | URL | Uint8Array, options: OpenOptions = {}): BpfObject {
    const input = readInput(source, options);
    const { name, relaxedMaps } = input;
    return withLocation(
      { file: input.file },
      () => new BpfObject(input, openObject(input.bytes, { name, relaxedMaps })),
    );
  }

  /** Name of the object. libbpf: `bpf_object__name`. */
  get name(): string {
    return this.#spec.name;
  }

  /** License as the kernel will see it; "" when the object has none. */
  get license(): string {
    return this.#spec.license;
  }

  /**
   * LINUX_VERSION_CODE that programs say they are made for, which kprobes needed before Linux 5.0: that of the object's
   * section `version`, else the running kernel's. Settable until load. libbpf: `bpf_object__kversion`,
   * `bpf_object__set_kversion`.
   */
  get kernelVersion(): number {
    return this.#spec.kernelVersion ?? kernelVersionCode();
  }
  set kernelVersion(code: number) {
    this.#require("open", "change kernelVersion");
    this.#spec.kernelVersion = checkU32(code, "kernelVersion");
  }

  /** The object's type information. libbpf: `bpf_object__btf`. */
  get btf(): Btf | undefined {
    return this.#spec.btf;
  }

  /** True between a successful load and close. */
  get loaded(): boolean {
    return this.#state === "loaded";
  }

  /** The program of that name. @throws NotFoundError naming near names. libbpf: `bpf_object__find_program_by_name`. */
  program(name: string): BpfProgram {
    const found = this.findProgram(name);
    if (found !== undefined) return found;
    const names = this.programs.map((program) => program.name);
    throw new NotFoundError(`no program ${name}${nearNames(name, names)}`, { file: this.#input.file });
  }

  /** The program of that name, or undefined. */
  findProgram(name: string): BpfProgram | undefined {
    return this.programs.find((program) => program.name === name);
  }

  /**
   * The map of that name; a name that begins with a dot is that of a data section. `K` and `V` tell the compiler what
   * keys and values are.
   *
   * @throws NotFoundError naming near names. libbpf: `bpf_object__find_map_by_name`.
   */
  map<K extends BtfValue = BtfValue, V extends BtfValue = BtfValue>(name: string): BpfMap<K, V> {
    const found = this.findMap<K, V>(name);
    if (found !== undefined) return found;
    const names = this.maps.map((map) => (map.isInternal ? map.sectionName : map.name));
    throw new NotFoundError(`no map ${name}${nearNames(name, names)}`, { file: this.#input.file });
  }

  /** The map of that name, or undefined. */
  findMap<K extends BtfValue = BtfValue, V extends BtfValue = BtfValue>(name: string): BpfMap<K, V> | undefined {
    const found = this.maps.find((map) =>
      name.startsWith(".") ? map.isInternal && map.sectionName === name : map.name === name,
    );
    return found as BpfMap<K, V> | undefined;
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
    throw new NotFoundError(`no data section ${section}${nearNames(section, names)}`, { file: this.#input.file });
  }

  /**
   * Creates the maps, relocates and loads the programs. The verifier runs on another thread, so that the event loop goes
   * on; everything else takes microseconds and is done in place. Once per object; after a failure only `close()` is left.
   *
   * libbpf: `bpf_object__load`.
   *
   * @throws VerifierError for a refused program, SystemCallError, BtfError, CoreRelocationError, ObjectError
   */
  async load(): Promise<void> {
    const steps = this.#begin();
    try {
      let step = steps.next();
      while (step.done !== true) {
        const result = await progLoadAsync(step.value);
        if (this.#state !== "loading") {
          result.fd?.close();
          throw new StateError("the object was closed while it was being loaded");
        }
        step = steps.next(result);
      }
      this.#state = "loaded";
    } catch (error) {
      throw this.#fail(steps, error);
    }
  }

  /** {@link load} in place: blocks until the verifier is done. */
  loadSync(): void {
    const steps = this.#begin();
    try {
      let step = steps.next();
      while (step.done !== true) step = steps.next(progLoad(step.value));
      this.#state = "loaded";
    } catch (error) {
      throw this.#fail(steps, error);
    }
  }

  /**
   * Attaches every loaded program whose section names its hook and whose `autoattach` is on, then every created
   * struct_ops map whose `autoattach` is on, and returns the new links. What is attached already is left alone. When one
   * fails, those of this call are detached again.
   *
   * libbpf: `bpf_object__attach_skeleton`.
   */
  attach(): BpfLink[] {
    this.#require("loaded", "attach");
    const links: BpfLink[] = [];
    try {
      for (const program of this.programs) {
        if (!program.loaded || !program.autoattach || program.links.length > 0) continue;
        const link = program.autoAttach();
        if (link !== undefined) links.push(link);
      }
      for (const map of this.maps) {
        if (map.isStructOps && map.loaded && map.autoattach && map.links.length === 0)
          links.push(map.attachStructOps());
      }
    } catch (error) {
      for (const link of links) link.close();
      throw addLocation(error, { file: this.#input.file });
    }
    return links;
  }

  /** Closes all links of the object's programs and maps; they can be attached again. libbpf: `bpf_object__detach_skeleton`. */
  detach(): void {
    this.#require("loaded", "detach");
    for (const { links } of [...this.maps, ...this.programs]) for (const link of links) link.close();
  }

  /**
   * Pins every map of the loaded object in `directory` under its name (with `_` for dots), or without a directory those
   * that have a `pinPath`. When one cannot be pinned, those of this call are unpinned again. Linux 4.4; libbpf:
   * `bpf_object__pin_maps`.
   *
   * @throws SystemCallError EEXIST and so on, StateError when a map is pinned elsewhere, ObjectError for a name that is none
   */
  pinMaps(directory?: string): void {
    this.#require("loaded", "pin maps");
    const made: BpfMap[] = [];
    try {
      for (const [map, path] of this.#pinPaths(directory)) if (map.pin(path)) made.push(map);
    } catch (error) {
      for (const map of made) map.unpin();
      throw addLocation(error, { file: this.#input.file });
    }
  }

  /**
   * Removes the pins that {@link pinMaps} with the same argument makes; the maps stay as they are. libbpf:
   * `bpf_object__unpin_maps`.
   *
   * @throws SystemCallError ENOENT at the first pin that does not exist
   */
  unpinMaps(directory?: string): void {
    this.#require("loaded", "unpin maps");
    for (const [map, path] of this.#pinPaths(directory)) map.unpin(path);
  }

  /** The maps that can be pinned, and where. */
  #pinPaths(directory: string | undefined): [BpfMap, string][] {
    return this.maps.flatMap((map): [BpfMap, string][] => {
      if (!map.loaded) return [];
      const path = directory === undefined ? map.pinPath : pathOfMap(map, directory);
      return path === undefined ? [] : [[map, path]];
    });
  }

  /** Detaches, unmaps and closes everything. Idempotent. libbpf: `bpf_object__close`. */
  close(): void {
    if (this.#state === "closed") return;
    const loading = this.#state === "loading";
    this.#state = "closed";
    // The verifier may be looking at descriptors by number on another thread: load() releases when it is back.
    if (!loading) this.#release();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #release(): void {
    // Callbacks are unregistered before their programs go, by closing the maps' links.
    for (const map of this.maps) for (const link of map.links) link.close();
    for (const program of this.programs) program.close();
    for (const map of this.maps) map.close();
  }

  #begin(): ReturnType<typeof loadSteps> {
    this.#require("open", "load");
    this.#state = "loading";
    return loadSteps({ ...this.#input, spec: this.#spec, programs: this.programs, maps: this.maps });
  }

  #fail(steps: ReturnType<typeof loadSteps>, error: unknown): unknown {
    steps.return();
    if (this.#state === "loading") this.#state = "failed";
    this.#release();
    return addLocation(error, { file: this.#input.file });
  }

  #require(state: State, what: string): void {
    if (this.#state === state) return;
    const reasons: Readonly<Record<State, string>> = {
      open: `cannot ${what} before load()`,
      loading: "load() has not ended yet",
      loaded: "the object was loaded already",
      failed: "load() failed before; open the object anew",
      closed: "the object was used after close()",
    };
    throw new StateError(reasons[this.#state], { file: this.#input.file });
  }
}

/** A map of an opened object, with the pin that its declaration asks for. */
function declaredMap(map: BpfMap, { pinRoot }: OpenInput): BpfMap {
  if (map.spec.pinning === MapPinning.byName) map.pinPath = pathOfMap(map, pinRoot);
  return map;
}

/** The names of data maps have a dot, which names of pins may not have. */
function pathOfMap(map: BpfMap, directory: string): string {
  const name = map.isInternal ? map.name.replaceAll(".", "_") : map.name;
  return withLocation({ map: map.name }, () => pinPathIn(directory, name));
}
