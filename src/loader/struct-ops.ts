// struct_ops variables in the shape that the running kernel gives their struct: members are matched by name, callbacks
// become programs bound to one member, what the kernel does not know must be zero (libbpf.md 3.6).

import { type Btf, type BtfComposite, type BtfMember, essentialName } from "../btf/index.js";
import { addLocation, ObjectError, SystemCallError, UnsupportedError } from "../errors.js";
import { loadKernelBtf } from "../kernel/index.js";
import { log } from "../log.js";
import { type MapSpec, type ObjectSpec, type ProgramSpec, ProgramType, type StructOpsSpec } from "../object/index.js";
import { Errno, type FileDescriptor, mapCreate } from "../syscall/index.js";
import type { BpfMap } from "./bpf-map.js";
import { kernelName } from "./kernel-name.js";
import { withMemlock } from "./memlock.js";

/** What a struct_ops map is to the kernel. */
interface KernelTable {
  /** `struct bpf_struct_ops_NAME` in the kernel's BTF: the struct itself behind the kernel's own bookkeeping. */
  readonly valueTypeId: number;
  /** In the kernel's layout; callbacks are filled in when their programs exist. */
  readonly value: Uint8Array;
  /** Where in `value` which program's descriptor goes (8 bytes each). */
  readonly callbacks: readonly { readonly offset: number; readonly program: ProgramSpec }[];
}

/** What a program that implements a callback is loaded for. */
interface CallbackTarget {
  /** The struct in the kernel's BTF. */
  readonly attachBtfId: number;
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
export function planStructOps(spec: ObjectSpec): StructOpsPlan {
  const tables = new Map<MapSpec, KernelTable>();
  const targets = new Map<ProgramSpec, CallbackTarget>();
  for (const map of spec.maps) {
    if (map.structOps === undefined || !map.autocreate || spec.btf === undefined) continue;
    try {
      const kernel = loadKernelBtf(`struct_ops map ${map.name}`);
      const table = new TableConverter(spec.btf, kernel, map.structOps, targets).convert();
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
export function createStructOpsMap(map: BpfMap, table: KernelTable, objectBtf: FileDescriptor | undefined): void {
  const { name, type, keySize, valueSize, maxEntries, flags, sectionName } = map.spec;
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
    };
    map.setCreated(withMemlock(() => mapCreate(options)));
  } catch (error) {
    throw addLocation(explain(error, objectBtf), { map: name, section: sectionName });
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

/** Converts one variable. */
class TableConverter {
  readonly #local: Btf;
  readonly #kernel: Btf;
  readonly #spec: StructOpsSpec;
  readonly #struct: BtfComposite;
  readonly #targets: Map<ProgramSpec, CallbackTarget>;

  constructor(local: Btf, kernel: Btf, spec: StructOpsSpec, targets: Map<ProgramSpec, CallbackTarget>) {
    this.#local = local;
    this.#kernel = kernel;
    this.#spec = spec;
    this.#struct = local.type(spec.typeId) as BtfComposite;
    this.#targets = targets;
  }

  convert(): KernelTable {
    const { id, struct, valueTypeId, valueType, start } = this.#kernelTypes();
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
        this.#aim(program, member, { attachBtfId: id, memberIndex: index });
        callbacks.push({ offset, program });
      } else {
        value.set(this.#plain(member, other), offset);
      }
    });
    return { valueTypeId, value, callbacks };
  }

  #kernelTypes() {
    const name = essentialName(this.#struct.name);
    const valueTypeId = this.#kernel.findByName(`bpf_struct_ops_${name}`, "struct");
    const id = this.#kernel.findByName(name, "struct");
    if (valueTypeId === undefined || id === undefined) {
      throw new UnsupportedError(`this kernel has no struct_ops of struct ${name}`, {
        hint: "structs that kernel modules define cannot be implemented by bpfkit yet",
      });
    }
    const valueType = this.#kernel.type(valueTypeId) as BtfComposite;
    const data = valueType.members.find(({ type }) => type === id);
    if (data === undefined) throw new UnsupportedError(`the kernel's ${valueType.name} does not hold struct ${name}`);
    return { id, struct: this.#kernel.type(id) as BtfComposite, valueTypeId, valueType, start: data.bitOffset / 8 };
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
    } else if (before.attachBtfId !== target.attachBtfId || before.memberIndex !== target.memberIndex) {
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
