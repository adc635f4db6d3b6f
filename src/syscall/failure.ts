// How `-errno` becomes an error that a person can act on: one function and one table of hints.

import { type ErrorDetails, SystemCallError, type SystemCallErrorDetails } from "../errors.js";
import { type Capability, privilegeHint } from "./capabilities.js";
import { Errno, errnoName, errnoText } from "./errno.js";

/** Details of a failed system call besides operation and errno. */
export interface FailureDetails extends ErrorDetails {
  code?: NonNullable<SystemCallErrorDetails["code"]>;
  /** Capabilities that the operation wants, for the hint on EPERM. By default CAP_BPF. */
  needs?: readonly Capability[] | undefined;
  /** Which object was concerned, for example a path or a name; follows the operation in the message. */
  about?: string | undefined;
  /** The call was made with a BPF token. */
  withToken?: boolean | undefined;
  /** What the kernel wrote about the refusal; "" when nothing. */
  log?: string | undefined;
}

interface HintRule {
  readonly errno: readonly number[];
  readonly operation: RegExp;
  readonly hint: string | ((details: FailureDetails) => string);
}

const CLOSED_TO_USERS =
  "the map is frozen, or it was created or opened for one direction only (BPF_F_RDONLY, BPF_F_WRONLY)";

/** What the descriptor of a perf event is called. */
export const PERF_EVENT = "perf event";

