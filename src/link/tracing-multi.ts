// Programs of the fentry family on many kernel functions by one link: fentry.multi, fexit.multi, fsession.multi
// (libbpf.md 1.5, 2.3). Unlike kprobe.multi they get typed arguments, and fexit.multi arguments and result.

import type { Btf } from "../btf/index.js";
import { ArgumentError, NotFoundError } from "../errors.js";
import { isGlob } from "../glob.js";
import { hasTraceableType, loadKernelBtf, ModuleBtfs, traceableFunctions } from "../kernel/index.js";
import { didYouMean, nearNames } from "../near-names.js";
import { isTracingMulti, splitModule } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";
import { linkCreate } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { checkCookies, describeFunctions } from "./function-set.js";
import { BpfLink } from "./link.js";

/** Which functions: a pattern with `*` and `?`, names, or BTF ids. Pattern and names may begin with `MODULE:`. */
export type TracingFunctions = string | readonly string[] | readonly number[];

/** Options of {@link attachTracingMulti}. */
export interface TracingMultiOptions {
  /** What `bpf_get_attach_cookie()` returns, one for each name or id; not with a pattern. */
  cookies?: readonly bigint[] | undefined;
}

/**
 * Attaches to many functions of the kernel, or of one module, at once. The program's section is `fentry.multi`,
 * `fexit.multi` or `fsession.multi`, or its expected attach type says so. Functions of a module have to be named before
 * load, by the section or by setAttachTarget(`"MODULE:*"`). Linux 7.2 on x86-64. libbpf:
 * `bpf_program__attach_tracing_multi`.
 *
 * @throws NotFoundError when no function matches, ArgumentError, SystemCallError with code `ATTACH`
 */
export function attachTracingMulti(
  program: ProgramHandle,
  functions: TracingFunctions,
  { cookies }: TracingMultiOptions = {},
): BpfLink {
  const place = { file: program.file, program: program.name };
  const attachType = program.spec.expectedAttachType;
  if (!isTracingMulti(attachType)) {
    throw new ArgumentError("the program is not made for many functions", {
      ...place,
      hint: 'that is for SEC("fentry.multi"), SEC("fexit.multi") and SEC("fsession.multi")',
    });
  }
  checkCookies(program, functions, cookies, "names or BTF ids");
  // First, so that a program that was not loaded is told so.
  const { descriptor } = program;
  const ids = Uint32Array.from(areIds(functions) ? functions : idsOf(program, functions));
  const target = `${describeFunctions(functions)} (${ids.length} kernel functions)`;
  const attach = (): BpfLink => {
    const link = linkCreate({
      program: descriptor,
      attachType,
      family: "tracing_multi",
      ids,
      cookies: cookies && BigUint64Array.from(cookies),
    });
    return new BpfLink({ kind: "tracing_multi", program: program.name, target, link });
  };
  return explainAttach(program, target, attach, { hints, since: "7.2" });
}

const hints = {
  EINVAL: "one of the functions is there twice, never returns, or is not for programs of this kind",
  ENOENT: "one of the functions has no address: it may be inlined everywhere",
  EBUSY: "something else (ftrace, live patches) occupies the entry of one of the functions",
  E2BIG: "one of the functions has as many programs as fit",
  EOPNOTSUPP: "the kernel has no direct calls from ftrace (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS) on this machine",
};

function areIds(functions: TracingFunctions): functions is readonly number[] {
  return typeof functions !== "string" && typeof functions[0] === "number";
}

/** BTF ids in the types that the program was loaded for. */
function idsOf(program: ProgramHandle, functions: string | readonly string[]): number[] {
  const place = { file: program.file, program: program.name };
  const patterns = typeof functions === "string" ? [functions] : functions;
  if (patterns.length === 0) throw new ArgumentError("no functions to attach to", place);
  const home = splitModule(program.attachTarget ?? "").module ?? VMLINUX;
  const wanted = patterns.map((pattern) => {
    const { module = home, name } = splitModule(pattern);
    if (module === home) return name;
    throw new ArgumentError(`the program was loaded for functions of ${home}, not of ${module}`, {
      ...place,
      hint: `call setAttachTarget("${module}:*") before load()`,
    });
  });
  return withTypesOf(home, (btf) =>
    typeof functions === "string" && isGlob(functions)
      ? matching(btf, wanted[0]!, () => notFound(program, functions))
      : wanted.map((name) => idOf(btf, name, program)),
  );
}

const VMLINUX = "vmlinux";

function withTypesOf<T>(module: string, body: (btf: Btf) => T): T {
  const vmlinux = loadKernelBtf("functions to attach to");
  if (module === VMLINUX) return body(vmlinux);
  using modules = new ModuleBtfs(() => vmlinux);
  const found = modules.list().find(({ name }) => name === module);
  if (found !== undefined) return body(found.btf);
  const names = modules.list().map(({ name }) => name);
  throw new NotFoundError(`no module ${module} with type information is loaded${nearNames(module, names)}`);
}

/** The kernel refuses all functions when one of them cannot be traced: a pattern stands for those that can. */
function matching(btf: Btf, pattern: string, none: () => NotFoundError): number[] {
  const names = new Set(traceableFunctions(pattern).map(({ name }) => name));
  const ids = [...names]
    .map((name) => btf.findOwnByName(name, "func"))
    .filter((id) => id !== undefined && hasTraceableType(btf, id)) as number[];
  if (ids.length === 0) throw none();
  return ids;
}

function idOf(btf: Btf, name: string, program: ProgramHandle): number {
  const id = btf.findOwnByName(name, "func");
  if (id !== undefined) return id;
  throw new NotFoundError(`the kernel has no function ${name}${didYouMean(name, btf.names("func"))}`, {
    file: program.file,
    program: program.name,
    hint: "it may be inlined, renamed or in a module that was not named",
  });
}

function notFound(program: ProgramHandle, pattern: string): NotFoundError {
  return new NotFoundError(`no kernel function that can be traced matches ${pattern}`, {
    file: program.file,
    program: program.name,
    hint: "available_filter_functions in tracefs lists the functions that can be traced; some have no types",
  });
}
