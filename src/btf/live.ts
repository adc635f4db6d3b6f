// Live views: structs, unions and arrays that stay where they are in memory. Reading a member reads the memory now, setting
// one writes it. Scalars, strings and byte arrays are values, as everywhere.
//
// A struct or union is an object with one accessor per member. The accessors are made once per type and are own properties
// of every view, so that Object.keys, spreading, JSON and deep equality see members. An array is a Proxy: it may have any
// number of elements.

import { unknownNames } from "../unknown-names.js";
import { type BtfCodec, codecOf } from "./codec.js";
import { pathStep } from "./codec-messages.js";
import {
  type CodecOptions,
  type CompositePlan,
  type Field,
  type Plan,
  planType,
  type TypeSource,
} from "./codec-plan.js";
import type { BtfValue } from "./codec-value.js";
import { arrayView } from "./live-array.js";
import { type LiveMemory, type LivePlace, liveStates, snapshot } from "./live-state.js";
import { inspectCustom, type LiveType, named, stateOf } from "./live-type.js";

/** A variable in memory, as its getter and setter see it. */
export interface LiveCell {
  /** A view of a struct, union or array (always the same one), else the value. */
  get(): BtfValue;
  /** What `get` does for other types, for callers that read the memory themselves: spares a call. */
  readonly decode: BtfCodec["decode"] | undefined;
  /** @throws ValueError naming the path of what does not fit; nothing is written then */
  set(value: BtfValue): void;
  readonly place: LivePlace;
}

/**
 * A variable of a BTF type at a place in memory.
 *
 * @param name for messages
 * @throws BtfError as {@link compileCodec}
 */
export function liveCell(
  btf: TypeSource,
  typeId: number,
  memory: LiveMemory,
  { offset, name, ...options }: CodecOptions & { readonly offset: number; readonly name: string },
): LiveCell {
  const { littleEndian } = btf;
  const types = new LiveTypes(littleEndian, options);
  const plan = planType(btf, typeId, options);
  const type = types.of(plan);
  const place: LivePlace = { memory, offset, plan, littleEndian, path: name };
  const set = (value: BtfValue): void => {
    try {
      type.write(memory, offset, value);
    } catch (error) {
      throw named(error, name);
    }
  };
  const { view: make } = type;
  if (make === undefined) {
    const { decode } = type.codec;
    return { get: () => decode(memory.view(), offset), decode, set, place };
  }
  let view: object | undefined;
  return {
    decode: undefined,
    get: () => {
      // Closed memory is refused before anything is handed out.
      memory.view();
      view ??= make(place);
      return view as BtfValue;
    },
    set,
    place,
  };
}

/**
 * `count` values of a BTF type in memory, from its beginning, `stride` bytes apart, as a live array.
 *
 * @param name for messages
 * @throws BtfError as {@link compileCodec}
 */
export function liveArray(
  btf: TypeSource,
  typeId: number,
  memory: LiveMemory,
  {
    count,
    stride,
    name,
    ...options
  }: CodecOptions & {
    readonly count: number;
    readonly stride: number;
    readonly name: string;
  },
): readonly BtfValue[] {
  const { littleEndian } = btf;
  const element = planType(btf, typeId, options);
  const { height, cost } = element;
  const plan: Plan = {
    kind: "array",
    size: stride * count,
    element,
    count,
    height: height + 1,
    cost: cost * count + 1,
  };
  const place: LivePlace = { memory, offset: 0, plan, littleEndian, path: name };
  const type = new LiveTypes(littleEndian, options).of(element);
  return arrayView(place, { count, stride, element }, type, undefined) as readonly BtfValue[];
}

/** The types of one variable, each made once and when it is first met. */
class LiveTypes {
  readonly #littleEndian: boolean;
  readonly #options: CodecOptions;
  readonly #types = new Map<Plan, LiveType>();

  constructor(littleEndian: boolean, options: CodecOptions) {
    this.#littleEndian = littleEndian;
    this.#options = options;
  }

  of(plan: Plan): LiveType {
    let type = this.#types.get(plan);
    if (type === undefined) {
      type = this.#make(plan);
      this.#types.set(plan, type);
    }
    return type;
  }

  #make(plan: Plan): LiveType {
    const codec = codecOf(plan, this.#littleEndian, this.#options);
    let scratch: DataView | undefined;
    return {
      codec,
      view: this.#viewOf(plan, codec),
      write(memory, offset, value) {
        // Encoded beside the memory first: a value that is refused, or half encoded, must never be seen by a program.
        const bytes = scratch ?? new DataView(new ArrayBuffer(codec.size));
        // A getter of the value may set another variable of the type meanwhile: that one takes bytes of its own.
        scratch = undefined;
        // The bits around a bitfield stay as they are. Nothing makes that atomic; neither does C.
        if (plan.kind === "bits") copy(memory.view(), offset, bytes);
        codec.encode(bytes, 0, value);
        memory.write(offset, bytes);
        scratch = bytes;
      },
    };
  }

