// Probes on many kernel functions by one link: kprobe.multi, and kprobe.session for entry and return together
// (libbpf.md 1.5, 2.3).

import { ArgumentError, NotFoundError, SystemCallError, UnsupportedError } from "../errors.js";
import { isGlob } from "../glob.js";
import { olderThan, readKernelSymbols, traceableFunctions } from "../kernel/index.js";
import { log } from "../log.js";
import { AttachType } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";
import { linkCreate } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { checkCookies, describeFunctions } from "./function-set.js";
import { missingFunction, openKprobe } from "./kprobe.js";
import { BpfLink } from "./link.js";
import { attachToEach } from "./perf-event.js";

/** Which functions: a pattern with `*` and `?`, names, or addresses. */
export type FunctionSet = string | readonly string[] | readonly bigint[];

/** Options of probes on many functions. */
export interface KprobeMultiOptions {
  /** Runs when the functions return, instead of when they are entered. */
  return?: boolean | undefined;
  /** What `bpf_get_attach_cookie()` returns, one for each name or address; not with a pattern. */
  cookies?: readonly bigint[] | undefined;
  /** Refuses a pattern that more than one function matches. libbpf: `unique_match`. */
  unique?: boolean | undefined;
}

const BPF_F_KPROBE_MULTI_RETURN = 1;

/**
 * Attaches to many functions of the kernel at once. With a program of section `kprobe.multi`, `kretprobe.multi` or
 * `kprobe.session` that is one link of the kernel (Linux 5.18 with CONFIG_FPROBE; sessions 6.10). With one of section
 * `kprobe`, and before Linux 5.18, it is one perf event a function, which end together: for some hundred functions, not
 * for all. libbpf: `bpf_program__attach_kprobe_multi_opts`, which knows links only.
 *
 * @throws NotFoundError when no function matches, UnsupportedError on later kernels without such links, SystemCallError
 *   with code `ATTACH`
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
  checkCookies(program, functions, cookies, "names or addresses");
  const count = (chosen.symbols ?? chosen.addresses)?.length ?? 0;
  const target = `${describeFunctions(functions)} (${count} kernel functions)`;
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
  const each = (): BpfLink => attachOneByOne(program, chosen, { target, onReturn, cookies });
  const forMany = session || program.spec.expectedAttachType === AttachType.trace_kprobe_multi;
  if (!forMany) return each();
  try {
    return explainAttach(program, target, attach, { since: session ? "6.10" : undefined });
  } catch (error) {
    // Such kernels have not heard of the attach type either, and run the program at single events.
    if (!session && error instanceof SystemCallError && error.errnoName === "EINVAL" && olderThan("5.18")) {
      log.debug(() => `${program.name}: the kernel has no links of many kprobes; using one event a function`);
      return each();
    }
    if (error instanceof SystemCallError && error.errnoName === "EOPNOTSUPP") throw noLinks(program, error);
    // For a name that it does not know the kernel says ESRCH.
    if (!(error instanceof SystemCallError) || error.errnoName !== "ESRCH") throw error;
    const missing = firstMissing(chosen.symbols ?? []);
    if (missing !== undefined) throw missingFunction(error, missing, program);
    throw notFound(program, `the kernel cannot trace all of: ${describeFunctions(functions)}`, error);
  }
}

/** Programs that were loaded for such links attach to nothing else. */
function noLinks(program: ProgramHandle, cause: unknown): UnsupportedError {
  return new UnsupportedError("this kernel has no links of many kprobes", {
    file: program.file,
    program: program.name,
    hint: 'it was built without CONFIG_FPROBE; a program of SEC("kprobe") is attached by one event a function',
    cause,
  });
}

function attachOneByOne(
  program: ProgramHandle,
  { symbols, addresses }: Chosen,
  { target, onReturn, cookies }: { target: string; onReturn: boolean; cookies: readonly bigint[] | undefined },
): BpfLink {
  const functions: readonly (string | bigint)[] = symbols ?? [...(addresses ?? [])];
  const places = functions.map((place, index) => ({
    cookie: cookies?.[index],
    open: () => {
      try {
        return openKprobe(place, { onReturn, offset: 0, mode: undefined });
      } catch (error) {
        throw typeof place === "string" ? missingFunction(error, place, program) : error;
      }
    },
  }));
  const attach = (): BpfLink => attachToEach(program, places, { kind: "kprobe_multi", target });
  return explainAttach(program, target, attach, { hints: oneByOneHints, since: "4.1" });
}

const oneByOneHints = { EMFILE: "each function takes two descriptors: raise ulimit -n, or name fewer functions" };

/** The first of these that is no symbol of the kernel; undefined when all are, or nobody can tell. */
function firstMissing(symbols: readonly string[]): string | undefined {
  try {
    const { addresses } = readKernelSymbols(symbols);
    return symbols.find((name) => !addresses.has(name));
  } catch {
    return undefined;
  }
}

/** What the kernel is told: names or addresses. */
interface Chosen {
  readonly symbols?: readonly string[];
  readonly addresses?: BigUint64Array;
}

function choose(program: ProgramHandle, functions: FunctionSet, { unique }: KprobeMultiOptions): Chosen {
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

function notFound(program: ProgramHandle, reason: string, cause?: unknown): NotFoundError {
  return new NotFoundError(reason, {
    file: program.file,
    program: program.name,
    hint: "available_filter_functions in tracefs lists the functions that can be traced",
    cause,
  });
}
