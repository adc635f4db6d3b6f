// Maps declared in section `.maps`: a struct whose members encode a definition in their types (libbpf.md 3.3).

import { type Btf, type BtfDataSec, BtfLinkage, type BtfMember } from "../btf/index.js";
import type { ElfSection } from "../elf/index.js";
import { addLocation, ObjectError } from "../errors.js";
import { log } from "../log.js";
import type { MapSlot, MapSpec } from "./spec.js";
import { MapPinning, MapType } from "./uapi.js";

const SECTION = ".maps";

/** A declared map and the bytes of `.maps` that its variable takes. */
export interface DeclaredMap {
  readonly spec: MapSpec;
  readonly offset: number;
  readonly size: number;
  /** Where in the variable the slots of `values` begin; undefined when that is not its last member. */
  readonly slotsOffset: number | undefined;
  /** The `slots` of `spec`, to be filled in. */
  readonly slots: MapSlot[];
}

/** A definition as parsed; a field is undefined until a member sets it. */
interface Definition {
  type?: number;
  maxEntries?: number;
  flags?: number;
  numaNode?: number;
  pinning?: 0 | 1;
  keySize?: number;
  keyTypeId?: number;
  valueSize?: number;
  valueTypeId?: number;
  mapExtra?: bigint;
  inner?: Definition;
}

/**
 * Reads all map definitions, in declaration order.
 *
 * @param btf after {@link fixBtf}, so that the variables' offsets are known
 * @param relaxed members with unknown names are ignored
 * @throws ObjectError for whatever breaks the rules of definitions; BtfError for types without size
 */
export function readMapDefinitions(btf: Btf, section: ElfSection, relaxed: boolean): DeclaredMap[] {
  const reader = new DefinitionReader(btf, relaxed);
  const datasecId = btf.findByName(SECTION, "datasec");
  const datasec = datasecId === undefined ? undefined : btf.type(datasecId);
  if (datasec?.kind !== "datasec") {
    throw new ObjectError("OBJECT_INVALID", "the type information does not describe it", { section: section.name });
  }
  return datasec.variables.map((variable) => {
    try {
      return declaredMap(reader, variable, section);
    } catch (error) {
      const map = btf.nameOf(variable.type);
      // Errors of the type information have a section and an offset of their own.
      const where = error instanceof ObjectError ? { section: section.name, offset: variable.offset, map } : { map };
      throw addLocation(error, where);
    }
  });
}

function declaredMap(
  reader: DefinitionReader,
  { type, offset, size }: BtfDataSec["variables"][number],
  section: ElfSection,
): DeclaredMap {
  const { btf } = reader;
  const variable = btf.type(type);
  if (variable.kind !== "var") throw invalid(`a ${variable.kind} where a variable should be`);
  if (variable.name === "") throw invalid("the map has no name");
  if (offset + size > section.size) throw invalid(`the variable (${size} bytes) reaches beyond the section`);
  if (variable.linkage !== BtfLinkage.Global) {
    const linkage = variable.linkage === BtfLinkage.Static ? "static or hidden" : "extern";
    throw new ObjectError("OBJECT_UNSUPPORTED", `the map is ${linkage}; only global maps can be created`, {
      hint: "take `static` or the visibility attribute off it, and compile without -fvisibility=hidden",
    });
  }
  const definition = btf.type(btf.resolve(variable.type));
  if (definition.kind !== "struct") throw invalid(`the definition is no struct but of kind ${definition.kind}`);
  if (definition.size > size) throw invalid(`the definition has ${definition.size} bytes, its variable only ${size}`);
  const slots: MapSlot[] = [];
  const last = definition.members.at(-1);
  return {
    spec: mapSpec(variable.name, reader.read(definition.id), slots),
    offset,
    size,
    slotsOffset: last?.name === "values" ? last.bitOffset / 8 : undefined,
    slots,
  };
}

