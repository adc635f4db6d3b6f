// What one loader gave to the kernel for one object: the log of bpfspy made comparable. Descriptors become the names of
// what they stand for, libbpf's questions to the kernel (feature probes) are left out, a program that was loaded again
// for its verifier log counts once.

import { readFileSync } from "node:fs";

/** Numbers and names by the kernel's word for them. */
type Attributes = Readonly<Record<string, number | string>>;

/** One instruction, 8 bytes, or 16 for a 64-bit load. */
export interface RecordedInsn {
  /** Descriptors are zero. */
  readonly hex: string;
  /** What the descriptor stood for; "" without one. */
  readonly meaning: string;
}

/** One BPF_PROG_LOAD. */
export interface RecordedProgram {
  /** As the kernel got it: 15 characters. */
  readonly name: string;
  readonly attributes: Attributes;
  readonly insns: readonly RecordedInsn[];
  readonly funcInfo: string;
  readonly lineInfo: string;
}

/** One BPF_MAP_CREATE. */
export interface RecordedMap {
  readonly name: string;
  readonly attributes: Attributes;
}

/** Everything that reached the kernel. */
export interface Recording {
  readonly programs: readonly RecordedProgram[];
  /** Every definition once, in order of creation. */
  readonly maps: readonly RecordedMap[];
  /** Distinct blobs in hex, in order. */
  readonly btfs: readonly string[];
  /** Initial values by `map[key in hex]`: hex, or what a descriptor stood for. */
  readonly contents: ReadonlyMap<string, string>;
  /** Maps that were frozen, and paths that were pinned to. */
  readonly effects: readonly string[];
}

/** A descriptor of the loader, as bpfspy looked it up. */
export interface SpiedDescriptor {
  readonly kind: string;
  readonly name?: string;
  readonly kernel?: number;
}

/** One line of the log: a few fields of all commands, as far as they are used here. */
export interface SpyEvent {
  readonly cmd: string;
  readonly ret: number;
  readonly faked: number;
  readonly name?: string;
  readonly license?: string;
  readonly path?: string;
  readonly insns?: string;
  readonly insn_cnt?: number;
  readonly func_info?: string;
  readonly line_info?: string;
  readonly btf?: string | SpiedDescriptor;
  readonly key?: string;
  readonly value?: string;
  readonly fds?: Readonly<Record<string, SpiedDescriptor>>;
  readonly fd_array?: readonly (SpiedDescriptor | null)[];
  readonly prog_btf?: SpiedDescriptor;
  readonly attach_fd?: SpiedDescriptor;
  readonly inner_map?: SpiedDescriptor;
  readonly value_type_btf_obj?: SpiedDescriptor;
  readonly value_fd?: SpiedDescriptor;
  readonly map?: SpiedDescriptor;
  readonly [number: string]: unknown;
}

const programNumbers = [
  "prog_type",
  "expected_attach_type",
  "prog_flags",
  "kern_version",
  "ifindex",
  "attach_btf_id",
  "func_info_rec_size",
  "line_info_rec_size",
] as const;

const mapNumbers = [
  "map_type",
  "key_size",
  "value_size",
  "max_entries",
  "map_flags",
  "map_extra",
  "numa_node",
  "ifindex",
  "btf_key_type_id",
  "btf_value_type_id",
  "btf_vmlinux_value_type_id",
] as const;

/** Names that libbpf 1.7 gives to programs and maps of its feature probes; bpfkit probes in other ways. */
const probeNames = /^(libbpf_|__probe|det_arg_ctx$|global_reloc$)/;

/**
 * Bytes of BTF (in hex: two digits each) that are taken for a feature probe: libbpf's largest has 146, and no object with a
 * program gets along with so few.
 */
const LARGEST_PROBE = 2 * 200;

/** Reads a log file of bpfspy. A last line that was cut off, because the loader was killed, is left out. */
export function readSpyLog(path: string): SpyEvent[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line) => JSON.parse(line) as SpyEvent);
}

/** Makes the log of one loader comparable. */
export function recordingOf(events: readonly SpyEvent[]): Recording {
  const programs: RecordedProgram[] = [];
  const maps = new Map<string, RecordedMap>();
  const btfs = new Set<string>();
  const contents = new Map<string, string>();
  const effects = new Set<string>();
  let refused = false;
  for (const event of events) {
    switch (event.cmd) {
      case "PROG_LOAD": {
        if (isProbe(event)) break;
        const program = recordProgram(event);
        const again = refused && JSON.stringify(programs.at(-1)) === JSON.stringify(program);
        if (!again) programs.push(program);
        refused = event.ret < 0;
        break;
      }
      case "MAP_CREATE": {
        if (probeNames.test(event.name ?? "") || isProbeMap(event)) break;
        const map = recordMap(event);
        maps.set(JSON.stringify(map), map);
        break;
      }
      case "BTF_LOAD":
        if (typeof event.btf === "string" && event.btf.length > LARGEST_PROBE) btfs.add(event.btf);
        break;
      case "MAP_UPDATE_ELEM":
        if (probeNames.test(event.map?.name ?? "")) break;
        contents.set(
          `${descriptorName(event.map)}[${event.key ?? ""}]`,
          event.value_fd === undefined ? (event.value ?? "") : descriptorName(event.value_fd),
        );
        break;
      case "MAP_FREEZE":
        effects.add(`freeze ${descriptorName(event.map)}`);
        break;
      case "OBJ_PIN":
        effects.add(`pin ${event.path}`);
        break;
    }
  }
  return { programs, maps: [...maps.values()], btfs: [...btfs], contents, effects: [...effects].sort() };
}

