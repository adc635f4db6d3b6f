// Programs that attach to something known by its BTF id: found at load, in the types of the kernel, of a kernel module or
// of another BPF program (libbpf.md 1.2, 2 flag B, 2.3).

import type { Btf, BtfKindName } from "../btf/index.js";
import { ObjectError, UnsupportedError, withLocation } from "../errors.js";
import { loadKernelBtf, type ModuleBtf, type ModuleBtfs } from "../kernel/index.js";
import { didYouMean, nearNames } from "../near-names.js";
import { AttachType, isTracingMulti, type ProgramSpec, ProgramType, splitModule } from "../object/index.js";
import { programFunctionId } from "../program/index.js";
import type { FileDescriptor } from "../syscall/index.js";

interface TargetRule {
  readonly kind: BtfKindName;
  /** What the kernel calls the thing that the section names. */
  readonly prefix: string;
  readonly what: string;
}

const SECURITY_HOOK = "bpf_lsm_";

const functionTarget: TargetRule = { kind: "func", prefix: "", what: "function" };

/** By expected attach type; everything else names a function. */
const rules: ReadonlyMap<number, TargetRule> = new Map([
  [AttachType.trace_raw_tp, { kind: "typedef", prefix: "btf_trace_", what: "tracepoint" }],
  [AttachType.lsm_mac, { kind: "func", prefix: SECURITY_HOOK, what: "LSM hook" }],
  [AttachType.lsm_cgroup, { kind: "func", prefix: SECURITY_HOOK, what: "LSM hook" }],
  [AttachType.trace_iter, { kind: "func", prefix: "bpf_iter_", what: "iterator" }],
]);

/** What a program is loaded to be attached to. */
export interface AttachTarget {
  readonly btfId: number;
  /** What has the id: BTF of a module, or a program. Undefined for vmlinux. */
  readonly owner: FileDescriptor | undefined;
}

/** A program as its target is looked up. */
interface TargetedProgram {
  readonly spec: ProgramSpec;
  readonly targetDescriptor: FileDescriptor | undefined;
}

/**
 * Finds what a program attaches to; undefined for programs that load without a target.
 *
 * libbpf: `libbpf_find_attach_btf_id` (internal).
 * @throws ObjectError when the program does not say enough, UnsupportedError when this kernel has no such thing,
 *   NotFoundError when the target program has no such function
 */
export function findAttachTarget(
  { spec, targetDescriptor }: TargetedProgram,
  modules: Pick<ModuleBtfs, "list">,
  vmlinux: () => Btf = () => loadKernelBtf(`the attach target of program ${spec.name}`),
): AttachTarget | undefined {
  const { attachTarget: target } = spec;
  if (isTracingMulti(spec.expectedAttachType)) {
    return withLocation({ program: spec.name, section: spec.sectionName }, () => findMultiOwner(target, modules));
  }
  if (!spec.needsAttachBtf) return undefined;
  return withLocation({ program: spec.name, section: spec.sectionName }, () => {
    if (target === undefined) {
      throw new ObjectError("OBJECT_INVALID", "neither the section nor setAttachTarget() names what to attach to", {
        hint: `write SEC("${spec.sectionName}/NAME")`,
      });
    }
    if (targetDescriptor !== undefined) {
      return { btfId: programFunctionId(targetDescriptor, target), owner: targetDescriptor };
    }
    if (spec.type === ProgramType.ext) {
      throw new ObjectError("OBJECT_INVALID", `the program that has the function ${target} was not given`, {
        hint: "call setAttachTarget(undefined, { program }) before load(), or switch autoload off",
      });
    }
    return findInKernel(target, rules.get(spec.expectedAttachType) ?? functionTarget, vmlinux(), modules);
  });
}

/** Programs on many functions are loaded for the types that have them all; without any the kernel takes its own. */
function findMultiOwner(target: string | undefined, modules: Pick<ModuleBtfs, "list">): AttachTarget | undefined {
  const { module } = splitModule(target ?? "");
  if (module === undefined || module === "vmlinux") return undefined;
  return { btfId: 0, owner: descriptorOf(modulesOf(module, modules)[0]!) };
}

/** vmlinux first, then every module; only the one that is named before a colon. Names of modules match whole. */
function findInKernel(target: string, rule: TargetRule, vmlinux: Btf, modules: Pick<ModuleBtfs, "list">): AttachTarget {
  const { module: moduleName, name } = splitModule(target);
  const inVmlinux = moduleName === undefined || moduleName === "vmlinux";
  if (inVmlinux) {
    const btfId = vmlinux.findByName(rule.prefix + name, rule.kind);
    if (btfId !== undefined) return { btfId, owner: undefined };
  }
  const searched = moduleName === "vmlinux" ? [] : modulesOf(moduleName, modules);
  for (const module of searched) {
    const btfId = module.btf.findOwnByName(rule.prefix + name, rule.kind);
    if (btfId !== undefined) return { btfId, owner: descriptorOf(module) };
  }
  const where =
    moduleName === undefined ? "this kernel" : moduleName === "vmlinux" ? moduleName : `module ${moduleName}`;
  const what = moduleName === undefined && rule === functionTarget ? "kernel function" : rule.what;
  if (rule.prefix === SECURITY_HOOK && namesOf(rule, vmlinux, []).next().done === true) {
    throw new UnsupportedError("this kernel has no security hooks for programs", {
      hint: "it takes Linux 5.7 built with CONFIG_BPF_LSM",
    });
  }
  const near = didYouMean(name, namesOf(rule, inVmlinux ? vmlinux : undefined, searched));
  throw new UnsupportedError(`${where} has no ${what} ${name}${near}`, {
    hint:
      rule === functionTarget
        ? "it may be inlined, renamed or in a module that is not loaded; /proc/kallsyms lists the functions that can be had"
        : undefined,
  });
}

function modulesOf(name: string | undefined, modules: Pick<ModuleBtfs, "list">): readonly ModuleBtf[] {
  const all = modules.list();
  if (name === undefined) return all;
  const found = all.filter((module) => module.name === name);
  if (found.length > 0) return found;
  const names = all.map((module) => module.name);
  throw new UnsupportedError(`no module ${name} with type information is loaded${nearNames(name, names)}`, {
    hint: "kernels show the types of their modules since Linux 5.11, with CONFIG_DEBUG_INFO_BTF_MODULES",
  });
}

/** Everything that could have been meant, as a section would name it. */
function* namesOf({ kind, prefix }: TargetRule, vmlinux: Btf | undefined, modules: readonly ModuleBtf[]) {
  const types = [...(vmlinux === undefined ? [] : [vmlinux]), ...modules.map(({ btf }) => btf)];
  for (const btf of types) {
    for (const name of btf.names(kind)) if (name.startsWith(prefix)) yield name.slice(prefix.length);
  }
}

function descriptorOf({ name, fd }: ModuleBtf): FileDescriptor {
  if (fd !== undefined) return fd;
  throw new UnsupportedError(`the types of module ${name} cannot be opened`, { hint: "this needs CAP_SYS_ADMIN" });
}