function mapSpec(name: string, definition: Definition, slots: readonly MapSlot[] = []): MapSpec {
  return {
    name,
    sectionName: SECTION,
    dataKind: undefined,
    type: definition.type!,
    keySize: definition.keySize ?? 0,
    valueSize: definition.valueSize ?? 0,
    maxEntries: definition.maxEntries ?? 0,
    flags: definition.flags ?? 0,
    mapExtra: definition.mapExtra ?? 0n,
    numaNode: definition.numaNode ?? 0,
    pinning: definition.pinning ?? MapPinning.none,
    keyTypeId: definition.keyTypeId ?? 0,
    valueTypeId: definition.valueTypeId ?? 0,
    inner: definition.inner && mapSpec(`${name}.inner`, definition.inner),
    slots,
    initialValue: undefined,
    autocreate: true,
  };
}

/** A member of a definition, and where it stands. */
interface MemberContext {
  readonly member: BtfMember;
  /** What the members before it say. */
  readonly definition: Readonly<Definition>;
  readonly isInner: boolean;
  readonly isLast: boolean;
}

/** Reads what one member says about the map. */
type MemberReader = (reader: DefinitionReader, context: MemberContext) => Definition;

const members: ReadonlyMap<string, MemberReader> = new Map<string, MemberReader>([
  ["type", (reader, { member }) => ({ type: reader.count(member) })],
  ["max_entries", (reader, { member }) => ({ maxEntries: reader.count(member) })],
  ["map_flags", (reader, { member }) => ({ flags: reader.count(member) })],
  ["numa_node", (reader, { member }) => ({ numaNode: reader.count(member) })],
  ["map_extra", (reader, { member }) => ({ mapExtra: reader.wideCount(member) })],
  ["pinning", (reader, context) => ({ pinning: reader.pinning(context) })],
  ["key_size", (reader, { member }) => ({ keySize: reader.count(member) })],
  ["value_size", (reader, { member }) => ({ valueSize: reader.count(member) })],
  ["key", (reader, { member }) => ({ keySize: reader.pointedSize(member), keyTypeId: reader.pointedType(member) })],
  [
    "value",
    (reader, { member }) => ({ valueSize: reader.pointedSize(member), valueTypeId: reader.pointedType(member) }),
  ],
  ["values", (reader, context) => reader.values(context)],
]);

/** Adds what one more member says. Sizes may be said twice (`key_size` and `key`) when they agree. */
function merge(definition: Definition, addition: Definition): void {
  for (const size of ["keySize", "valueSize"] as const) {
    const [before, now] = [definition[size], addition[size]];
    if (before === undefined || now === undefined || before === now) continue;
    throw invalid(
      `the ${size === "keySize" ? "key" : "value"} has ${now} bytes here, and ${before} in a member before`,
    );
  }
  Object.assign(definition, addition);
}

/** Reads definitions; each struct only once, however many maps share it. */
class DefinitionReader {
  readonly btf: Btf;
  readonly #relaxed: boolean;
  readonly #known = new Map<number, Definition>();

  constructor(btf: Btf, relaxed: boolean) {
    this.btf = btf;
    this.#relaxed = relaxed;
  }

  /** Reads the definition that struct `structId` encodes. */
  read(structId: number, isInner = false): Definition {
    // The same struct may be read as an outer map and as an inner one, where other rules hold.
    const key = isInner ? -structId : structId;
    let definition = this.#known.get(key);
    if (definition === undefined) {
      definition = this.#readMembers(structId, isInner);
      this.#known.set(key, definition);
    }
    return definition;
  }

