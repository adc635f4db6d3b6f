// Where a map is pinned, or will be: at most one path at a time is known to the map.

import { ArgumentError, StateError } from "../errors.js";
import { pinObject, pinPathOf, removePin } from "../kernel/index.js";
import type { FdLike } from "../syscall/index.js";

/** The pin of one map. */
export class MapPin {
  #path: string | undefined;
  #pinned = false;

  /** Absolute; undefined when the map is not to be pinned. */
  get path(): string | undefined {
    return this.#path;
  }
  set path(path: string | undefined) {
    this.#path = path === undefined ? undefined : pinPathOf(path);
  }

  /** True from pinning, or from finding the map pinned, until it is unpinned through this object. */
  get pinned(): boolean {
    return this.#pinned;
  }

  /** The map is the one that was found under the path. */
  setFound(): void {
    this.#pinned = true;
  }

  /** Pins; false when it was pinned there already. @throws StateError, ArgumentError, and what {@link pinObject} throws */
  pin(object: FdLike, path: string | undefined): boolean {
    const target = this.#resolve(path);
    if (this.#pinned) return false;
    pinObject(object, target);
    this.#path = target;
    this.#pinned = true;
    return true;
  }

  /** Removes the pin; the path stays known. @throws StateError, ArgumentError, and what {@link removePin} throws */
  unpin(path: string | undefined): void {
    removePin(this.#resolve(path));
    this.#pinned = false;
  }

  #resolve(path: string | undefined): string {
    const asked = path === undefined ? undefined : pinPathOf(path);
    const target = this.#path ?? asked;
    if (target === undefined) throw new ArgumentError("no path was given to pin at, and the map has no pinPath");
    if (asked === undefined || asked === target) return target;
    throw new StateError(`the map's pinPath is ${target}, not ${asked}`, {
      hint: this.#pinned ? "unpin it first, and set pinPath before load" : "set pinPath before load",
    });
  }
}
