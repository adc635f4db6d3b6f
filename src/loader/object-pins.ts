// Pins of all maps and programs of an object: where they lie, and all or none of them (libbpf.md 1.1).

import { BpfkitError, withLocation } from "../errors.js";
import { pinPathIn } from "../kernel/index.js";
import { log } from "../log.js";
import type { BpfMap } from "./bpf-map.js";
import type { BpfProgram } from "./bpf-program.js";

/** Something to pin, and where. */
export interface Pin {
  readonly item: BpfMap | BpfProgram;
  readonly path: string;
}

/** The names of data maps have a dot, which names of pins may not have. */
export function pathOfMap(map: BpfMap, directory: string): string {
  const name = map.isInternal ? map.name.replaceAll(".", "_") : map.name;
  return withLocation({ map: map.name }, () => pinPathIn(directory, name));
}

/** The maps that exist, under their names in `directory`; without one those that have a `pinPath`. */
export function pinsOfMaps(maps: readonly BpfMap[], directory: string | undefined): Pin[] {
  return maps.flatMap((map): Pin[] => {
    if (!map.loaded) return [];
    const path = directory === undefined ? map.pinPath : pathOfMap(map, directory);
    return path === undefined ? [] : [{ item: map, path }];
  });
}

/** The programs that are loaded, under their names in `directory`. */
export function pinsOfPrograms(programs: readonly BpfProgram[], directory: string): Pin[] {
  return programs
    .filter(({ loaded }) => loaded)
    .map((item) => ({ item, path: withLocation({ program: item.name }, () => pinPathIn(directory, item.name)) }));
}

/** Pins all; when one cannot be pinned, those that were pinned just now are unpinned again. */
export function pinAll(pins: readonly Pin[]): void {
  const made: Pin[] = [];
  try {
    for (const pin of pins) if (pin.item.pin(pin.path) !== false) made.push(pin);
  } catch (error) {
    for (const { item, path } of made.reverse()) {
      try {
        item.unpin(path);
      } catch (undoing) {
        if (!BpfkitError.isBpfkitError(undoing)) throw undoing;
        log.warn(`the pin ${path} could not be removed: ${undoing.message}`);
      }
    }
    throw error;
  }
}

/** Unpins all, up to the first that is not there. */
export function unpinAll(pins: readonly Pin[]): void {
  for (const { item, path } of pins) item.unpin(path);
}
