// A program attached to a hook: closing the link detaches, unless something else (a pin) holds it too (libbpf.md 1.4).

import { BpfkitError, StateError, SystemCallError, UnsupportedError, withLocation } from "../errors.js";
import { pinObject, pinPathOf, removePin } from "../kernel/index.js";
import { log } from "../log.js";
import {
  Errno,
  type FdLike,
  type FileDescriptor,
  type LinkInfo,
  linkDetach,
  linkInfo,
  linkUpdate,
  objectGet,
  openById,
  progInfo,
} from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { describeLink, type LinkKind } from "./describe.js";

/** What a {@link BpfLink} is made from. */
export interface LinkParts {
  readonly kind: LinkKind;
  /** Name of the program; of the map for struct_ops. */
  readonly program: string;
  /** What it is attached to, for messages: `tracepoint sched/sched_process_exec`. */
  readonly target: string;
  /** The kernel's link; undefined where the kernel has none for the kind and the descriptors below do its work. */
  readonly link: FileDescriptor | undefined;
  /** What ends an attachment that closing descriptors does not end; must not throw, nor refer to the link. */
  readonly detach?: (() => void) | undefined;
  /** More descriptors that keep the attachment, closed after the link, in order. */
  readonly others?: readonly FileDescriptor[];
  /** What is left to do when all descriptors are closed; as `detach`. */
  readonly cleanUp?: (() => void) | undefined;
}

/** A program as links need it. */
export interface LoadedProgram {
  readonly name: string;
  readonly file: string;
  readonly descriptor: FileDescriptor;
}

/** Options of {@link BpfLink.update}. */
export interface LinkUpdateOptions {
  /** Replaces only this program; when another one is attached, EPERM. */
  old?: LoadedProgram | undefined;
}

/** Ends attachments whose link was dropped. What is held must not hold the link. */
const dropped = new FinalizationRegistry<LinkParts>((parts) => {
  log.warn(`the link of ${parts.program} to ${parts.target} was never closed; detaching now that nothing refers to it`);
  release(parts);
});

/**
 * An attachment. It lasts until `close()`, the end of a `using` block, or the end of the object that made it; with a pin
 * until that is gone, too. A link that is garbage-collected while attached is detached with a warning.
 *
 * libbpf: `struct bpf_link`, `bpf_link__destroy`.
 */
export class BpfLink implements Disposable {
  readonly #parts: LinkParts;
  #state: "attached" | "detached" | "closed" = "attached";
  #pinPath: string | undefined;

  /** @internal */
  constructor(parts: LinkParts, { pinPath }: { pinPath?: string } = {}) {
    this.#parts = parts;
    this.#pinPath = pinPath;
    dropped.register(this, parts, this);
  }

  /**
   * The link that is pinned at `path`, whoever made it. Closing it does not end the attachment as long as the pin is
   * there. Linux 5.7; libbpf: `bpf_link__open`.
   *
   * @throws SystemCallError ENOENT when nothing is pinned there, EINVAL when it is no link
   */
  static openPinned(path: string): BpfLink {
    const absolute = pinPathOf(path);
    return withLocation({ file: absolute }, () => openLink(objectGet({ path: absolute }), absolute));
  }

  /**
   * The link with the kernel's id, as tools print it. Linux 5.8, needs CAP_SYS_ADMIN; libbpf: `bpf_link_get_fd_by_id`.
   *
   * @throws SystemCallError ENOENT when there is no such link
   */
  static openById(id: number): BpfLink {
    return openLink(openById("link", id));
  }

  get kind(): LinkKind {
    return this.#parts.kind;
  }

  /** Name of the program that was attached; of the map for struct_ops. */
  get program(): string {
    return this.#parts.program;
  }

  /** What the program is attached to. */
  get target(): string {
    return this.#parts.target;
  }

  /** False after close(), detach() and disconnect(). */
  get attached(): boolean {
    return this.#state === "attached";
  }

  /**
   * The descriptor that keeps the attachment: the kernel's link, or where it has none the perf event, the struct_ops map
   * and so on.
   * libbpf: `bpf_link__fd`. @throws StateError after close, UnsupportedError for attachments without any descriptor
   */
  get fd(): number {
    this.#require();
    const descriptor = this.#parts.link ?? this.#parts.others?.[0];
    if (descriptor === undefined) throw this.#noLink("has no descriptor");
    return descriptor.number;
  }