/** The first rule that fits gives the hint. */
const hints: readonly HintRule[] = [
  {
    errno: [Errno.EPERM, Errno.EACCES],
    operation: /^perf_event_open/,
    hint: (details) => privilegeHint(details.needs ?? ["CAP_PERFMON"]),
  },
  {
    errno: [Errno.EPERM],
    operation: /^bpf\(BPF_TOKEN_CREATE/,
    hint: "a token is for the user namespace that its BPF file system was made in, and there for processes with CAP_BPF",
  },
  {
    errno: [Errno.EOPNOTSUPP],
    operation: /^bpf\(BPF_TOKEN_CREATE/,
    hint: "tokens are for user namespaces; this process is in the initial one, where capabilities count",
  },
  {
    errno: [Errno.ENOENT],
    operation: /^bpf\(BPF_TOKEN_CREATE/,
    hint: "the file system delegates nothing: mount it with delegate_cmds, delegate_maps, delegate_progs, delegate_attachs",
  },
  {
    errno: [Errno.EINVAL],
    operation: /^bpf\(BPF_TOKEN_CREATE/,
    hint: "it is not the root of a BPF file system, or the kernel has no tokens (Linux 6.9)",
  },
  {
    errno: [Errno.EPERM],
    operation: /^bpf\(BPF_(MAP_CREATE|PROG_LOAD|BTF_LOAD)\)/,
    hint: ({ needs = ["CAP_BPF"], withToken }) =>
      withToken === true ? tokenHint(needs) : privilegeHint(needs, { byToken: true }),
  },
  {
    errno: [Errno.EPERM],
    operation: /^bpf\(BPF_MAP_(LOOKUP|UPDATE|DELETE|GET_NEXT)/,
    hint: ({ needs = ["CAP_BPF"] }) => privilegeHint(needs, { otherwise: CLOSED_TO_USERS }),
  },
  { errno: [Errno.EPERM], operation: /^bpf\(/, hint: ({ needs = ["CAP_BPF"] }) => privilegeHint(needs) },
  {
    errno: [Errno.EPERM],
    operation: /^mmap/,
    hint: ({ about }) =>
      about === PERF_EVENT
        ? "that is more memory than may be locked: ask for fewer pages, raise kernel.perf_event_mlock_kb, or grant CAP_IPC_LOCK"
        : CLOSED_TO_USERS,
  },
  {
    errno: [Errno.EPERM],
    operation: /^(fsopen|fsconfig|fsmount|mount)/,
    hint: () => privilegeHint(["CAP_SYS_ADMIN"]),
  },
  {
    errno: [Errno.EACCES],
    operation: /^tracefs/,
    hint: "only root may, unless tracefs is mounted with other rights (mount options gid and mode)",
  },
  { errno: [Errno.EPERM], operation: /^tracefs/, hint: () => privilegeHint(["CAP_SYS_ADMIN"]) },
  {
    errno: [Errno.EPERM],
    operation: /^(RTM|NETDEV)_/,
    hint: () => privilegeHint(["CAP_NET_ADMIN"], { exactly: true }),
  },
  { errno: [Errno.EPERM], operation: /^prlimit64/, hint: () => privilegeHint(["CAP_SYS_RESOURCE"]) },
  {
    errno: [Errno.ENOSYS],
    operation: /./,
    hint: "the kernel was built without this system call, or a seccomp filter hides it",
  },
  { errno: [Errno.EMFILE], operation: /./, hint: "the process has too many open files: raise ulimit -n" },
  {
    errno: [Errno.E2BIG],
    operation: /^bpf\(BPF_MAP_UPDATE/,
    hint: "the map is full, or the index lies beyond its end",
  },
  {
    errno: [Errno.E2BIG],
    operation: /^bpf\(BPF_MAP_CREATE/,
    hint: "the map is too large, or the kernel too old for one of the options",
  },
  { errno: [Errno.E2BIG], operation: /^bpf\(/, hint: "the kernel is too old for one of the options given" },
  {
    errno: [Errno.ENOMEM],
    operation: /^bpf\(BPF_MAP_CREATE/,
    hint: "the map is larger than the memory that this cgroup may use, or before Linux 5.11 than RLIMIT_MEMLOCK",
  },
  {
    errno: [Errno.ENOSPC],
    operation: /^bpf\(BPF_MAP_LOOKUP(_AND_DELETE)?_BATCH/,
    hint: "one hash bucket holds more entries than the buffers have room for: use larger ones",
  },
  {
    errno: [Errno.EOPNOTSUPP, Errno.ENOTSUPP],
    operation: /^bpf\(BPF_MAP_/,
    hint: "maps of this type cannot do that, at least not on this kernel",
  },
  {
    errno: [Errno.EBUSY],
    operation: /^bpf\(BPF_MAP_FREEZE/,
    hint: "its memory is shared with a process, which may write it",
  },
  {
    errno: [Errno.EBUSY],
    operation: /^bpf\(BPF_(PROG_ATTACH|LINK_CREATE)/,
    hint: "another program is attached there",
  },
];

/** Why something was refused although there was a token. */
function tokenHint(needs: readonly Capability[]): string {
  return (
    "the BPF token does not cover it: the command, and the type of the map or of the program and its attach type, must be " +
    `among what the file system delegates (delegate_*), and the process needs ${needs.join(" and ")} in its user namespace`
  );
}

/**
 * The error for a failed system call.
 *
 * @param operation what was being done, such as `bpf(BPF_MAP_CREATE)`
 * @param errno positive error number
 */
export function systemCallError(operation: string, errno: number, details: FailureDetails = {}): SystemCallError {
  const { needs: _needs, withToken: _withToken, about, log, ...rest } = details;
  const rule = hints.find((candidate) => candidate.errno.includes(errno) && candidate.operation.test(operation));
  const hint = details.hint ?? (typeof rule?.hint === "function" ? rule.hint(details) : rule?.hint);
  const subject = about === undefined ? operation : `${operation} of ${about}`;
  const name = errnoName(errno);
  const said = log?.trim().replaceAll("\n", "; ") || undefined;
  return new SystemCallError(`${subject} failed: ${name}, ${said ?? errnoText(errno)}`, {
    ...rest,
    log: said === undefined ? undefined : log,
    operation,
    errno,
    errnoName: name,
    hint,
  });
}

/** Passes the result of a call through, or throws the error that a negative one stands for. */
export function check(result: number, operation: string, details?: FailureDetails): number {
  if (result < 0) throw systemCallError(operation, -result, details);
  return result;
}

/** Runs `call`: 0 when it succeeds, the positive errno when the kernel refuses. Other errors pass. */
export function errnoOf(call: () => void): number {
  try {
    call();
    return 0;
  } catch (error) {
    if (error instanceof SystemCallError) return error.errno;
    throw error;
  }
}