  #viewOf(plan: Plan, codec: BtfCodec): LiveType["view"] {
    switch (plan.kind) {
      case "struct":
      case "union":
        return compositeView(plan, codec, (member) => this.of(member));
      case "array":
        return (place) => arrayView(place, { ...plan, stride: plan.element.size }, this.of(plan.element), codec);
      default:
        return undefined;
    }
  }
}

/** The maker of the views of one struct or union type. */
function compositeView(
  plan: CompositePlan,
  codec: BtfCodec,
  typeOf: (plan: Plan) => LiveType,
): (place: LivePlace) => object {
  const names = plan.fields.map(({ name }) => name);
  const fields = new Map(plan.fields.map((field) => [field.name, field]));
  const methods = Object.defineProperty(Object.create(null) as object, inspectCustom, {
    value(this: object): unknown {
      return snapshot(this);
    },
  });
  const prototype = unknownNames(`member in ${plan.label}`, {}, names, methods);
  let descriptors: PropertyDescriptorMap | undefined;
  return (place) => {
    // Types of members are made here, not before: most members of a large type are never looked at.
    descriptors ??= accessorsOf(plan, typeOf);
    const view = new CompositeView(place, prototype);
    Object.defineProperties(view, descriptors);
    liveStates.set(
      view,
      stateOf(
        place,
        () => codec.decode(place.memory.view(), place.offset),
        (key) => memberPlace(place, fields.get(key)),
      ),
    );
    return view;
  };
}

function accessorsOf(plan: CompositePlan, typeOf: (plan: Plan) => LiveType): PropertyDescriptorMap {
  const descriptors = Object.create(null) as PropertyDescriptorMap;
  for (const field of plan.fields) descriptors[field.name] = CompositeView.accessor(field, () => typeOf(field.plan));
  return descriptors;
}

/** The hidden part of a struct's or union's view. What can be seen of it are the accessors that are put on top. */
class CompositeView {
  readonly #place: LivePlace;
  readonly #memory: LiveMemory;
  readonly #offset: number;
  /** Views of members, by the member. */
  #members: Map<Field, object> | undefined;

  constructor(place: LivePlace, prototype: object) {
    this.#place = place;
    this.#memory = place.memory;
    this.#offset = place.offset;
    Object.setPrototypeOf(this, prototype);
  }

  /** The property of a member, the same for all views of a type. */
  static accessor(field: Field, typeOf: () => LiveType): PropertyDescriptor {
    const { offset } = field;
    let type: LiveType | undefined;
    let decode: BtfCodec["decode"] | undefined;
    const isView = field.plan.kind === "struct" || field.plan.kind === "union" || field.plan.kind === "array";
    return {
      enumerable: true,
      get: isView
        ? function (this: CompositeView): BtfValue {
            return this.#member(field, typeOf) as BtfValue;
          }
        : function (this: CompositeView): BtfValue {
            decode ??= typeOf().codec.decode;
            return decode(this.#memory.view(), this.#offset + offset);
          },
      set(this: CompositeView, value: BtfValue): void {
        try {
          type ??= typeOf();
          type.write(this.#memory, this.#offset + offset, value);
        } catch (error) {
          throw named(error, this.#place.path + pathStep(field.name));
        }
      },
    };
  }

  #member(field: Field, typeOf: () => LiveType): object | undefined {
    this.#memory.view();
    this.#members ??= new Map();
    let view = this.#members.get(field);
    if (view === undefined) {
      view = typeOf().view?.(memberPlace(this.#place, field));
      if (view !== undefined) this.#members.set(field, view);
    }
    return view;
  }
}

function memberPlace(place: LivePlace, field: Field): LivePlace;
function memberPlace(place: LivePlace, field: Field | undefined): LivePlace | undefined;
function memberPlace(place: LivePlace, field: Field | undefined): LivePlace | undefined {
  if (field === undefined) return undefined;
  const { name, offset, plan } = field;
  return { ...place, offset: place.offset + offset, plan, path: place.path + pathStep(name) };
}

function copy(from: DataView, offset: number, to: DataView): void {
  for (let i = 0; i < to.byteLength; i++) to.setUint8(i, from.getUint8(offset + i));
}
