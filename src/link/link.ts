// A program attached to a hook. Closing the link detaches, unless something else (a pin) holds it too.

import { StateError } from "../errors.js";
import type { FileDescriptor } from "../syscall/index.js";

/** How a program is attached. */
export type LinkKind = "tracepoint" | "raw_tracepoint" | "tracing" | "perf_event" | "struct_ops";

/** What a {@link BpfLink} is made from. */
export interface LinkParts {
  readonly kind: LinkKind;
  /** Name of the program; of the map for struct_ops. */
  readonly program: string;
  /** What it is attached to, for messages: `tracepoint sched/sched_process_exec`. */
  readonly target: string;
  /** The kernel's link; undefined where the kernel has none for the kind and the descriptors below do its work. */
  readonly link: FileDescriptor | undefined;
  /** What ends an attachment that closing descriptors does not end; must not throw. */
  readonly detach?: (() => void) | undefined;
  /** More descriptors that keep the attachment, closed after the link, in order. */
  readonly others?: readonly FileDescriptor[];
}

/**
 * An attachment. It lasts until `close()`, the end of a `using` block, or the end of the object that made it. A link that
 * is garbage-collected while attached is detached with a warning.
 *
 * libbpf: `struct bpf_link`, `bpf_link__destroy`.
 */
export class BpfLink implements Disposable {
  readonly #parts: LinkParts;
  #closed = false;

  /** @internal */
  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  get kind(): LinkKind {
    return this.#parts.kind;
  }

  /** Name of the attached program; of the map for struct_ops. */
  get program(): string {
    return this.#parts.program;
  }

  /** What the program is attached to. */
  get target(): string {
    return this.#parts.target;
  }

  /** False after close(). */
  get attached(): boolean {
    return !this.#closed;
  }

  /**
   * The descriptor that keeps the attachment: the kernel's link, or where it has none the perf event or the
   * struct_ops map.
   * libbpf: `bpf_link__fd`. @throws StateError after close
   */
  get fd(): number {
    const descriptor = this.#parts.link ?? this.#parts.others?.[0];
    if (this.#closed || descriptor === undefined) {
      throw new StateError(`the link to ${this.target} was used after close()`, { program: this.program });
    }
    return descriptor.number;
  }

  /** Detaches. Idempotent. libbpf: `bpf_link__destroy`. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#parts.detach?.();
    this.#parts.link?.close();
    for (const descriptor of this.#parts.others ?? []) descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
