// A program of an opened object: its declaration, editable until load, and afterwards its descriptor in the kernel.
// Attaching belongs to the floors above: BpfProgram (src/loader) adds it.

import { withLocation } from "../errors.js";
import { pinObject, pinPathOf, removePin } from "../kernel/index.js";
import {
  type FileDescriptor,
  type ProgInfo,
  type ProgInfoOptions,
  type ProgramStream,
  progInfo,
} from "../syscall/index.js";
import { ProgramDeclaration } from "./declaration.js";
import { type FollowOptions, followStream, type RunStats, readStream, statsOf } from "./observe.js";
import { type RunOptions, type RunResult, testRun, testRunAsync } from "./test-run.js";

/** What loading adds to a program. */
interface Loaded {
  readonly fd: FileDescriptor;
  readonly insns: Uint8Array;
  readonly verifierLog: string | undefined;
}

/** A program as declared and, once loaded, as the kernel has it. */
export class ProgramHandle extends ProgramDeclaration {
  #loaded: Loaded | undefined;
  #unloaded = false;

  /** What the verifier wrote when it accepted the program; undefined without a log level. */
  get verifierLog(): string | undefined {
    return this.#loaded?.verifierLog;
  }

  /** True once the kernel has the program, until it is closed. */
  get loaded(): boolean {
    return this.#loaded !== undefined && this.phase !== "closed";
  }

  /**
   * The kernel's descriptor, owned by this program. libbpf: `bpf_program__fd`.
   * @throws StateError before load, after unload() and close, and for programs that were not loaded.
   */
  get fd(): number {
    return this.descriptor.number;
  }

  /**
   * Pins the loaded program at `path`, so that it outlives this process. The last directory of the path is made when it is
   * missing. Linux 4.4; libbpf: `bpf_program__pin`.
   *
   * @throws SystemCallError EEXIST when the name is taken, UnsupportedError outside a BPF file system
   */
  pin(path: string): void {
    withLocation(this.where, () => pinObject(this.descriptor, pinPathOf(path)));
  }

  /** Removes the pin at `path`. libbpf: `bpf_program__unpin`. @throws as {@link pin}, SystemCallError ENOENT */
  unpin(path: string): void {
    withLocation(this.where, () => removePin(pinPathOf(path)));
  }

  /**
   * Gives the program back to the kernel, which keeps it as long as a link, a pin or a program array does. It cannot be
   * loaded again. Nothing happens when it is not loaded. libbpf: `bpf_program__unload`.
   */
  unload(): void {
    if (this.#loaded === undefined) return;
    this.#loaded.fd.close();
    this.#loaded = undefined;
    this.#unloaded = true;
  }

  /**
   * Runs the loaded program here and now, on a packet or context of the caller's, without attaching it: `prog.testRun({
   * data: packet, repeat: 1000 })`. Maps and globals change as in any run. Blocks until it is done. Linux 4.12, for the types
   * that the kernel can run so (packets, `syscall`, raw tracepoints and some more). libbpf: `bpf_prog_test_run_opts`.
   *
   * @throws UnsupportedError for other types and for options of newer kernels, SystemCallError, StateError before load
   */
  testRun(options: RunOptions = {}): RunResult {
    return testRun(this, options);
  }

  /**
   * {@link testRun} on a thread of Node's pool: the event loop goes on meanwhile, also through millions of repetitions. The
   * program may be closed meanwhile. The run cannot be stopped, and the process does not end before it. Costs some tens of
   * microseconds more.
   *
   * @throws as {@link testRun}
   */
  async testRunAsync(options: RunOptions = {}): Promise<RunResult> {
    return testRunAsync(this, options);
  }

  /**
   * What the kernel tells of the loaded program: id, tag, maps, sizes; with options its instructions, machine code and line
   * tables. Linux 4.13; libbpf: `bpf_prog_get_info_by_fd`.
   *
   * @throws StateError before load, SystemCallError
   */
  info(options?: ProgInfoOptions): ProgInfo {
    return withLocation(this.where, () => progInfo(this.descriptor, options));
  }

  /**
   * How often the program ran and for how long, while statistics were on (`countRuns()`). Linux 5.1.
   *
   * @throws as {@link info}
   */
  stats(): RunStats {
    return withLocation(this.where, () => statsOf(this.descriptor));
  }

  /**
   * Takes what is there out of a stream: what the program printed with `bpf_stream_printk()`, and in `"stderr"` also what
   * the kernel reports of it (arena faults, timeouts). "" when there is nothing. Linux 6.17; libbpf: `bpf_prog_stream_read`.
   *
   * @throws UnsupportedError on older kernels, SystemCallError, StateError before load
   */
  readStream(stream: ProgramStream): string {
    return readStream(this, stream);
  }

  /**
   * The text of a stream as it comes: `for await (const text of prog.followStream("stderr"))`. Ends when the program is
   * closed or `signal` aborts. The kernel tells nobody that a program has written something, so there is a look every
   * `interval` milliseconds. Pieces are whatever was there at once, not lines. Linux 6.17.
   *
   * @throws as {@link readStream}, at the first step of the iteration; ArgumentError
   */
  followStream(stream: ProgramStream, options: FollowOptions = {}): AsyncGenerator<string, void, undefined> {
    return followStream(this, stream, options);
  }

  /** @internal */
  get descriptor(): FileDescriptor {
    if (this.phase === "closed") throw this.stateError("the program was used after close()");
    if (this.#loaded === undefined) {
      if (this.#unloaded) throw this.stateError("the program was used after unload()");
      throw this.phase === "loaded"
        ? this.stateError("the program was not loaded", "its autoload is off")
        : this.stateError("the program is not loaded yet", "call load() first");
    }
    return this.#loaded.fd;
  }

  /** @internal */
  protected override get latestInsns(): Uint8Array {
    return this.#loaded?.insns ?? super.latestInsns;
  }

  /** @internal Takes over what the kernel gave. */
  setLoaded(loaded: Loaded): void {
    this.#loaded = loaded;
  }

  /** @internal Closes the descriptor; the kernel keeps the program as long as a link or a pin does. */
  override close(): void {
    super.close();
    this.#loaded?.fd.close();
  }
}
