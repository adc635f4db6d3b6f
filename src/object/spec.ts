// What a `.bpf.o` declares, as plain editable data: the product of opening, the input of loading.
// Pure: the same object gives the same spec on every machine. Instructions are always kept in little-endian byte order
// (every host that bpfkit loads on is little-endian); `littleEndian` tells what the file had.

import type { Btf, CoreRelocationRecord, LineInfoRecord, RecordList } from "../btf/index.js";
import type { SectionDefinition } from "./sections.js";

/** A relocation of one instruction against something outside its function, not yet applied. */
export type RelocationSpec =
  /** ldimm64 that wants a map's file descriptor. */
  | { readonly kind: "map"; readonly insnIndex: number; readonly map: MapSpec }
  /** ldimm64 that wants the address `offset` bytes into the single value of a data map, or into an arena's variables. */
  | { readonly kind: "data"; readonly insnIndex: number; readonly map: MapSpec; readonly offset: number }
  /** call of a function of the same object. */
  | { readonly kind: "call"; readonly insnIndex: number; readonly target: FunctionSpec }
  /** ldimm64 that wants the address of a function of the same object (callbacks). */
  | { readonly kind: "function"; readonly insnIndex: number; readonly target: FunctionSpec }
  /** ldimm64 or call that refers to a kernel symbol. Kconfig externs are `data` of the map `.kconfig`. */
  | ExternRelocationSpec
  | JumpTableRelocationSpec
  /** ldimm64 of something that programs cannot reach (struct_ops data); linking refuses it. */
  | { readonly kind: "unsupported"; readonly insnIndex: number; readonly sectionName: string; readonly what: string };

/** ldimm64 that wants the map of a jump table. */
export interface JumpTableRelocationSpec {
  readonly kind: "jumpTable";
  readonly insnIndex: number;
  /** Where the table begins in `.jumptables`: the same for all instructions that use it. */
  readonly tableOffset: number;
  /** Where each entry leads: indices of instructions, counted from the function's start. */
  readonly targets: readonly number[];
}

/** A reference to something of the running kernel: a call of a function, or an ldimm64 of an address. */
export interface ExternRelocationSpec {
  readonly kind: "extern";
  readonly insnIndex: number;
  readonly extern: KsymVariableSpec | KsymFunctionSpec;
}

/** An undefined symbol that only the running kernel can supply: declared `__kconfig` or `__ksym` in C. */
export type ExternSpec = KconfigExternSpec | KsymVariableSpec | KsymFunctionSpec;

interface ExternBase {
  /** As declared, with a flavor (`name___flavor`) if it has one. */
  readonly name: string;
  /** Weak externs may stay unresolved. */
  readonly weak: boolean;
  /** BTF id of the VAR or FUNC. */
  readonly typeId: number;
}

/** What values a Kconfig extern takes: `bool`, one byte, `enum libbpf_tristate`, an integer, or an array of char. */
export type KconfigValueKind = "bool" | "char" | "tristate" | "integer" | "string";

/** A configuration value of the kernel, `CONFIG_…`, or one that the loader makes up, `LINUX_…`. */
export interface KconfigExternSpec extends ExternBase {
  readonly kind: "kconfig";
  readonly valueKind: KconfigValueKind;
  /** True for signed integers. */
  readonly signed: boolean;
  /** Bytes. */
  readonly size: number;
  readonly alignment: number;
  /** Bytes from the start of the map `.kconfig`. */
  readonly offset: number;
}

/** A variable of the kernel. */
export interface KsymVariableSpec extends ExternBase {
  readonly kind: "ksymVariable";
  /** Its type in the object's BTF, behind modifiers and typedefs; 0 when it was declared `void`, for the address alone. */
  readonly valueTypeId: number;
}

/** A function of the kernel that programs may call (kfunc). */
export interface KsymFunctionSpec extends ExternBase {
  readonly kind: "ksymFunction";
  /** FUNC_PROTO in the object's BTF. */
  readonly protoTypeId: number;
}

/** A function of the object: an entry program, or a sub-program of `.text`. */
export interface FunctionSpec {
  readonly name: string;
  /** Without the `?` that switches autoload off. */
  readonly sectionName: string;
  readonly sectionIndex: number;
  /** Byte offset of the first instruction inside its section. */
  readonly sectionOffset: number;
  /** 8 bytes an instruction, little-endian, as compiled (no relocation applied). */
  readonly insns: Uint8Array;
  /** Sorted by instruction index. Indices count from the function's start. */
  readonly relocations: readonly RelocationSpec[];
  /** CO-RE records of this function, sorted; `insnOffset` is in bytes from the function's start. */
  readonly coreRelocations: RecordList<CoreRelocationRecord>;
  /** BTF id of the FUNC, 0 when .BTF.ext has none. */
  readonly funcTypeId: number;
  /** Sorted; `insnOffset` in bytes from the function's start. */
  readonly lineInfo: RecordList<LineInfoRecord>;
  /** STB_LOCAL, or a visibility that makes the verifier treat it as static. */
  readonly isStatic: boolean;
  readonly isWeak: boolean;
}

