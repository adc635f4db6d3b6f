// The global variables of one data section (.data, .rodata, .bss and their named variants) as properties of a plain
// object. Structs, unions and arrays among them are live views (src/btf/live.ts).

import {
  type Btf,
  BtfLinkage,
  type BtfValue,
  type CodecOptions,
  type LiveCell,
  liveCell,
  liveStates,
  setOwn,
  snapshot,
} from "../btf/index.js";
import { BtfError, withLocation } from "../errors.js";
import { unknownNames } from "../unknown-names.js";
import { SectionMemory } from "./section-memory.js";

/**
 * Global variables by their C name. Scalars, strings and byte arrays are read and written as values; a struct, union or
 * array is a live view, whose members and elements are read from memory and written to it one by one. Any of them can be
 * set as a whole. `snapshot()` gives plain values, `atomic()` atomic access.
 */
export interface GlobalVariables {
  [name: string]: BtfValue;
}

/** The variables of one data section. */
export class DataSection {
  /** Section name, e.g. `.rodata`. */
  readonly name: string;
  /** One property per non-static variable. An unknown name throws instead of giving `undefined`. */
  readonly variables: GlobalVariables;
  readonly memory: SectionMemory;
  readonly #cells = new Map<string, { cell?: LiveCell | undefined; readonly make: () => LiveCell }>();
  #int64: CodecOptions["int64"];

  /**
   * @param typeId the section's DATASEC in `btf`; undefined when the object has no BTF (no variable has a name then).
   */
  constructor(name: string, image: Uint8Array, btf: Btf | undefined, typeId: number | undefined) {
    this.name = name;
    this.memory = new SectionMemory(name, image);
    const names: string[] = [];
    const methods = Object.defineProperty(Object.create(null) as object, Symbol.for("nodejs.util.inspect.custom"), {
      value: () => snapshot(target),
    });
    const target = Object.create(unknownNames("global variable", { section: name }, names, methods)) as GlobalVariables;
    if (btf !== undefined && typeId !== undefined) {
      for (const variable of namedVariables(btf, typeId)) {
        // No compiler writes two of one name; a damaged file may, and then the first one counts.
        if (this.#cells.has(variable.name)) continue;
        names.push(variable.name);
        Object.defineProperty(target, variable.name, this.#accessor(btf, variable));
      }
    }
    this.variables = Object.preventExtensions(target);
    liveStates.set(target, {
      plan: undefined,
      bytes: () => new Uint8Array(0),
      snapshot: () => {
        const values: { [name: string]: BtfValue } = {};
        for (const variable of names) setOwn(values, variable, snapshot(target[variable]!));
        return values;
      },
      place: (key) => this.#cell(key)?.place,
    });
  }

  /** How 64-bit variables read from now on; views that were taken before stay as they are. */
  set int64(int64: CodecOptions["int64"]) {
    this.#int64 = int64;
    for (const entry of this.#cells.values()) entry.cell = undefined;
  }

  #cell(name: string): LiveCell | undefined {
    const entry = this.#cells.get(name);
    return entry && (entry.cell ?? entry.make());
  }

  #accessor(btf: Btf, variable: NamedVariable): PropertyDescriptor {
    const { name, type, offset } = variable;
    const memory = this.memory.of(name);
    // Made when first touched: a section may hold thousands of variables of which a program uses two.
    const entry: { cell?: LiveCell | undefined; readonly make: () => LiveCell } = {
      cell: undefined,
      make: () => {
        entry.cell = withLocation({ section: this.name }, () => {
          // Closed memory is refused before the variable is.
          checkRoom(btf, variable, this.memory.view(name).byteLength);
          return liveCell(btf, type, memory, { offset, name, ...(this.#int64 && { int64: this.#int64 }) });
        });
        return entry.cell;
      },
    };
    this.#cells.set(name, entry);
    const section = this.memory;
    return {
      enumerable: true,
      get: (): BtfValue => {
        const cell = entry.cell ?? entry.make();
        return cell.decode === undefined ? cell.get() : cell.decode(section.view(name), offset);
      },
      set: (value: BtfValue): void => (entry.cell ?? entry.make()).set(value),
    };
  }
}

interface NamedVariable {
  readonly name: string;
  readonly type: number;
  readonly offset: number;
  /** Bytes, as the section says. */
  readonly size: number;
}

/**
 * A type that is larger than its variable would reach into the next one; a smaller one has an array without end. A section
 * may have become shorter than its variables.
 */
function checkRoom(btf: Btf, { name, type, offset, size }: NamedVariable, sectionSize: number): void {
  const needed = btf.sizeOf(type);
  if (needed > size) {
    throw new BtfError("BTF_INVALID", `variable ${name} has ${size} bytes, and its type needs ${needed}`, { offset });
  }
  if (offset + size > sectionSize) {
    throw new BtfError("BTF_INVALID", `variable ${name} ends beyond the ${sectionSize} bytes of its section`, {
      offset,
    });
  }
}

/** The variables of a DATASEC that have a name outside their file: static ones are left out, as skeletons do. */
function* namedVariables(btf: Btf, datasecId: number): Generator<NamedVariable> {
  const datasec = btf.type(datasecId);
  if (datasec.kind !== "datasec") return;
  for (const entry of datasec.variables) {
    const variable = btf.type(entry.type);
    if (variable.kind !== "var" || variable.linkage === BtfLinkage.Static) continue;
    yield { name: variable.name, type: variable.type, offset: entry.offset, size: entry.size };
  }
}
