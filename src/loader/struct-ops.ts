// struct_ops variables in the shape that the running kernel gives their struct: members are matched by name, callbacks
// become programs bound to one member, what the kernel does not know must be zero (libbpf.md 3.6).

import { type Btf, type BtfComposite, type BtfMember, essentialName } from "../btf/index.js";
import { addLocation, ObjectError, SystemCallError, UnsupportedError } from "../errors.js";
import { INSN_SIZE, Opcode, writeInsn } from "../insn/index.js";
import { kernelName, loadKernelBtf } from "../kernel/index.js";
import { log } from "../log.js";
import {
  MapFlag,
  type MapSpec,
  type ObjectSpec,
  type ProgramSpec,
  ProgramType,
  type StructOpsSpec,
} from "../object/index.js";
import { Errno, type FileDescriptor, progLoad } from "../syscall/index.js";
import type { BpfMap } from "./bpf-map.js";
import type { MapCreation } from "./create-maps.js";
import { createExplained } from "./fall-backs.js";

/** The types of loaded kernel modules, on top of vmlinux's. */
export interface KernelModules {
  list(): readonly { readonly name: string; readonly btf: Btf; readonly fd: FileDescriptor | undefined }[];
}

/** What a struct_ops map is to the kernel. */
interface KernelTable {
  /** `struct bpf_struct_ops_NAME` in the kernel's BTF: the struct itself behind the kernel's own bookkeeping. */
  readonly valueTypeId: number;
  /** BTF of the module that defines the struct (Linux 6.9); undefined for structs of vmlinux. */
  readonly module: FileDescriptor | undefined;
  /** In the kernel's layout; callbacks are filled in when their programs exist. */
  readonly value: Uint8Array;
  /** Where in `value` which program's descriptor goes (8 bytes each). */
  readonly callbacks: readonly { readonly offset: number; readonly program: ProgramSpec }[];
}

/** What a program that implements a callback is loaded for. */
export interface CallbackTarget {
  /** The struct in the kernel's BTF. */
  readonly attachBtfId: number;
  /** BTF of the module that defines it; undefined for vmlinux. */
  readonly module: FileDescriptor | undefined;
  /** Index of the member in the kernel's struct: the program's expected attach type. */
  readonly memberIndex: number;
}

/** The struct_ops of one object, ready for the running kernel. */
export interface StructOpsPlan {
  /** Of the maps that will be created. */
  readonly tables: ReadonlyMap<MapSpec, KernelTable>;
  /** Of the programs that they use. */
  readonly targets: ReadonlyMap<ProgramSpec, CallbackTarget>;
}

/**
 * Converts every struct_ops map that will be created, and switches the autoload of callbacks on or off by whether one of
 * those maps uses them; callbacks that no map ever used keep theirs.
 *
 * libbpf: `bpf_object__init_kern_struct_ops_maps`, `bpf_object_adjust_struct_ops_autoload`.
 *
 * @throws UnsupportedError where the kernel's struct lacks what the object sets, ObjectError for a program in two roles
 */
export function planStructOps(spec: ObjectSpec, modules: KernelModules = { list: () => [] }): StructOpsPlan {
  const tables = new Map<MapSpec, KernelTable>();
  const targets = new Map<ProgramSpec, CallbackTarget>();
  for (const map of spec.maps) {
    if (map.structOps === undefined || !map.autocreate || spec.btf === undefined) continue;
    try {
      const kernel = loadKernelBtf(`struct_ops map ${map.name}`);
      const table = new TableConverter(
        spec.btf,
        kernelStruct(spec.btf, map.structOps, kernel, modules),
        map.structOps,
        targets,
      ).convert();
      tables.set(map, table);
      map.valueSize = table.value.length;
    } catch (error) {
      throw addLocation(error, { section: map.sectionName, map: map.name });
    }
  }
  const used = new Set([...tables.values()].flatMap(({ callbacks }) => callbacks.map(({ program }) => program)));
  for (const { structOps } of spec.maps) {
    if (structOps === undefined) continue;
    for (const program of [...structOps.declared.values(), ...structOps.programs.values()]) {
      program.autoload = used.has(program);
    }
  }
  return { tables, targets };
}

/** What a program was planned for; 0 and undefined for all but callbacks. @throws ObjectError for an unused callback */
export function callbackTarget(plan: StructOpsPlan, program: ProgramSpec): CallbackTarget | undefined {
  if (program.type !== ProgramType.struct_ops) return undefined;
  const target = plan.targets.get(program);
  if (target !== undefined) return target;
  throw new ObjectError("OBJECT_INVALID", "no struct_ops variable uses this callback", {
    section: program.sectionName,
    program: program.name,
    hint: 'put it into a member of a variable in SEC(".struct_ops"), or switch its autoload off',
  });
}

