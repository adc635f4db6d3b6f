// Differences that somebody has looked at. Data: the first entry that fits explains a difference; what fits none is
// unexplained and fails the run. `intended` differences stay; a `gap` is a feature that libbpf has and bpfkit lacks.

import type { Difference, DifferenceKind } from "./compare.js";
import type { Fact } from "./facts.js";

/** What a difference must look like; everything that is given must match. */
interface Shape {
  readonly kinds?: readonly DifferenceKind[];
  /** Features of the object, one of which it must have. */
  readonly facts?: readonly Fact[];
  readonly subject?: RegExp;
  readonly libbpf?: RegExp;
  readonly bpfkit?: RegExp;
}

/** Why a difference is there. */
export interface Explanation {
  readonly name: string;
  readonly state: "intended" | "gap";
  readonly reason: string;
  /** It looks like one of these. */
  readonly shapes: readonly Shape[];
}

/** In order; the first that fits counts. */
const explanations: readonly Explanation[] = [
  {
    name: "zeros are not written",
    state: "intended",
    reason: "a new array is all zeros: one system call less for .bss",
    shapes: [{ kinds: ["initial value"], libbpf: /^zeros/, bpfkit: /^nothing$/ }],
  },
  {
    name: "a refused object creates nothing",
    state: "intended",
    reason: "program types and attach targets are looked up before the first map is created, not after",
    shapes: [
      {
        kinds: ["map missing", "BTF", "initial value", "effect"],
        facts: ["nothing loads"],
        bpfkit: /^(no such map|nothing|not done)$/,
      },
    ],
  },
  {
    name: "struct_ops before externs",
    state: "intended",
    reason:
      "a kernel that lacks both the struct_ops and a function: libbpf looks for externs first, bpfkit for struct_ops",
    shapes: [
      {
        kinds: ["refusal"],
        facts: ["struct_ops"],
        libbpf: /^extern \(func ksym\) '\S+': not found/,
        bpfkit: /this kernel has no struct_ops of struct/,
      },
    ],
  },
  {
    name: "a slot's program is missing",
    state: "intended",
    reason:
      "a program alone, whose map names other programs: libbpf gives descriptor -2 to the kernel, which refuses it unless faked",
    shapes: [{ kinds: ["program missing"], bpfkit: /slot \d+ is to hold program \S+, which was not loaded/ }],
  },
  {
    name: "sections newer than libbpf",
    state: "intended",
    reason: "libbpf 1.7 does not know sleepable tracepoints and the fentry family on many functions",
    shapes: [
      {
        kinds: ["program extra", "refusal"],
        libbpf:
          /missing BPF prog type, check ELF section name '((tp|tracepoint|raw_tp|raw_tracepoint|tp_btf)\.s|(fentry|fexit|fsession)\.multi(\.s)?)[/']/,
      },
    ],
  },
  {
    name: "syscall wrappers without kprobes",
    state: "intended",
    reason:
      "LINUX_HAS_SYSCALL_WRAPPER: libbpf tries a kprobe, which a kernel without kprobes refuses; bpfkit reads the kernel's symbols",
    shapes: [
      {
        kinds: ["initial value"],
        facts: ["externs"],
        subject: /\.kconfig\[/,
        libbpf: /^(zeros, 1 bytes$|\d+ bytes, @36: 0100)/,
        bpfkit: /^(01$|\d+ bytes, @36: 0101)/,
      },
    ],
  },
];

/** The explanation of a difference, or undefined. */
export function explain(difference: Difference, facts: readonly Fact[]): Explanation | undefined {
  return explanations.find(({ shapes }) => shapes.some((shape) => fits(shape, difference, facts)));
}

function fits(shape: Shape, difference: Difference, facts: readonly Fact[]): boolean {
  const { kinds, facts: wanted, subject, libbpf, bpfkit } = shape;
  return (
    (kinds === undefined || kinds.includes(difference.kind)) &&
    (wanted === undefined || wanted.some((fact) => facts.includes(fact))) &&
    (subject === undefined || subject.test(difference.subject)) &&
    (libbpf === undefined || libbpf.test(difference.libbpf)) &&
    (bpfkit === undefined || bpfkit.test(difference.bpfkit))
  );
}
