// A program of an object with everything a user does to it: the declaration and descriptor of the floor below, and
// attaching.

import { UnsupportedError } from "../errors.js";
import {
  attachRawTracepoint,
  attachTrace,
  attachTracepoint,
  autoAttach,
  type BpfLink,
  type RawTracepointOptions,
  type TraceOptions,
  type TracepointOptions,
} from "../link/index.js";
import { ProgramHandle } from "../program/index.js";

/**
 * A BPF program. Links made here belong to the object: they are closed with it, unless they were closed before.
 *
 * libbpf: `struct bpf_program`.
 */
export class BpfProgram extends ProgramHandle {
  readonly #links = new Set<BpfLink>();

  /**
   * Attaches to the hook that the section name names. libbpf: `bpf_program__attach`.
   *
   * @throws UnsupportedError when the section names no hook, StateError while the program is not loaded,
   *   SystemCallError with code `ATTACH`
   */
  attach(): BpfLink {
    const link = this.autoAttach();
    if (link !== undefined) return link;
    throw new UnsupportedError(`section ${this.sectionName} does not say what to attach to`, {
      file: this.file,
      program: this.name,
      hint: "attach it by hand, for example with attachTracepoint(category, name)",
    });
  }

  /** @internal The same, with undefined for sections that name no hook. */
  autoAttach(): BpfLink | undefined {
    const link = autoAttach(this);
    return link === undefined ? undefined : this.#own(link);
  }

  /**
   * Attaches to a tracepoint such as `("sched", "sched_process_exec")`. Linux 4.7; cookies 5.15.
   * libbpf: `bpf_program__attach_tracepoint_opts`.
   */
  attachTracepoint(category: string, name: string, options?: TracepointOptions): BpfLink {
    return this.#own(attachTracepoint(this, category, name, options));
  }

  /** Attaches to a raw tracepoint such as `"sys_enter"`. Linux 4.17. libbpf: `bpf_program__attach_raw_tracepoint_opts`. */
  attachRawTracepoint(name: string, options?: RawTracepointOptions): BpfLink {
    return this.#own(attachRawTracepoint(this, name, options));
  }

  /** Attaches to what the program was loaded for (tp_btf, fentry, LSM …). Linux 5.5. libbpf: `bpf_program__attach_trace_opts`. */
  attachTrace(options?: TraceOptions): BpfLink {
    return this.#own(attachTrace(this, options));
  }

  /** Links of this program that are attached, in the order in which they were made. */
  get links(): readonly BpfLink[] {
    return [...this.#links].filter((link) => link.attached);
  }

  #own(link: BpfLink): BpfLink {
    for (const old of this.#links) if (!old.attached) this.#links.delete(old);
    this.#links.add(link);
    return link;
  }

  /** @internal Detaches, then closes the program. */
  override close(): void {
    for (const link of this.#links) link.close();
    this.#links.clear();
    super.close();
  }
}
