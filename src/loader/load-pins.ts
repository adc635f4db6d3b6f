// Pins while an object is loaded: maps that are found under their path, and those that are pinned there; what was pinned
// is unpinned again when loading fails (libbpf.md 3.3, "Pinning by name").

import { BpfkitError, StateError, SystemCallError } from "../errors.js";
import { log } from "../log.js";
import type { BpfMap } from "../map/index.js";
import { MapFlag, MapType, mapTypeName } from "../object/index.js";
import { Errno, type FileDescriptor, type MapInfo, mapInfo, objectGet } from "../syscall/index.js";

/** The pins that one load makes. */
export class LoadPins {
  readonly #made: BpfMap[] = [];
  #complete = false;

  /**
   * Takes the map that is pinned at the map's `pinPath`, if there is one.
   *
   * @throws StateError when that is another kind of map, SystemCallError
   */
  find(map: BpfMap): void {
    const path = map.pinPath;
    if (path === undefined || map.isPinned) return;
    const fd = openPin(path);
    if (fd === undefined) {
      log.debug(() => `map ${map.name}: nothing is pinned at ${path}`);
      return;
    }
    try {
      refuseDifferent(map, fd, path);
    } catch (error) {
      fd.close();
      throw error;
    }
    map.adopt(fd, { pinned: true });
    log.debug(() => `map ${map.name}: using what is pinned at ${path}`);
  }

  /**
   * Pins the map at its `pinPath`, unless it was found there. When the name was taken in the meantime, that map is used.
   *
   * @throws as {@link find}
   */
  keep(map: BpfMap): void {
    if (map.pinPath === undefined || map.isPinned) return;
    try {
      map.pin();
      this.#made.push(map);
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.errno !== Errno.EEXIST) throw error;
      this.find(map);
      // Once: what vanishes again, or cannot be opened, is not waited for.
      if (!map.isPinned) throw error;
    }
  }

  /** Loading succeeded: the pins stay. */
  complete(): void {
    this.#complete = true;
  }

  /** Removes them, unless loading succeeded. */
  undo(): void {
    if (this.#complete) return;
    for (const map of this.#made) {
      if (!map.isPinned) continue;
      try {
        map.unpin();
      } catch (error) {
        if (!BpfkitError.isBpfkitError(error)) throw error;
        log.warn(`the pin of a failed load could not be removed: ${error.message}`);
      }
    }
  }
}

function openPin(path: string): FileDescriptor | undefined {
  try {
    return objectGet({ path });
  } catch (error) {
    if (error instanceof SystemCallError && error.errno === Errno.ENOENT) return undefined;
    throw error;
  }
}

/** What has to agree, and how it is called. */
const properties = [
  ["type", ({ type }) => mapTypeName(type) ?? type],
  ["keySize", ({ keySize }) => keySize],
  ["valueSize", ({ valueSize }) => valueSize],
  ["maxEntries", ({ maxEntries }) => maxEntries],
  ["flags", ({ type, flags }) => flags & ~forcedFlags(type)],
  ["mapExtra", ({ mapExtra }) => mapExtra],
] as const satisfies readonly (readonly [string, (map: Shape) => unknown])[];

type Shape = Pick<MapInfo, "type" | "keySize" | "valueSize" | "maxEntries" | "flags" | "mapExtra">;

/** Flags that the kernel adds by itself. */
function forcedFlags(type: number): number {
  return type === MapType.devmap || type === MapType.devmap_hash ? MapFlag.RDONLY_PROG : 0;
}

function refuseDifferent({ spec }: BpfMap, fd: FileDescriptor, path: string): void {
  const info = mapInfo(fd);
  const differences = properties
    .filter(([, of]) => of(info) !== of(spec))
    .map(([name, of]) => `${name} ${of(info)} instead of ${of(spec)}`);
  if (differences.length === 0) return;
  throw new StateError(`the map pinned at ${path} is another one: it has ${differences.join(", ")}`, {
    hint: "remove the pin, or set pinPath to another path or undefined",
  });
}
