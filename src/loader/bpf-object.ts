// A BPF object through its whole life: open, edit, load, attach, use, close.

import type { Btf } from "../btf/index.js";
import { addLocation, StateError, withLocation } from "../errors.js";
import { kernelVersionCode } from "../kernel/index.js";
import type { BpfLink } from "../link/index.js";
import { checkU32, MapPinning, type ObjectSpec, openObject, type ProgramSpec } from "../object/index.js";
import type { LoadSteps } from "../program/index.js";
import { BpfMap } from "./bpf-map.js";
import { BpfProgram, type CloneOptions } from "./bpf-program.js";
import { cloneSteps } from "./clone.js";
import { loadPrepared } from "./load.js";
import { refuseUntyped } from "./load-program.js";
import { ObjectParts } from "./object-parts.js";
import { type Pin, pathOfMap, pinAll, pinsOfMaps, pinsOfPrograms, unpinAll } from "./object-pins.js";
import { type ObjectState, requireState } from "./object-state.js";
import { type OpenInput, type OpenOptions, readInput } from "./open-input.js";
import { Opened, type PreparedObject, prepareObject } from "./prepare.js";
import { runInPlace, runOffLoop } from "./steps.js";

/**
 * A compiled BPF object (`.bpf.o`).
 *
 * `open` only parses; `load` creates maps (`prepare` stops there) and loads programs; `attach` attaches those whose section names a hook;
 * `close` (or `using`) undoes all of it.
 *
 * libbpf: `struct bpf_object`.
 */
export class BpfObject extends ObjectParts implements Disposable {
  override readonly programs: readonly BpfProgram[];
  override readonly maps: readonly BpfMap[];
  protected override readonly file: string;
  readonly #input: Omit<OpenInput, "bytes">;
  readonly #spec: ObjectSpec;
  readonly #opened = new Opened();
  #prepared: PreparedObject | undefined;
  #state: ObjectState = "open";
  /** Loads on other threads, which look at descriptors by number. */
  #busy = 0;