  #readMembers(structId: number, isInner: boolean): Definition {
    const struct = this.btf.type(structId);
    if (struct.kind !== "struct") throw invalid(`the definition is no struct but of kind ${struct.kind}`);
    const definition: Definition = {};
    struct.members.forEach((member, i) => {
      const read = members.get(member.name);
      if (read !== undefined) {
        const isLast = i === struct.members.length - 1;
        merge(definition, read(this, { member, definition, isInner, isLast }));
      } else if (this.#relaxed) {
        log.debug(() => `${SECTION}: unknown member ${member.name} of a map definition ignored`);
      } else {
        throw new ObjectError("OBJECT_UNSUPPORTED", `unknown member \`${member.name}\``, {
          hint: "open with relaxedMaps to ignore it",
        });
      }
    });
    if (definition.type === undefined || definition.type === MapType.unspec)
      throw invalid("the definition has no `type`");
    return definition;
  }

  /** A number encoded as the length of an array that the member points to (`__uint`). */
  count(member: BtfMember): number {
    const pointer = this.btf.type(this.btf.resolve(member.type));
    const array = pointer.kind === "ptr" ? this.btf.type(pointer.type) : pointer;
    if (pointer.kind === "ptr" && array.kind === "array") return array.count;
    throw invalid(`\`${member.name}\` has to be a pointer to an array, as __uint() makes it`);
  }

  /** Like {@link count}, or the value of an enum with a single enumerator (`__ulong`). */
  wideCount(member: BtfMember): bigint {
    const type = this.btf.type(this.btf.resolve(member.type));
    if (type.kind !== "enum" && type.kind !== "enum64") return BigInt(this.count(member));
    const [only, second] = type.values;
    if (only !== undefined && second === undefined) return BigInt.asUintN(64, BigInt(only.value));
    throw invalid(`\`${member.name}\` has to be an enum of one enumerator, as __ulong() makes it`);
  }

  /** The type behind the pointer that the member is (`__type`). */
  pointedType(member: BtfMember): number {
    const pointer = this.btf.type(member.type);
    if (pointer.kind === "ptr") return pointer.type;
    throw invalid(`\`${member.name}\` has to be a pointer, as __type() makes it`);
  }

  /** Size of that type in bytes. */
  pointedSize(member: BtfMember): number {
    const type = this.pointedType(member);
    try {
      return this.btf.sizeOf(type);
    } catch (cause) {
      throw new ObjectError("OBJECT_INVALID", `the type of \`${member.name}\` has no size`, { cause });
    }
  }

  pinning({ member, isInner }: MemberContext): 0 | 1 {
    if (isInner) throw unsupported("an inner map cannot be pinned");
    const value = this.count(member);
    if (value === MapPinning.none || value === MapPinning.byName) return value;
    throw invalid(`\`pinning\` is ${value}; it may be LIBBPF_PIN_NONE or LIBBPF_PIN_BY_NAME`);
  }

  /** `values`: the definition of inner maps, or the prototype of the programs in a prog_array (`__array`). */
  values({ member, definition: { type }, isInner, isLast }: MemberContext): Definition {
    const ofMaps = type === MapType.array_of_maps || type === MapType.hash_of_maps;
    if (isInner) throw unsupported("an inner map cannot have `values` of its own");
    if (!isLast) throw invalid("`values` has to be the last member");
    if (!ofMaps && type !== MapType.prog_array) {
      throw unsupported("only maps of maps and program arrays have `values` (and `type` has to come first)");
    }
    const array = this.btf.type(member.type);
    if (array.kind !== "array" || array.count !== 0) throw invalid("`values` has to be an array of length zero");
    const pointer = this.btf.type(this.btf.resolve(array.elementType));
    const element = pointer.kind === "ptr" ? this.btf.type(this.btf.resolve(pointer.type)) : undefined;
    if (element?.kind !== (ofMaps ? "struct" : "funcProto")) {
      throw invalid(`\`values\` has to hold pointers to ${ofMaps ? "a map definition" : "a function"}`);
    }
    // A value is a descriptor (and then an id), whatever it stands for.
    return ofMaps ? { valueSize: 4, inner: this.read(element.id, true) } : { valueSize: 4 };
  }
}

function invalid(reason: string): ObjectError {
  return new ObjectError("OBJECT_INVALID", reason);
}

function unsupported(reason: string): ObjectError {
  return new ObjectError("OBJECT_UNSUPPORTED", reason);
}
