// Maps with type information, and without where the kernel refuses that (libbpf.md 3.3).

import { SystemCallError } from "../errors.js";
import { log } from "../log.js";
import type { FileDescriptor, MapCreateOptions } from "../syscall/index.js";

/** The types of a map's keys and values, as BPF_MAP_CREATE takes them. */
export type MapTypes = Required<Pick<MapCreateOptions, "btf" | "btfKeyTypeId" | "btfValueTypeId">>;

/**
 * Creates a map with its types; when it is refused, once more without: some kernels and map types take none, and the map
 * works all the same.
 *
 * @throws SystemCallError, the first one, when the map is refused without types too
 */
export function createWithTypes(
  create: (types?: MapTypes) => FileDescriptor,
  types: MapTypes,
  name: string,
): FileDescriptor {
  try {
    return create(types);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    let fd: FileDescriptor;
    try {
      fd = create();
    } catch {
      throw error;
    }
    log.warn(`map ${name}: the kernel refused its type information (${error.errnoName}); created without`);
    return fd;
  }
}
