// bpf() commands that attach programs without a link, and ask what is attached somewhere.

import { progAttachLayout, progQueryLayout } from "./attr-layout.js";
import { attrOf, bpf, tryBpf } from "./bpf-call.js";
import { Errno } from "./errno.js";
import { check, systemCallError } from "./failure.js";
import type { FdLike } from "./fd.js";

/** A place to attach to: a cgroup, a sockmap, a network namespace … or a network device (tcx, netkit). */
export interface AttachPoint {
  target?: FdLike | undefined;
  targetIfindex?: number | undefined;
  /** BPF_* attach type. */
  attachType: number;
}

/** Another program, or link with BPF_F_LINK, relative to which to attach (Linux 6.6): by descriptor or by id. */
export interface RelativeOptions {
  relative?: FdLike | undefined;
  /** Sets BPF_F_ID. */
  relativeId?: number | undefined;
  /** Fails with ESTALE when the list at the attach point has another revision. */
  expectedRevision?: bigint | undefined;
}

/** How to attach. */
export interface ProgAttachOptions extends AttachPoint, RelativeOptions {
  program: FdLike;
  /** BPF_F_ALLOW_MULTI, BPF_F_REPLACE, BPF_F_BEFORE and so on. */
  flags?: number | undefined;
  /** With BPF_F_REPLACE. */
  replace?: FdLike | undefined;
}

/** What to detach. */
export interface ProgDetachOptions extends AttachPoint, RelativeOptions {
  /** Where an attach point holds several, and for some types always. */
  program?: FdLike | undefined;
  flags?: number | undefined;
}

/** UAPI linux/bpf.h. */
export const BPF_F_ID = 1 << 5;

const details = { needs: ["CAP_BPF", "CAP_NET_ADMIN"] } as const;

/**
 * Attaches a program that stays attached until it is detached or its target goes. BPF_PROG_ATTACH, Linux 4.10; libbpf:
 * `bpf_prog_attach_opts`.
 *
 * @throws SystemCallError, ArgumentError
 */
export function progAttach(options: ProgAttachOptions): void {
  const values = { ...attachValues(options), attach_bpf_fd: options.program, replace_bpf_fd: options.replace };
  bpf("PROG_ATTACH", progAttachLayout, values, details);
}

/**
 * Detaches a program that was attached without a link. BPF_PROG_DETACH, Linux 4.10; libbpf: `bpf_prog_detach_opts`.
 *
 * @throws SystemCallError, ArgumentError
 */
export function progDetach(options: ProgDetachOptions): void {
  bpf("PROG_DETACH", progAttachLayout, { ...attachValues(options), attach_bpf_fd: options.program }, details);
}

function attachValues(options: AttachPoint & RelativeOptions & { flags?: number | undefined }) {
  const { relativeId, flags = 0 } = options;
  return {
    target_fd: options.target,
    target_ifindex: options.targetIfindex,
    attach_type: options.attachType,
    attach_flags: relativeId === undefined ? flags : flags | BPF_F_ID,
    relative_fd: options.relative,
    relative_id: relativeId,
    expected_revision: options.expectedRevision,
  };
}

/** What to ask for. */
export interface ProgQueryOptions extends AttachPoint {
  /** BPF_F_QUERY_EFFECTIVE. */
  flags?: number | undefined;
  /** cgroups: the flags of each program (Linux 6.1; older kernels refuse). Not with BPF_F_QUERY_EFFECTIVE. */
  programFlags?: boolean | undefined;
  /** tcx and netkit: the link of each program (Linux 6.6; older kernels refuse). */
  links?: boolean | undefined;
}

/** What is attached somewhere, in order of execution. */
export interface ProgQueryResult {
  /** BPF_F_* of the attach point. */
  readonly attachFlags: number;
  readonly programIds: Uint32Array;
  /** One for each program, if asked for. */
  readonly programFlags: Uint32Array | undefined;
  /** One for each program, if asked for; 0 for programs without link. */
  readonly linkIds: Uint32Array | undefined;
  readonly linkFlags: Uint32Array | undefined;
  /** Of the list, 0 where there is none. */
  readonly revision: bigint;
}

/** More programs than any attach point allows. */
const MAX_QUERY = 1 << 16;

/**
 * Asks which programs are attached. BPF_PROG_QUERY, Linux 4.15; libbpf: `bpf_prog_query_opts`.
 *
 * @throws SystemCallError, ArgumentError
 */
export function progQuery(options: ProgQueryOptions): ProgQueryResult {
  const array = (wanted: boolean | undefined, count: number) => (wanted === true ? new Uint32Array(count) : undefined);
  for (let room = 64; room <= MAX_QUERY; room *= 4) {
    const programIds = new Uint32Array(room);
    const programFlags = array(options.programFlags, room);
    const linkIds = array(options.links, room);
    const linkFlags = array(options.links, room);
    const attr = attrOf("PROG_QUERY", progQueryLayout, {
      target_fd: options.target,
      target_ifindex: options.targetIfindex,
      attach_type: options.attachType,
      query_flags: options.flags,
      prog_ids: programIds,
      prog_cnt: room,
      prog_attach_flags: programFlags,
      link_ids: linkIds,
      link_attach_flags: linkFlags,
    });
    const result = tryBpf("PROG_QUERY", attr);
    if (result === -Errno.ENOSPC) continue;
    check(result, attr.operation, { needs: ["CAP_NET_ADMIN"] });
    const count = Math.min(attr.u32("prog_cnt"), room);
    return {
      attachFlags: attr.u32("attach_flags"),
      programIds: programIds.subarray(0, count),
      programFlags: programFlags?.subarray(0, count),
      linkIds: linkIds?.subarray(0, count),
      linkFlags: linkFlags?.subarray(0, count),
      revision: attr.u64("revision"),
    };
  }
  throw systemCallError("bpf(BPF_PROG_QUERY)", Errno.ENOSPC);
}
