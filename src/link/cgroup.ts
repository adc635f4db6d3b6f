// Programs on control groups (libbpf.md 1.5): they run for what the processes of the group and of those below it do.

import { attachTypeName } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";
import { effectiveCapabilities, type FdLike, linkCreate } from "../syscall/index.js";
import { type AnchorOptions, anchorHints, isAnchored, placementOf } from "./anchors.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink } from "./link.js";
import { refuseIdleHooks } from "./security-hooks.js";
import { nameOf, withFile } from "./targets.js";

/** Options of control group attachments. Places other than the end of the list, beside other links: Linux 6.16. */
export interface CgroupOptions extends AnchorOptions {
  /**
   * Runs before the programs of groups below, instead of after them (BPF_F_PREORDER, Linux 6.16).
   */
  preorder?: boolean | undefined;
}

const BPF_F_PREORDER = 1 << 6;

/**
 * Attaches to a control group of the second version, beside programs that are there. Linux 5.7. libbpf:
 * `bpf_program__attach_cgroup_opts`.
 *
 * @param group directory below /sys/fs/cgroup, or a descriptor of it
 * @throws NotFoundError when there is no such group, SystemCallError with code `ATTACH`
 */
export function attachCgroup(program: ProgramHandle, group: string | FdLike, options: CgroupOptions = {}): BpfLink {
  refuseIdleHooks(program);
  const attachType = program.spec.expectedAttachType;
  const target = `${attachTypeName(attachType) ?? `attach type ${attachType}`} of control group ${nameOf(group)}`;
  const open = (fd: FdLike): BpfLink => {
    const base = { program: program.descriptor, target: fd, attachType };
    const preorder = options.preorder === true ? BPF_F_PREORDER : 0;
    const placement = placementOf(options);
    const link = isAnchored(options)
      ? linkCreate({ ...base, family: "anchor", ...placement, flags: placement.flags | preorder })
      : linkCreate({ ...base, flags: preorder });
    return new BpfLink({ kind: "cgroup", program: program.name, target, link });
  };
  const hints = isAnchored(options) ? anchoredHints : plainHints;
  const since = options.preorder === true || isAnchored(options) ? "6.16" : "5.7";
  return withFile(group, "control group", (fd) => explainAttach(program, target, () => open(fd), { hints, since }));
}

const plainHints = {
  EBADF: "it is no control group of version 2",
  EPERM: () => {
    // Without the capability that is the reason.
    const has = effectiveCapabilities();
    if (has !== undefined && !has.has("CAP_NET_ADMIN") && !has.has("CAP_SYS_ADMIN")) return undefined;
    return "a program of a group above forbids others below it (it was attached without BPF_F_ALLOW_MULTI)";
  },
};

const anchoredHints = {
  ...plainHints,
  ...anchorHints,
  EINVAL: "links of control groups are placed beside links: name a link or its id, not a program",
};
