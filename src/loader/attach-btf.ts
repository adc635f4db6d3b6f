// Programs that attach to something the kernel knows by its BTF id: resolved at load (libbpf.md 2, flag B).

import type { Btf, BtfKindName } from "../btf/index.js";
import { ObjectError, UnsupportedError } from "../errors.js";
import { AttachType, type ProgramSpec, ProgramType } from "../object/index.js";

interface TargetRule {
  readonly kind: BtfKindName;
  /** What the kernel calls the thing that the section names. */
  readonly prefix: string;
  readonly what: string;
}

const functionTarget: TargetRule = { kind: "func", prefix: "", what: "kernel function" };

/** By expected attach type; everything else names a function. */
const rules: ReadonlyMap<number, TargetRule> = new Map([
  [AttachType.trace_raw_tp, { kind: "typedef", prefix: "btf_trace_", what: "tracepoint" }],
  [AttachType.lsm_mac, { kind: "func", prefix: "bpf_lsm_", what: "LSM hook" }],
  [AttachType.lsm_cgroup, { kind: "func", prefix: "bpf_lsm_", what: "LSM hook" }],
  [AttachType.trace_iter, { kind: "func", prefix: "bpf_iter_", what: "iterator" }],
]);

/** True when loading the program needs a BTF id from the kernel. */
export function needsAttachBtf(program: ProgramSpec): boolean {
  return program.definition?.flags.includes("attachBtf") === true;
}

/**
 * The BTF id, in the kernel's BTF, of what the program's section names.
 * @throws ObjectError when it names nothing, UnsupportedError when this kernel has no such thing
 */
export function resolveAttachBtf(program: ProgramSpec, kernel: Btf): number {
  const place = { program: program.name, section: program.sectionName };
  if (program.type === ProgramType.ext) {
    throw new UnsupportedError("freplace programs need a target program, which bpfkit cannot give them yet", place);
  }
  if (program.attachTarget === undefined) {
    throw new ObjectError("OBJECT_INVALID", "the section does not name what to attach to", {
      ...place,
      hint: `write SEC("${program.sectionName}/NAME")`,
    });
  }
  const colon = program.attachTarget.indexOf(":");
  const module = colon < 0 ? "vmlinux" : program.attachTarget.slice(0, colon);
  const name = program.attachTarget.slice(colon + 1);
  if (module !== "vmlinux") {
    throw new UnsupportedError(`functions of kernel modules (${module}) cannot be attached to yet`, place);
  }
  const rule = rules.get(program.expectedAttachType) ?? functionTarget;
  const id = kernel.findByName(rule.prefix + name, rule.kind);
  if (id !== undefined) return id;
  throw new UnsupportedError(`this kernel has no ${rule.what} ${name}`, {
    ...place,
    hint:
      rule === functionTarget
        ? "it may be inlined, renamed or in a module; /proc/kallsyms lists the kernel's functions"
        : undefined,
  });
}
