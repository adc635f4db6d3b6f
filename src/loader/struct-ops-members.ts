// The members of a struct_ops variable as properties, until load: plain ones decoded by BTF, callbacks as programs. What
// C users do through the shadow struct of a skeleton.

import { type Btf, type BtfComposite, type BtfValue, compileCodec } from "../btf/index.js";
import { ArgumentError, type ErrorLocation } from "../errors.js";
import { isFunctionPointer, type ProgramSpec, ProgramType, type StructOpsSpec } from "../object/index.js";
import { unknownNames } from "../unknown-names.js";
import { BpfProgram } from "./bpf-program.js";

/**
 * Members of a struct_ops variable by their C name. A callback is a program or null. Bitfields, other pointers and
 * members without a name are left out.
 */
export interface StructOpsMembers {
  [name: string]: BtfValue | BpfProgram;
}

/** What the properties need from their map. */
export interface StructOpsOwner {
  readonly place: ErrorLocation;
  /** @throws StateError when nothing can be changed any more */
  readonly requireEditable: (field: string) => void;
  /** The object's program of a declaration. */
  readonly programOf: (spec: ProgramSpec) => BpfProgram | undefined;
  /** What 64-bit integers are. */
  readonly int64: () => "bigint" | "number";
}

/** Makes the properties. An unknown name throws instead of giving `undefined`. */
export function structOpsMembers(btf: Btf, spec: StructOpsSpec, owner: StructOpsOwner): StructOpsMembers {
  const struct = btf.type(spec.typeId) as BtfComposite;
  const names: string[] = [];
  const target = Object.create(unknownNames(`member of struct ${struct.name}`, owner.place, names)) as StructOpsMembers;
  struct.members.forEach(({ name, type, bitOffset, bitSize }, index) => {
    const isCallback = isFunctionPointer(btf, type);
    const isPointer = btf.type(btf.resolve(type)).kind === "ptr";
    if (name === "" || bitSize !== 0 || (isPointer && !isCallback) || Object.hasOwn(target, name)) return;
    names.push(name);
    const property = isCallback
      ? callback(spec, owner, name, index)
      : plain(btf, spec, owner, { name, type, bitOffset });
    Object.defineProperty(target, name, { enumerable: true, ...property });
  });
  return Object.preventExtensions(target);
}

function callback(spec: StructOpsSpec, owner: StructOpsOwner, name: string, index: number): PropertyDescriptor {
  return {
    get: () => {
      const program = spec.programs.get(index);
      return program === undefined ? null : (owner.programOf(program) ?? null);
    },
    set: (value: unknown) => {
      owner.requireEditable(name);
      if (value === null) {
        spec.programs.delete(index);
        return;
      }
      if (!(value instanceof BpfProgram) || owner.programOf(value.spec) !== value) {
        throw new ArgumentError(`${name} takes a program of the same object, or null`, owner.place);
      }
      if (value.spec.type !== ProgramType.struct_ops) {
        throw new ArgumentError(`${name} takes programs of type struct_ops, and ${value.name} is none`, owner.place);
      }
      spec.programs.set(index, value.spec);
    },
  };
}

function plain(
  btf: Btf,
  { image }: StructOpsSpec,
  owner: StructOpsOwner,
  { name, type, bitOffset }: { readonly name: string; readonly type: number; readonly bitOffset: number },
): PropertyDescriptor {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const offset = bitOffset / 8;
  return {
    get: () => compileCodec(btf, type, { int64: owner.int64() }).decode(view, offset),
    set: (value: BtfValue) => {
      owner.requireEditable(name);
      const codec = compileCodec(btf, type, { int64: owner.int64() });
      // Beside the variable first: a value that is refused must change nothing.
      const scratch = new Uint8Array(codec.size);
      codec.encode(new DataView(scratch.buffer), 0, value);
      image.set(scratch, offset);
    },
  };
}