/**
 * Creates a struct_ops map. It is empty until it is attached. Linux 5.6; with links 6.4.
 *
 * @throws SystemCallError
 */
export function createStructOpsMap(map: BpfMap, table: KernelTable, { objectBtf, token, needs }: MapCreation): void {
  const { name, type, keySize, valueSize, maxEntries, sectionName } = map.spec;
  const { module } = table;
  const flags = map.spec.flags | (module === undefined ? 0 : MapFlag.VTYPE_BTF_OBJ_FD);
  try {
    const options = {
      type,
      keySize,
      valueSize,
      maxEntries,
      flags,
      name: kernelName(name),
      // The kernel wants type information to be there, although it needs none of it.
      btf: objectBtf,
      btfVmlinuxValueTypeId: table.valueTypeId,
      valueTypeBtfObject: module,
      token,
      needs,
    };
    map.setCreated(afterFirstProgram(() => createExplained(options), token));
  } catch (error) {
    throw addLocation(explain(error, objectBtf), { map: name, section: sectionName });
  }
}

/**
 * Old kernels (seen on 5.10) read their own types when the first program is loaded, and know no struct_ops until then
 * (ENOTSUPP). libbpf never meets that, because it loads a trivial program before anything else; here it is done on demand.
 */
function afterFirstProgram<T>(create: () => T, token: FileDescriptor | undefined): T {
  try {
    return create();
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno !== Errno.ENOTSUPP) throw error;
    const insns = new Uint8Array(2 * INSN_SIZE);
    // r0 = 0; exit
    writeInsn(insns, 0, { opcode: 0xb7, dst: 0, src: 0, off: 0, imm: 0 });
    writeInsn(insns, 1, { opcode: Opcode.EXIT, dst: 0, src: 0, off: 0, imm: 0 });
    progLoad({ type: ProgramType.socket_filter, insns, license: "GPL", token }).fd?.close();
    return create();
  }
}

function explain(error: unknown, objectBtf: FileDescriptor | undefined): unknown {
  if (objectBtf !== undefined || !(error instanceof SystemCallError) || error.errno !== Errno.EINVAL) return error;
  return new UnsupportedError("struct_ops maps need the object's type information, which the kernel refused", {
    hint: "setLogger() shows why, at level info",
    cause: error,
  });
}

/** Gives a map the value that attaching writes, when all programs are loaded. */
export function fillStructOps(
  map: BpfMap,
  { value, callbacks }: KernelTable,
  fdOf: (spec: ProgramSpec) => number,
): void {
  const view = new DataView(value.buffer);
  for (const { offset, program } of callbacks) view.setBigUint64(offset, BigInt(fdOf(program)), true);
  map.setStructOpsValue(value);
}

/** The kernel's side of a variable. */
interface KernelStruct {
  readonly btf: Btf;
  readonly module: FileDescriptor | undefined;
  readonly struct: BtfComposite;
  readonly valueType: BtfComposite;
  /** Where in the value the struct begins, bytes. */
  readonly start: number;
}

/** Finds the struct by name, without a flavor, in vmlinux or else in a module. @throws UnsupportedError */
function kernelStruct(local: Btf, spec: StructOpsSpec, vmlinux: Btf, modules: KernelModules): KernelStruct {
  const name = essentialName(local.nameOf(spec.typeId));
  const valueName = `bpf_struct_ops_${name}`;
  const places = function* () {
    yield { btf: vmlinux, fd: undefined };
    yield* modules.list();
  };
  for (const { btf, fd: module } of places()) {
    const valueTypeId = btf.findByName(valueName, "struct");
    if (valueTypeId === undefined) continue;
    if (btf !== vmlinux && module === undefined) {
      throw new UnsupportedError(`struct ${name} belongs to a kernel module, whose types cannot be referred to`, {
        hint: "that needs CAP_SYS_ADMIN",
      });
    }
    const id = btf.findByName(name, "struct");
    const valueType = btf.type(valueTypeId) as BtfComposite;
    const data = valueType.members.find(({ type }) => type === id);
    if (id === undefined || data === undefined) {
      throw new UnsupportedError(`the kernel's struct ${valueName} does not hold struct ${name}`);
    }
    return { btf, module, struct: btf.type(id) as BtfComposite, valueType, start: data.bitOffset / 8 };
  }
  throw new UnsupportedError(`this kernel has no struct_ops of struct ${name}`, {
    hint: "it may be too old, or the module that defines it is not loaded",
  });
}

