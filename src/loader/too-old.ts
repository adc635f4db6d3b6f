// Programs of kinds that the running kernel is too old for: it refuses them with an errno that says nothing.

import { UnsupportedError } from "../errors.js";
import { olderThan } from "../kernel/index.js";
import {
  type AttachTypeName,
  attachTypeName,
  type ProgramSpec,
  type ProgramTypeName,
  programTypeName,
} from "../object/index.js";
import { Errno } from "../syscall/index.js";

/** First kernels by program type, for those that may be missing where bpfkit runs. */
const programTypes: Readonly<Partial<Record<ProgramTypeName, string>>> = {
  tracing: "5.5",
  ext: "5.6",
  struct_ops: "5.6",
  lsm: "5.7",
  sk_lookup: "5.9",
  syscall: "5.14",
  netfilter: "6.4",
};

/** First kernels by expected attach type, where that is looked at when a program is loaded. */
const attachTypes: Readonly<Partial<Record<AttachTypeName, string>>> = {
  modify_return: "5.7",
  trace_iter: "5.8",
  sk_reuseport_select_or_migrate: "5.14",
  lsm_cgroup: "6.0",
  cgroup_unix_connect: "6.7",
  cgroup_unix_sendmsg: "6.7",
  cgroup_unix_recvmsg: "6.7",
  cgroup_unix_getpeername: "6.7",
  cgroup_unix_getsockname: "6.7",
  trace_fsession: "7.0",
  trace_fentry_multi: "7.2",
  trace_fexit_multi: "7.2",
  trace_fsession_multi: "7.2",
};

/**
 * The error for a refused program that the kernel is too old for; undefined when that is not the reason.
 *
 * @param cause what would be told otherwise
 */
export function explainTooOld(spec: ProgramSpec, errno: number, cause: unknown): UnsupportedError | undefined {
  if (errno !== Errno.EINVAL && errno !== Errno.E2BIG) return undefined;
  const type = programTypeName(spec.type);
  const attachType = attachTypeName(spec.expectedAttachType);
  const reasons = [
    { what: `type ${type}`, since: type && programTypes[type] },
    { what: `attach type ${attachType}`, since: attachType && attachTypes[attachType] },
  ];
  const missing = reasons.find(({ since }) => since !== undefined && olderThan(since));
  if (missing === undefined) return undefined;
  return new UnsupportedError(`this kernel has no programs of ${missing.what}`, {
    program: spec.name,
    section: spec.sectionName,
    hint: `it takes Linux ${missing.since}`,
    cause,
  });
}