/** An entry program. Fields that are not readonly may be edited until load. */
export interface ProgramSpec extends FunctionSpec {
  /** The matching row of the SEC() table, if any; undefined after the type was changed. */
  definition: SectionDefinition | undefined;
  /** What follows the first slash of the section name, e.g. `raw_syscalls/sys_enter`; undefined for a bare name. */
  attachTarget: string | undefined;
  /** The target has to be found by its BTF id at load: by the row of the SEC() table, or because the user set the target. */
  needsAttachBtf: boolean;
  /** BPF_PROG_TYPE_*; 0 when no SEC() row matches and the user has to say. */
  type: number;
  /** BPF_* attach type; 0 when the row has none. */
  expectedAttachType: number;
  /** BPF_F_SLEEPABLE and so on (ProgramFlag), from the SEC() row. */
  flags: number;
  /** False for `?`-prefixed sections. */
  autoload: boolean;
  /** The function of `.text` that a decl tag `exception_callback:NAME` on this program names. */
  readonly exceptionCallback: FunctionSpec | undefined;
}

/** Which global-data section a map is made from; `kconfig` exists in BTF only, and load() fills it. */
export type DataSectionKind = "data" | "rodata" | "bss" | "kconfig";

/** What one slot of a map holds from the beginning (`.values = { [2] = &other }` in C). */
export type MapSlot =
  /** A map of maps: another map of the object. */
  | { readonly kind: "map"; readonly index: number; readonly map: MapSpec }
  /** A program array: the target of a tail call. */
  | { readonly kind: "program"; readonly index: number; readonly program: ProgramSpec };

/** A variable of a `.struct_ops` section: a struct whose members are callbacks, and plain settings beside them. */
export interface StructOpsSpec {
  /** The variable's struct in the object's BTF. */
  readonly typeId: number;
  /** A private copy of the variable's bytes, in the file's byte order; written by the user before load. */
  readonly image: Uint8Array;
  /** The program that the object puts into a member, by the member's index in the object's struct. */
  readonly declared: ReadonlyMap<number, ProgramSpec>;
  /** The same as the user wants it. */
  readonly programs: Map<number, ProgramSpec>;
}

/** The global variables of an arena; their bytes are the map's `initialValue`. */
export interface ArenaDataSpec {
  /** `.addr_space.1`. */
  readonly sectionName: string;
  /** The section's DATASEC; 0 when the object has no BTF for it. */
  readonly typeId: number;
}

/** A map, declared in `.maps` or made from a data section. Fields that are not readonly may be edited until load. */
export interface MapSpec {
  /** As declared; for data sections derived (libbpf.md 3.4). The kernel keeps 15 characters. */
  readonly name: string;
  /** `.maps`, or the data section. */
  readonly sectionName: string;
  /** Set for maps made from data sections. */
  readonly dataKind: DataSectionKind | undefined;
  /** BPF_MAP_TYPE_*. */
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  /** BPF_F_*. */
  flags: number;
  mapExtra: bigint;
  numaNode: number;
  /** Network device of an offloaded map. */
  ifindex?: number;
  /** LIBBPF_PIN_NONE (0) or LIBBPF_PIN_BY_NAME (1). */
  readonly pinning: 0 | 1;
  /** BTF ids in the object's BTF; 0 when unknown. For data maps `valueTypeId` is the DATASEC. */
  keyTypeId: number;
  valueTypeId: number;
  /** Definition of the inner maps of a map-in-map. */
  readonly inner: MapSpec | undefined;
  /** What load() puts into slots, by ascending index. Empty for all but maps of maps and program arrays. */
  readonly slots: readonly MapSlot[];
  /**
   * Data maps and arenas: a private copy of the section's bytes, zeros for .bss and .kconfig (made on first use); written by the user
   * before load, .kconfig by the loader.
   */
  initialValue: Uint8Array | undefined;
  autocreate: boolean;
  /** Set for maps made from variables in `.struct_ops` sections. */
  readonly structOps?: StructOpsSpec;
  /** Set for an arena with global variables. */
  readonly arena?: ArenaDataSpec;
}

/** An opened object. */
export interface ObjectSpec {
  /** Object name: option, or the file's base name without `.bpf.o` or `.o`. Used in the names of data maps. */
  readonly name: string;
  readonly littleEndian: boolean;
  /** From section `license`, "" when absent. */
  readonly license: string;
  /** From section `version`; undefined when absent, which stands for the running kernel's. May be edited until load. */
  kernelVersion: number | undefined;
  readonly programs: readonly ProgramSpec[];
  /** All functions that are no entry programs. */
  readonly subprograms: readonly FunctionSpec[];
  /** `.maps` in declaration order, then data sections in section order, `.kconfig`, and struct_ops variables. */
  readonly maps: readonly MapSpec[];
  /** Sorted: Kconfig externs as they lie in `.kconfig`, then kernel symbols by name. */
  readonly externs: readonly ExternSpec[];
  /**
   * With DATASEC sizes, offsets and linkage fixed up, externs included (libbpf.md 3.1 steps 5 and 6); replaced when a data
   * map is resized.
   */
  btf: Btf | undefined;
}