  /**
   * What the kernel tells of the link: its id, its program and what belongs to its kind. Linux 5.8; libbpf:
   * `bpf_link_get_info_by_fd`.
   *
   * @throws UnsupportedError for attachments that the kernel has no link for, StateError after close
   */
  info(): LinkInfo {
    return linkInfo(this.#kernelLink("cannot be described"));
  }

  /** Where the link is pinned, as far as this object knows. libbpf: `bpf_link__pin_path`. */
  get pinPath(): string | undefined {
    return this.#pinPath;
  }

  /**
   * Pins the link, so that the attachment outlives this process. The last directory of the path is made when it is
   * missing. Linux 5.7; libbpf: `bpf_link__pin`.
   *
   * @throws SystemCallError EEXIST when the name is taken, StateError when the link is pinned already, UnsupportedError
   *   outside a BPF file system and for attachments that the kernel has no link for
   */
  pin(path: string): void {
    const link = this.#kernelLink("cannot be pinned");
    if (this.#pinPath !== undefined) throw this.#stateError(`is pinned at ${this.#pinPath} already`);
    const absolute = pinPathOf(path);
    withLocation({ program: this.program }, () => pinObject(link, absolute));
    this.#pinPath = absolute;
  }

  /**
   * Removes the pin; the attachment goes on as long as this link is open. libbpf: `bpf_link__unpin`.
   *
   * @throws StateError when the link is not pinned, SystemCallError
   */
  unpin(): void {
    const path = this.#pinPath;
    if (path === undefined) throw this.#stateError("is not pinned");
    withLocation({ program: this.program }, () => removePin(path));
    this.#pinPath = undefined;
  }

  /**
   * Puts another program of the same type in the place of the present one, without a moment in between. Linux 5.7, for
   * the kinds that allow it (cgroup, netns, xdp, tcx, netkit, sockmap, iter). libbpf: `bpf_link__update_program`.
   *
   * @throws SystemCallError with code `ATTACH`, UnsupportedError for attachments that the kernel has no link for
   */
  update(program: LoadedProgram, { old }: LinkUpdateOptions = {}): void {
    const link = this.#kernelLink("cannot be updated");
    const flags = old === undefined ? undefined : BPF_F_REPLACE;
    const replace = (): void => linkUpdate({ link, program: program.descriptor, flags, old: old?.descriptor });
    const hints = {
      EINVAL: `links of kind ${this.kind} take no other program, or none of this type`,
      EPERM: "another program than the one to replace is attached",
    };
    explainAttach(program, this.target, replace, { hints });
  }

  /**
   * Ends the attachment for good, although pins and other descriptors of the link may remain; the link can still be asked
   * for its info. Linux 5.9 for the kinds that allow it. libbpf: `bpf_link__detach`.
   *
   * @throws SystemCallError EOPNOTSUPP for kinds that end with their last descriptor only
   */
  detach(): void {
    this.#require();
    if (this.#state === "detached") return;
    const { link, target, program } = this.#parts;
    if (link === undefined) release(this.#parts);
    else withLocation({ program }, () => detachLink(link, target));
    this.#state = "detached";
  }

  /**
   * Gives up the link without detaching: the attachment goes on until the process ends (or its pin is gone), where the
   * kernel ties it to the process at all. libbpf: `bpf_link__disconnect`.
   */
  disconnect(): void {
    this.#require();
    this.#state = "closed";
    dropped.unregister(this);
    this.#parts.link?.release();
    for (const descriptor of this.#parts.others ?? []) descriptor.release();
  }

  /** Detaches, unless a pin keeps the attachment. Idempotent. libbpf: `bpf_link__destroy`. */
  close(): void {
    if (this.#state === "closed") return;
    const released = this.#state === "detached" && this.#parts.link === undefined;
    this.#state = "closed";
    dropped.unregister(this);
    if (!released) release(this.#parts);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #require(): void {
    if (this.#state === "closed") throw this.#stateError("was used after close()");
  }

  #kernelLink(what: string): FileDescriptor {
    this.#require();
    if (this.#parts.link === undefined) throw this.#noLink(what);
    return this.#parts.link;
  }

  #noLink(what: string): UnsupportedError {
    return new UnsupportedError(`the attachment to ${this.target} ${what}: the kernel has no link for it`, {
      program: this.program,
    });
  }

  #stateError(what: string): StateError {
    return new StateError(`the link to ${this.target} ${what}`, { program: this.program });
  }
}

/** UAPI linux/bpf.h: the program to be replaced is named. */
const BPF_F_REPLACE = 1 << 2;

function release({ detach, link, others = [], cleanUp }: LinkParts): void {
  detach?.();
  link?.close();
  for (const descriptor of others) descriptor.close();
  cleanUp?.();
}

function detachLink(link: FdLike, target: string): void {
  try {
    linkDetach(link);
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno !== Errno.EOPNOTSUPP) throw error;
    throw new UnsupportedError(`the attachment to ${target} ends with the last descriptor of its link only`, {
      cause: error,
      hint: "close() the link, and remove its pins",
    });
  }
}

function openLink(link: FileDescriptor, pinPath?: string): BpfLink {
  try {
    const info = linkInfo(link);
    const { kind, target } = describeLink(info);
    return new BpfLink(
      { kind, target, program: describeProgram(info), link },
      pinPath === undefined ? {} : { pinPath },
    );
  } catch (error) {
    link.close();
    throw error;
  }
}

/** The name of a link's program, which takes CAP_SYS_ADMIN to find out; its id for others. */
function describeProgram({ progId }: LinkInfo): string {
  if (progId === 0) return "no program";
  try {
    using program = openById("prog", progId);
    return progInfo(program).name || `program ${progId}`;
  } catch (error) {
    if (!BpfkitError.isBpfkitError(error)) throw error;
    return `program ${progId}`;
  }
}
