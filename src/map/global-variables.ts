// The global variables of one data section (.data, .rodata, .bss and their named variants) as properties of a plain
// object: before load they live in the section's image, afterwards in memory shared with the running programs.

import { type Btf, type BtfCodec, BtfLinkage, type BtfValue, compileCodec } from "../btf/index.js";
import { type ErrorLocation, NotFoundError, StateError, withLocation } from "../errors.js";
import { nearNames } from "../near-names.js";

/** Global variables by their C name, decoded by BTF on every read, encoded on every write. */
export interface GlobalVariables {
  [name: string]: BtfValue;
}

/** A section that cannot be mapped: all of it is copied from and to the kernel. */
export interface SectionValue {
  /** Copies the kernel's bytes into the section's. */
  readonly read: (into: Uint8Array) => void;
  readonly write: (from: Uint8Array) => void;
}

/** What may be done with a section at the moment. */
type Access = "read-write" | "read-only" | "unknown" | "closed";

/** The memory of one data section and the variables in it. */
export class DataSection {
  /** Section name, e.g. `.rodata`. */
  readonly name: string;
  /** One property per non-static variable. An unknown name throws instead of giving `undefined`. */
  readonly variables: GlobalVariables;
  #view: DataView;
  #access: Access = "read-write";
  /** Where the bytes of the view come from, when it is no shared memory. */
  #value: SectionValue | undefined;

  /**
   * @param typeId the section's DATASEC in `btf`; undefined when the object has no BTF (no variable has a name then).
   */
  constructor(name: string, image: Uint8Array, btf: Btf | undefined, typeId: number | undefined) {
    this.name = name;
    this.#view = viewOf(image);
    const names: string[] = [];
    const target = Object.create(unknownNames("global variable", { section: name }, names)) as GlobalVariables;
    if (btf !== undefined && typeId !== undefined) {
      for (const variable of namedVariables(btf, typeId)) {
        // No compiler writes two of one name; a damaged file may, and then the first one counts.
        if (Object.hasOwn(target, variable.name)) continue;
        names.push(variable.name);
        Object.defineProperty(target, variable.name, this.#accessor(btf, variable));
      }
    }
    this.variables = Object.preventExtensions(target);
  }

  /** Points the variables at the memory that the loaded map shares with the kernel. */
  bind(memory: Uint8Array): void {
    this.#view = viewOf(memory);
  }

  /**
   * Has every access copy the whole section: for kernels that cannot map arrays. A write puts back all variables as they
   * were just before, so that one which a program changes in between is lost.
   */
  bindValue(value: SectionValue): void {
    this.#value = value;
  }

  /** Refuses everything until {@link freeze}: load() makes the values (.kconfig). */
  withhold(): void {
    this.#access = "unknown";
  }

  /** Refuses writes from now on: the kernel froze the map (.rodata and .kconfig after load). */
  freeze(): void {
    this.#access = "read-only";
  }

  /** Refuses everything from now on; called before the memory goes away. */
  close(): void {
    this.#access = "closed";
    this.#view = new DataView(new ArrayBuffer(0));
  }

  #accessor(btf: Btf, variable: NamedVariable): PropertyDescriptor {
    const { name, type, offset } = variable;
    // Made when first touched: a section may hold thousands of variables of which a program uses two.
    let cell: Cell | undefined;
    const made = (): Cell => {
      cell = withLocation({ section: this.name }, () => makeCell(compileCodec(btf, type)));
      return cell;
    };
    return {
      enumerable: true,
      get: (): BtfValue => {
        if (this.#access === "closed" || this.#access === "unknown") throw this.#accessError(name);
        this.#value?.read(bytesOf(this.#view));
        return (cell ?? made()).codec.decode(this.#view, offset);
      },
      set: (value: BtfValue): void => {
        if (this.#access !== "read-write") throw this.#accessError(name);
        this.#write(cell ?? made(), offset, value);
      },
    };
  }

  /** Encodes beside the section first: a value that is refused, or half encoded, must never be seen by a program. */
  #write({ codec, scratch }: Cell, offset: number, value: BtfValue): void {
    codec.encode(scratch, 0, value);
    const { size } = codec;
    const view = this.#view;
    this.#value?.read(bytesOf(view));
    // Running programs see a scalar change at once.
    if ((view.byteOffset + offset) % size !== 0) bytesOf(view).set(bytesOf(scratch), offset);
    else if (size === 8) view.setBigUint64(offset, scratch.getBigUint64(0));
    else if (size === 4) view.setUint32(offset, scratch.getUint32(0));
    else if (size === 2) view.setUint16(offset, scratch.getUint16(0));
    else bytesOf(view).set(bytesOf(scratch), offset);
    this.#value?.write(bytesOf(view));
  }

  #accessError(name: string): StateError {
    const section = this.name;
    if (this.#access === "closed") return new StateError(`variable ${name} was used after close()`, { section });
    if (this.#access === "unknown") {
      const hint = "the option kconfig of open() sets values beforehand";
      return new StateError(`${name} gets its value by load()`, { section, hint });
    }
    const hint = section === ".kconfig" ? undefined : "set constants between open() and load()";
    return new StateError(`variable ${name} is read-only once the object is loaded`, { section, hint });
  }
}

/** How one variable is read and written. */
interface Cell {
  readonly codec: BtfCodec;
  /** Room for one encoded value. */
  readonly scratch: DataView;
}

function makeCell(codec: BtfCodec): Cell {
  return { codec, scratch: new DataView(new ArrayBuffer(codec.size)) };
}

interface NamedVariable {
  readonly name: string;
  readonly type: number;
  readonly offset: number;
}

/** The variables of a DATASEC that have a name outside their file: static ones are left out, as skeletons do. */
function* namedVariables(btf: Btf, datasecId: number): Generator<NamedVariable> {
  const datasec = btf.type(datasecId);
  if (datasec.kind !== "datasec") return;
  for (const entry of datasec.variables) {
    const variable = btf.type(entry.type);
    if (variable.kind !== "var" || variable.linkage === BtfLinkage.Static) continue;
    yield { name: variable.name, type: variable.type, offset: entry.offset };
  }
}

/**
 * The prototype of an object whose properties are C names (`what` they are, with their article left out). Own properties
 * never reach it, so that only misspelt names pay for a Proxy. Symbols and the names that JavaScript itself asks for
 * (await, JSON, printing) stay undefined.
 */
export function unknownNames(what: string, place: ErrorLocation, names: readonly string[]): object {
  const refuse = (key: string | symbol): undefined => {
    if (typeof key === "symbol" || key === "then" || key === "toJSON" || key === "constructor") return undefined;
    throw new NotFoundError(`no ${what} ${key}${nearNames(key, names)}`, place);
  };
  return new Proxy(Object.freeze(Object.create(null) as object), {
    get: (_, key) => refuse(key),
    set: (_, key) => {
      refuse(key);
      return false;
    },
    has: () => false,
  });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
