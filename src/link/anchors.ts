// Where in the list of programs at a hook a program goes: tcx, netkit, and control groups of newer kernels
// (UAPI linux/bpf.h, BPF_F_BEFORE and following).

import { ArgumentError } from "../errors.js";
import type { FdLike, FileDescriptor } from "../syscall/index.js";
import { BpfLink } from "./link.js";

/** A program or link that is attached at the same hook: an object, or the kernel's id. */
export type Anchor =
  | BpfLink
  | { readonly descriptor: FileDescriptor }
  | { readonly programId: number }
  | { readonly linkId: number };

/** Place in the list of programs, by default the end. */
export interface AnchorOptions {
  /** In front of that one, or of all with `"all"`. */
  before?: Anchor | "all" | undefined;
  /** Behind that one, or behind all with `"all"`. */
  after?: Anchor | "all" | undefined;
  /** Fails with ESTALE unless the list has this revision (see `progQuery` in `bpfkit/syscall`). */
  expectedRevision?: bigint | undefined;
}

const BPF_F_BEFORE = 1 << 3;
const BPF_F_AFTER = 1 << 4;
const BPF_F_LINK = 1 << 13;

/** What the kernel is told. */
interface Placement {
  readonly flags: number;
  readonly relative: FdLike | undefined;
  readonly relativeId: number | undefined;
  readonly expectedRevision: bigint | undefined;
}

/** @throws ArgumentError for both `before` and `after` */
export function placementOf({ before, after, expectedRevision }: AnchorOptions): Placement {
  if (before !== undefined && after !== undefined) {
    throw new ArgumentError("a program is placed either before or after another one, not both");
  }
  const flag = before !== undefined ? BPF_F_BEFORE : after !== undefined ? BPF_F_AFTER : 0;
  return { ...relationTo(before ?? after ?? "all", flag), expectedRevision };
}

function relationTo(anchor: Anchor | "all", flags: number): Omit<Placement, "expectedRevision"> {
  const none = { flags, relative: undefined, relativeId: undefined };
  if (anchor === "all") return none;
  if (anchor instanceof BpfLink) return { ...none, flags: flags | BPF_F_LINK, relative: anchor.fd };
  if ("descriptor" in anchor) return { ...none, relative: anchor.descriptor };
  if ("linkId" in anchor) return { ...none, flags: flags | BPF_F_LINK, relativeId: anchor.linkId };
  return { ...none, relativeId: anchor.programId };
}

/** True when the options ask for more than the end of the list. */
export function isAnchored({ before, after, expectedRevision }: AnchorOptions): boolean {
  return before !== undefined || after !== undefined || expectedRevision !== undefined;
}

/** Errno names of a list of programs. */
export const anchorHints = {
  ESTALE: "the list of programs has changed since its revision was read",
  ENOENT: "the program or link to be placed beside is not attached here",
  EEXIST: "this program is attached here already",
  ERANGE: "no more programs fit at this hook",
} as const;