  private constructor(input: OpenInput, spec: ObjectSpec) {
    super();
    const { bytes: _, ...rest } = input;
    this.#input = rest;
    this.#spec = spec;
    const { handlers, file } = input;
    this.file = file;
    for (const program of spec.programs) handlers.claim(program);
    const owner = {
      types: { btf: spec.btf, int64: input.int64 },
      attacher: (program: BpfProgram) => handlers.attacher(program.spec),
      map: (name: string) => this.maps.find((map) => map.name === name),
      clone: (program: BpfProgram, options: CloneOptions) => cloneSteps(this.#cloneable(), program, options, owner),
      runAsync: <T extends Disposable>(steps: LoadSteps<T>) => this.#runAsync(steps),
    };
    this.programs = spec.programs.map((program) => new BpfProgram(program, file, owner));
    const programOf = (wanted: ProgramSpec) => this.programs.find((program) => program.spec === wanted);
    this.maps = spec.maps.map((map) => declaredMap(new BpfMap(map, spec, file, programOf), input));
    for (const program of this.programs) handlers.of(program.spec)?.setup?.(program);
  }

  /**
   * Parses an object: no privileges, no system calls, any platform. libbpf: `bpf_object__open_file`, `…open_mem`.
   *
   * @param source path, file URL, or the object's bytes
   * @throws ElfError, BtfError, ObjectError for what is wrong with the file; ArgumentError for wrong options; what the
   *   `setup` of a section handler throws
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
    this.#require("change kernelVersion", "open", "prepared");
    this.#spec.kernelVersion = checkU32(code, "kernelVersion");
  }

  /** The object's type information. libbpf: `bpf_object__btf`. */
  get btf(): Btf | undefined {
    return this.#spec.btf;
  }

  /**
   * The descriptor of the object's type information in the kernel, owned by the object; undefined when it has none or the
   * kernel refused it. libbpf: `bpf_object__btf_fd`. @throws StateError before prepare() or load(), and after close()
   */
  get btfFd(): number | undefined {
    this.#require("use btfFd", "prepared", "loading", "loaded");
    return this.#opened.btf?.number;
  }

  /**
   * Descriptor of the BPF token that the object was made with, owned by the object; undefined without one, before prepare()
   * or load(), and after close. See the option `tokenPath`. libbpf: `bpf_object__token_fd`.
   */
  get tokenFd(): number | undefined {
    const { token } = this.#opened;
    return token?.closed === false ? token.number : undefined;
  }

  /** True between a successful prepare() and close, also once the object is loaded. */
  get prepared(): boolean {
    return this.#state === "prepared" || this.#state === "loaded";
  }

  /** True between a successful load and close. */
  get loaded(): boolean {
    return this.#state === "loaded";
  }

  /**
   * The first half of {@link load}: creates the maps (pinned ones too), relocates the programs, and loads none. From here
   * on maps can be used and no longer be changed, global variables are shared with the kernel, and settings of programs,
   * their instructions too, can still be changed. Takes microseconds. libbpf: `bpf_object__prepare`.
   *
   * @throws SystemCallError, BtfError, CoreRelocationError, ObjectError; then only `close()` is left
   */
  prepare(): void {
    this.#require("prepare", "open");
    try {
      this.#prepared = this.#prepare();
      this.#state = "prepared";
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /**
   * Creates the maps and relocates the programs, unless {@link prepare} did, and loads the programs. The verifier runs on
   * another thread, so that the event loop goes on; everything else takes microseconds and is done in place. Once per
   * object; after a failure only `close()` is left.
   *
   * libbpf: `bpf_object__load`.
   *
   * @throws VerifierError for a refused program, SystemCallError, BtfError, CoreRelocationError, ObjectError
   */
  async load(): Promise<void> {
    const check = () => {
      if (this.#state !== "loading") throw new StateError("the object was closed while it was being loaded");
    };
    this.#begin();
    try {
      await this.#onOtherThread(() => runOffLoop(this.#loadSteps(), check));
      this.#state = "loaded";
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** {@link load} in place: blocks until the verifier is done. */
  loadSync(): void {
    this.#begin();
    try {
      runInPlace(this.#loadSteps());
      this.#state = "loaded";
    } catch (error) {
      throw this.#fail(error);
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
    this.#require("attach", "loaded");
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
      throw addLocation(error, { file: this.file });
    }
    return links;
  }

  /** Closes all links of the object's programs and maps; they can be attached again. libbpf: `bpf_object__detach_skeleton`. */
  detach(): void {
    this.#require("detach", "loaded");
    for (const { links } of [...this.maps, ...this.programs]) for (const link of links) link.close();
  }

  /**
   * Pins every map of the prepared or loaded object in `directory` under its name (with `_` for dots), or without a
   * directory those that have a `pinPath`. When one cannot be pinned, those of this call are unpinned again. Linux 4.4;
   * libbpf: `bpf_object__pin_maps`.
   *
   * @throws SystemCallError EEXIST and so on, StateError when a map is pinned elsewhere, ObjectError for a name that is none
   */
  pinMaps(directory?: string): void {
    this.#require("pin maps", "prepared", "loaded");
    this.#locate(() => pinAll(pinsOfMaps(this.maps, directory)));
  }

  /**
   * Removes the pins that {@link pinMaps} with the same argument makes; the maps stay as they are. libbpf:
   * `bpf_object__unpin_maps`.
   *
   * @throws SystemCallError ENOENT at the first pin that does not exist
   */
  unpinMaps(directory?: string): void {
    this.#require("unpin maps", "prepared", "loaded");
    this.#locate(() => unpinAll(pinsOfMaps(this.maps, directory)));
  }

  /**
   * Pins every loaded program in `directory` under its name. When one cannot be pinned, those of this call are unpinned
   * again. Linux 4.4; libbpf: `bpf_object__pin_programs`. @throws as {@link pinMaps}
   */
  pinPrograms(directory: string): void {
    this.#require("pin programs", "loaded");
    this.#locate(() => pinAll(pinsOfPrograms(this.programs, directory)));
  }

  /** Removes the pins that {@link pinPrograms} makes. libbpf: `bpf_object__unpin_programs`. @throws as {@link unpinMaps} */
  unpinPrograms(directory: string): void {
    this.#require("unpin programs", "loaded");
    this.#locate(() => unpinAll(pinsOfPrograms(this.programs, directory)));
  }

  /**
   * Pins every map and every loaded program in `directory`, all or none. A map and a program of the same name cannot be in
   * one directory. Linux 4.4; libbpf: `bpf_object__pin`. @throws as {@link pinMaps}
   */
  pin(directory: string): void {
    this.#require("pin", "loaded");
    this.#locate(() => pinAll(this.#allPins(directory)));
  }

  /** Removes the pins that {@link pin} makes. libbpf: `bpf_object__unpin`. @throws as {@link unpinMaps} */
  unpin(directory: string): void {
    this.#require("unpin", "loaded");
    this.#locate(() => unpinAll(this.#allPins(directory).reverse()));
  }

  #allPins(directory: string): Pin[] {
    return [...pinsOfMaps(this.maps, directory), ...pinsOfPrograms(this.programs, directory)];
  }

  /** Detaches, unmaps and closes everything, except clones, which are their maker's. Idempotent. libbpf: `bpf_object__close`. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    // The verifier may be looking at descriptors by number on another thread: who waits for it releases them.
    if (this.#busy === 0) this.#release();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #release(): void {
    // Callbacks are unregistered before their programs go, by closing the maps' links.
    for (const map of this.maps) for (const link of map.links) link.close();
    for (const program of this.programs) program.close();
    for (const map of this.maps) map.close();
    this.#opened.close();
  }

  get #over(): boolean {
    return this.#state === "closed" || this.#state === "failed";
  }

  #begin(): void {
    this.#require("load", "open", "prepared");
    this.#state = "loading";
  }

  *#loadSteps(): LoadSteps<void> {
    if (this.#prepared === undefined) {
      // What can be told without the kernel is told first.
      for (const program of this.programs) if (program.autoload) refuseUntyped(program);
      this.#prepared = this.#prepare();
    }
    yield* loadPrepared(this.#prepared);
  }

  #prepare(): PreparedObject {
    const context = { ...this.#input, spec: this.#spec, programs: this.programs, maps: this.maps };
    return prepareObject(context, this.#opened);
  }

  #fail(error: unknown): unknown {
    if (this.#state !== "closed") this.#state = "failed";
    this.#opened.pins.undo();
    if (this.#busy === 0) this.#release();
    return addLocation(error, { file: this.file });
  }

  /** What clones are made from. */
  #cloneable(): PreparedObject {
    this.#require("clone a program", "prepared", "loaded");
    return this.#prepared!;
  }

  async #runAsync<T extends Disposable>(steps: LoadSteps<T>): Promise<T> {
    const check = () => {
      if (this.#over) throw new StateError("the object was closed while a program was being cloned");
    };
    return this.#onOtherThread(() => runOffLoop(steps, check));
  }

  /** Keeps all descriptors open until `work` is done. */
  async #onOtherThread<T>(work: () => Promise<T>): Promise<T> {
    this.#busy++;
    try {
      return await work();
    } finally {
      this.#busy--;
      if (this.#over && this.#busy === 0) this.#release();
    }
  }

  #locate(body: () => void): void {
    withLocation({ file: this.file }, body);
  }

  #require(what: string, ...allowed: readonly ObjectState[]): void {
    requireState(this.#state, allowed, { what, file: this.file });
  }
}

/** A map of an opened object, with the pin that its declaration asks for. */
function declaredMap(map: BpfMap, { pinRoot, int64 }: OpenInput): BpfMap {
  if (int64 !== map.int64) map.int64 = int64;
  if (map.spec.pinning === MapPinning.byName) map.pinPath = pathOfMap(map, pinRoot);
  return map;
}