function isProbe({ name = "" }: SpyEvent): boolean {
  return name === "" || probeNames.test(name);
}

/**
 * bpfkit's probes make maps without a name; libbpf's for offsets in 64-bit loads makes one whose name an object may use as
 * well.
 */
function isProbeMap({ name, key_size: key, value_size: value, max_entries: entries, btf }: SpyEvent): boolean {
  if ((name ?? "") === "") return true;
  return name === "arr" && key === 4 && value === 1 && entries === 1 && btf === undefined;
}

function recordProgram(event: SpyEvent): RecordedProgram {
  return {
    name: event.name ?? "",
    attributes: {
      ...numbers(event, programNumbers),
      license: event.license ?? "",
      attach_fd: event.attach_fd === undefined ? "none" : descriptorName(event.attach_fd),
      prog_btf: event.prog_btf === undefined ? "none" : "object",
    },
    insns: normaliseInsns(event.insns ?? "", event.fds ?? {}, event.fd_array ?? []),
    funcInfo: event.func_info ?? "",
    lineInfo: event.line_info ?? "",
  };
}

function recordMap(event: SpyEvent): RecordedMap {
  return {
    name: event.name ?? "",
    attributes: {
      ...numbers(event, mapNumbers),
      // A map of a kind that the kernel refused with BTF is made without; both sides are asked the same.
      btf: event.btf === undefined ? "none" : "object",
      inner_map: event.inner_map === undefined ? "none" : descriptorName(event.inner_map),
      value_type_btf_obj: event.value_type_btf_obj === undefined ? "none" : descriptorName(event.value_type_btf_obj),
    },
  };
}

function numbers(event: SpyEvent, names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, Number(event[name] ?? 0)]));
}

/** Maps and programs by name, BTF by module. A call that was faked gave a memory file of that name. */
function descriptorName(descriptor: SpiedDescriptor | null | undefined): string {
  if (descriptor === null || descriptor === undefined) return "none";
  if (["map", "prog", "faked"].includes(descriptor.kind)) return `:${descriptor.name ?? ""}`;
  if (descriptor.kind === "btf") return descriptor.name || (descriptor.kernel ? "vmlinux" : "own BTF");
  return descriptor.kind;
}

const LDIMM64 = 0x18;
const CALL = 0x85;

/** Instructions with descriptors and positions in the descriptor array replaced by what they stand for. */
export function normaliseInsns(
  hex: string,
  descriptors: Readonly<Record<string, SpiedDescriptor>>,
  array: readonly (SpiedDescriptor | null)[],
): RecordedInsn[] {
  const bytes = Buffer.from(hex, "hex");
  const insns: RecordedInsn[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const wide = bytes[at] === LDIMM64 && at + 16 <= bytes.length;
    const insn = bytes.subarray(at, at + (wide ? 16 : 8));
    const meaning = wide ? normaliseLoad(insn, descriptors, array) : normaliseCall(insn, array);
    insns.push({ hex: insn.toString("hex"), meaning });
    at += insn.length;
  }
  return insns;
}

/** The source register of a 64-bit load says what its halves are (UAPI linux/bpf.h, BPF_PSEUDO_*). */
function normaliseLoad(
  insn: Buffer,
  descriptors: Readonly<Record<string, SpiedDescriptor>>,
  array: readonly (SpiedDescriptor | null)[],
): string {
  const source = insn[1]! >> 4;
  const immediate = insn.readInt32LE(4);
  if (source === 1 || source === 2) {
    insn.writeInt32LE(0, 4);
    return descriptorName(descriptors[immediate]);
  }
  if (source === 5 || source === 6) {
    insn.writeInt32LE(0, 4);
    insn[1] = (insn[1]! & 0x0f) | ((source - 4) << 4);
    return descriptorName(array[immediate]);
  }
  if (source !== 3) return "";
  const module = insn.readInt32LE(12);
  insn.writeInt32LE(0, 12);
  return module === 0 ? "vmlinux" : descriptorName(descriptors[module]);
}

/** A call of a kernel function names its module by a position in the descriptor array. */
function normaliseCall(insn: Buffer, array: readonly (SpiedDescriptor | null)[]): string {
  if (insn[0] !== CALL || insn[1]! >> 4 !== 2) return "";
  const position = insn.readInt16LE(2);
  insn.writeInt16LE(0, 2);
  return position === 0 ? "vmlinux" : descriptorName(array[position]);
}
