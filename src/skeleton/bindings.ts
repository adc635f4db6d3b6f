// Names of an object as properties: what `skeleton.maps.NAME` and its like read from.

import type { BpfLink } from "../link/index.js";
import type { BpfMap, BpfObject, BpfProgram, StructOpsMembers } from "../loader/index.js";
import { unknownNames } from "../unknown-names.js";
import type { SkeletonLayout } from "./check.js";

/** An object with a property each; a misspelt name throws instead of giving `undefined`. */
function properties<T extends object>(
  what: string,
  file: string,
  list: readonly (readonly [string, PropertyDescriptor])[],
): T {
  const names = list.map(([name]) => name);
  const target = Object.create(unknownNames(what, { file }, names)) as T;
  for (const [name, descriptor] of list) {
    if (!Object.hasOwn(target, name)) Object.defineProperty(target, name, { enumerable: true, ...descriptor });
  }
  return Object.preventExtensions(target);
}

/** The maps by the properties of `layout`. */
export function bindMaps<T extends object>(layout: SkeletonLayout, object: BpfObject): T {
  const list = layout.maps.map(([property, name]) => [property, { value: object.map(name) }] as const);
  return properties("map", layout.name, list);
}

/** The programs. */
export function bindPrograms<T extends object>(layout: SkeletonLayout, object: BpfObject): T {
  const list = layout.programs.map(([property, name]) => [property, { value: object.program(name) }] as const);
  return properties("program", layout.name, list);
}

/** The members of the struct_ops variables. */
export function bindStructOps<T extends object>(layout: SkeletonLayout, object: BpfObject): T {
  const list = layout.structOps.map(
    ([property, name]) => [property, { get: (): StructOpsMembers => object.map(name).structOps }] as const,
  );
  return properties("struct_ops variable", layout.name, list);
}

/** What programs and struct_ops maps are attached by. Links that a user puts here belong to the skeleton. */
export class Links<T extends object> {
  readonly properties: T;
  /** Put here by the user. */
  readonly #own = new Map<string, BpfLink>();

  constructor(layout: SkeletonLayout, object: BpfObject) {
    const sources: (readonly [string, BpfProgram | BpfMap])[] = [
      ...layout.programs.map(([property, name]) => [property, object.program(name)] as const),
      ...layout.structOps.map(([property, name]) => [property, object.map(name)] as const),
    ];
    this.properties = properties(
      "link",
      layout.name,
      sources.map(([property, source]) => [
        property,
        {
          get: () => this.#find(property, source),
          set: (link: BpfLink | undefined) => this.#set(property, link),
        },
      ]),
    );
  }

  #find(property: string, source: BpfProgram | BpfMap): BpfLink | undefined {
    const own = this.#own.get(property);
    return own?.attached ? own : source.links[0];
  }

  #set(property: string, link: BpfLink | undefined): void {
    if (link === undefined) this.#own.delete(property);
    else this.#own.set(property, link);
  }

  /** Closes what users put here. */
  close(): void {
    for (const link of this.#own.values()) link.close();
    this.#own.clear();
  }
}