/** Converts one variable. */
class TableConverter {
  readonly #local: Btf;
  readonly #kernel: Btf;
  readonly #target: KernelStruct;
  readonly #spec: StructOpsSpec;
  readonly #struct: BtfComposite;
  readonly #targets: Map<ProgramSpec, CallbackTarget>;

  constructor(local: Btf, target: KernelStruct, spec: StructOpsSpec, targets: Map<ProgramSpec, CallbackTarget>) {
    this.#local = local;
    this.#kernel = target.btf;
    this.#target = target;
    this.#spec = spec;
    this.#struct = local.type(spec.typeId) as BtfComposite;
    this.#targets = targets;
  }

  convert(): KernelTable {
    const { struct, valueType, start, module } = this.#target;
    const value = new Uint8Array(valueType.size);
    const callbacks: { offset: number; program: ProgramSpec }[] = [];
    const indices = new Map(struct.members.map(({ name }, index) => [name, index]).reverse() as [string, number][]);
    this.#struct.members.forEach((member, i) => {
      const index = indices.get(member.name);
      if (index === undefined) {
        this.#skip(member, i);
        return;
      }
      const other = struct.members[index]!;
      this.#requireSameKind(member, other);
      const offset = start + other.bitOffset / 8;
      if (this.#local.type(this.#local.resolve(member.type)).kind === "ptr") {
        const program = this.#callback(member, i, other);
        if (program === undefined) return;
        this.#aim(program, member, { attachBtfId: struct.id, module, memberIndex: index });
        callbacks.push({ offset, program });
      } else {
        value.set(this.#plain(member, other), offset);
      }
    });
    return { valueTypeId: valueType.id, module, value, callbacks };
  }

  /** The kernel does not have the member: fine as long as nobody wants it. */
  #skip(member: BtfMember, index: number): void {
    if (this.#spec.programs.has(index) || this.#bytes(member).some((byte) => byte !== 0)) {
      throw this.#unsupported(
        member,
        "does not exist in this kernel, and is not zero",
        "set it to null or 0 before load()",
      );
    }
    log.info(`struct ${this.#struct.name}: this kernel has no ${member.name}; skipped, it is zero`);
  }

  #requireSameKind(member: BtfMember, other: BtfMember): void {
    if (member.bitSize !== 0 || other.bitSize !== 0) throw this.#unsupported(member, "is a bitfield");
    const [own, theirs] = [
      this.#local.type(this.#local.resolve(member.type)).kind,
      this.#kernel.type(this.#kernel.resolve(other.type)).kind,
    ];
    if (own !== theirs) throw this.#unsupported(member, `is of kind ${own}, and of kind ${theirs} in this kernel`);
  }

  /** The program of a callback, or undefined when there is none. */
  #callback(member: BtfMember, index: number, other: BtfMember): ProgramSpec | undefined {
    const program = this.#spec.programs.get(index);
    if (program === undefined) {
      if (this.#bytes(member).some((byte) => byte !== 0))
        throw this.#unsupported(member, "is a pointer that is not null");
      return undefined;
    }
    const pointer = this.#kernel.type(this.#kernel.resolve(other.type));
    const target = pointer.kind === "ptr" ? this.#kernel.type(this.#kernel.resolve(pointer.type)).kind : pointer.kind;
    if (target !== "funcProto") throw this.#unsupported(member, "is no pointer to a function in this kernel");
    return program;
  }

  /** A program can serve several tables, always in the same role. */
  #aim(program: ProgramSpec, { name }: BtfMember, target: CallbackTarget): void {
    const before = this.#targets.get(program);
    if (before === undefined) {
      this.#targets.set(program, target);
    } else if (
      before.attachBtfId !== target.attachBtfId ||
      before.module !== target.module ||
      before.memberIndex !== target.memberIndex
    ) {
      const reason = `it is set to \`${name}\`, and to another member or struct as well`;
      throw new ObjectError("OBJECT_INVALID", reason, { program: program.name });
    }
  }

  #plain(member: BtfMember, other: BtfMember): Uint8Array {
    const [own, theirs] = [this.#local.sizeOf(member.type), this.#kernel.sizeOf(other.type)];
    if (own !== theirs) throw this.#unsupported(member, `has ${own} bytes, and ${theirs} in this kernel`);
    return this.#bytes(member);
  }

  #bytes(member: BtfMember): Uint8Array {
    const start = member.bitOffset / 8;
    return this.#spec.image.subarray(start, start + this.#local.sizeOf(member.type));
  }

  #unsupported({ name }: BtfMember, reason: string, hint?: string): UnsupportedError {
    return new UnsupportedError(`member \`${name}\` of struct ${this.#struct.name} ${reason}`, { hint });
  }
}
