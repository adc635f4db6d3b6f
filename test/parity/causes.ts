// Why an object or a program does not load, in one form for both sides: libbpf's first message and bpfkit's error tell the
// same in other words. A refusal that both give counts as equal only when it has the same cause and names the same thing.

/** One cause, as each side words it. A group of the pattern is what it names: a symbol, a map, a program. */
interface Cause {
  readonly what: string;
  readonly libbpf: RegExp;
  readonly bpfkit: RegExp;
}

/** In order; the first that fits counts. */
const causes: readonly Cause[] = [
  {
    what: "a symbol is defined in another file",
    libbpf: /failed to find BTF for extern|unrecognized extern section '\.maps'/,
    bpfkit: /` is not defined|the map is extern/,
  },
  {
    what: "a function, variable or symbol that the kernel lacks",
    libbpf: /extern (?:\(\w+ ksym\) )?'(\S+)'(?: \(strong\))?: not (?:found in kernel|resolved)/,
    bpfkit: /this kernel has no (?:function|variable|symbol) (\S+?)(?: among| \(|$)/,
  },
  {
    what: "a struct_ops that the kernel lacks",
    libbpf: /struct_ops init_kern: struct bpf_struct_ops_(\S+) is not found/,
    bpfkit: /this kernel has no struct_ops of struct (\S+)/,
  },
  {
    what: "a struct_ops program that nothing uses",
    libbpf: /prog '(\S+)': SEC\("struct_ops"\) program isn't referenced/,
    bpfkit: /program (\S+): no struct_ops variable uses this callback/,
  },
  {
    what: "a struct_ops member that the kernel lacks",
    libbpf: /struct_ops init_kern (\S+): Cannot find member/,
    bpfkit: /map (\S+): member `\w+` of struct \w+ does not exist in this kernel/,
  },
  {
    what: "a struct_ops program with two places",
    libbpf: /struct_ops init_kern (\S+) func ptr \S+: invalid reuse of prog/,
    bpfkit: /map (\S+): it is set to `\w+`, and to another member or struct/,
  },
  {
    what: "a target in a module that is not loaded",
    libbpf: /failed to find kernel BTF type ID of '([^':]+):.+'/,
    bpfkit: /no module (\S+) with type information is loaded/,
  },
  {
    what: "a target that the kernel lacks",
    libbpf: /failed to find kernel BTF type ID of '(.+)'/,
    bpfkit: /this kernel has no (?:\w+ )+?([^\s;]+)(?:;| \(|$)/,
  },
  {
    what: "a target that only the user can name",
    libbpf: /prog '(\S+)': (?:attach program FD is not set|no BTF-based attach target is specified)/,
    bpfkit: /program (\S+): (?:the program that has the function \S+ was not given|.*names what to attach to|.*target)/,
  },
  {
    what: "a section that says no program type",
    libbpf: /prog '(\S+)': missing BPF prog type/,
    bpfkit: /program (\S+): no program type/,
  },
  {
    what: "map definitions in the old form",
    libbpf: /legacy map definitions in '(\S+)'/,
    bpfkit: /section (\S+): map definitions in the old form/,
  },
  { what: "another byte order", libbpf: /non-native endianness/, bpfkit: /is (?:big|little)-endian and this machine/ },
  { what: "no type information", libbpf: /BTF is required/, bpfkit: /^BtfError: .*the object has none/ },
  {
    what: "a pinning that does not exist",
    libbpf: /map '(\S+)': invalid pinning value/,
    bpfkit: /map (\S+), .*`pinning` is/,
  },
  {
    what: "a jump table that this kernel cannot have",
    libbpf: /prog '(\S+)': relo #\d+: can't create jump table/,
    bpfkit: /section \.jumptables, program (\S+): bpf\(BPF_MAP_CREATE/,
  },
  {
    what: "a CO-RE relocation that cannot be made",
    libbpf: /prog '(\S+)': relo /,
    bpfkit: /^CoreRelocationError: .*program ([^\s,:]+)/,
  },
  {
    what: "a map that the kernel refuses",
    libbpf: /^(?:Error in bpf_create_map_xattr\(|map ')([^')]+)/,
    bpfkit: /map (\S+): bpf\(BPF_MAP_CREATE\)/,
  },
  {
    what: "a program that the kernel refuses",
    libbpf: /prog '(\S+)': BPF program load failed/,
    bpfkit: /program (\S+): (?:the verifier refused|bpf\(BPF_PROG_LOAD\) failed)/,
  },
];

/** A cause, and what it names, or undefined for words that nobody has looked at. */
interface Refusal {
  readonly what: string;
  readonly subject: string;
}

/** What this side's words mean. */
function causeOf(side: "libbpf" | "bpfkit", words: string): Refusal | undefined {
  for (const cause of causes) {
    const found = cause[side].exec(words);
    if (found !== null) return { what: cause.what, subject: found[1] ?? "" };
  }
  return undefined;
}

/** True when both refuse for one reason: the same words mean the same cause of the same thing. */
export function sameCause(libbpf: string, bpfkit: string): boolean {
  const [theirs, ours] = [causeOf("libbpf", libbpf), causeOf("bpfkit", bpfkit)];
  return theirs !== undefined && theirs.what === ours?.what && theirs.subject === ours.subject;
}
