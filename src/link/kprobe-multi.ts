// Probes on many kernel functions by one link: kprobe.multi, and kprobe.session for entry and return together
// (libbpf.md 1.5, 2.3).

import { ArgumentError, NotFoundError, SystemCallError } from "../errors.js";
import { isGlob } from "../glob.js";
import { traceableFunctions } from "../kernel/index.js";
import { AttachType } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";
import { linkCreate } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink } from "./link.js";

/** Which functions: a pattern with `*` and `?`, names, or addresses. */
export type FunctionSet = string | readonly string[] | readonly bigint[];

/** Options of probes on many functions. */
export interface KprobeMultiOptions {
  /** Runs when the functions return, instead of when they are entered. */
  return?: boolean;
  /** What `bpf_get_attach_cookie()` returns, one for each name or address; not with a pattern. */
  cookies?: readonly bigint[];
  /** Refuses a pattern that more than one function matches. libbpf: `unique_match`. */
  unique?: boolean;
}

const BPF_F_KPROBE_MULTI_RETURN = 1;

/**
 * Attaches to many functions of the kernel at once. The program's section is `kprobe.multi`, `kretprobe.multi` or
 * `kprobe.session`, or its expected attach type says so. Linux 5.18; sessions 6.10. libbpf:
 * `bpf_program__attach_kprobe_multi_opts`.
 *
 * @throws NotFoundError when no function matches, SystemCallError with code `ATTACH`
 */
export function attachKprobeMulti(
  program: ProgramHandle,
  functions: FunctionSet,
  options: KprobeMultiOptions = {},
): BpfLink {
  const session = program.spec.expectedAttachType === AttachType.trace_kprobe_session;
  const { return: onReturn = false, cookies } = options;
  if (session && onReturn) throw new ArgumentError("a session runs at entry and return", { program: program.name });
  const chosen = choose(program, functions, options);
  if (cookies !== undefined && (typeof functions === "string" || cookies.length !== functions.length)) {
    throw new ArgumentError("cookies belong to a list of names or addresses, one for each", { program: program.name });
  }
  const count = (chosen.symbols ?? chosen.addresses)?.length ?? 0;
  const target = `${describe(functions)} (${count} kernel functions)`;
  const attach = (): BpfLink => {
    const link = linkCreate({
      program: program.descriptor,
      attachType: session ? AttachType.trace_kprobe_session : AttachType.trace_kprobe_multi,
      family: "kprobe_multi",
      ...chosen,
      cookies: cookies && BigUint64Array.from(cookies),
      kprobeFlags: onReturn ? BPF_F_KPROBE_MULTI_RETURN : 0,
    });
    return new BpfLink({ kind: "kprobe_multi", program: program.name, target, link });
  };
  const since = session ? "6.10" : "5.18";
  try {
    return explainAttach(program, target, attach, { hints, since });
  } catch (error) {
    // For a name that it does not know the kernel says ESRCH.
    if (!(error instanceof SystemCallError) || error.errnoName !== "ESRCH") throw error;
    throw notFound(program, `the kernel cannot trace all of: ${describe(functions)}`, error);
  }
}

const hints = {
  EINVAL: "the program was not loaded for many functions: its section has to be kprobe.multi or kprobe.session",
  EOPNOTSUPP: "the kernel was built without CONFIG_FPROBE",
};

function choose(
  program: ProgramHandle,
  functions: FunctionSet,
  { unique }: KprobeMultiOptions,
): { symbols?: readonly string[]; addresses?: BigUint64Array } {
  if (typeof functions !== "string") {
    if (functions.length === 0) throw new ArgumentError("no functions to attach to", { program: program.name });
    return areNames(functions) ? { symbols: functions } : { addresses: BigUint64Array.from(functions) };
  }
  if (!isGlob(functions)) return { symbols: [functions] };
  const found = traceableFunctions(functions);
  if (found.length === 0) throw notFound(program, `no kernel function that can be traced matches ${functions}`);
  if (unique === true && found.length > 1) {
    const names = found.slice(0, 5).map(({ name }) => name);
    throw new ArgumentError(`${found.length} kernel functions match ${functions}: ${names.join(", ")} …`, {
      program: program.name,
    });
  }
  if (found.every(({ address }) => address !== 0n)) {
    return { addresses: BigUint64Array.from(found, ({ address }) => address) };
  }
  return { symbols: found.map(({ name }) => name) };
}

function areNames(functions: readonly string[] | readonly bigint[]): functions is readonly string[] {
  return typeof functions[0] === "string";
}

function describe(functions: FunctionSet): string {
  if (typeof functions === "string") return functions;
  const shown = functions.slice(0, 3).map((each) => (typeof each === "string" ? each : `0x${each.toString(16)}`));
  return `${shown.join(", ")}${functions.length > 3 ? " …" : ""}`;
}

function notFound(program: ProgramHandle, reason: string, cause?: unknown): NotFoundError {
  return new NotFoundError(reason, {
    file: program.file,
    program: program.name,
    hint: "available_filter_functions in tracefs lists the functions that can be traced",
    cause,
  });
}
