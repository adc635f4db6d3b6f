// Maps into the kernel, in declaration order (libbpf.md 3.3 and 3.4).

import { ArgumentError, addLocation, SystemCallError } from "../errors.js";
import { log } from "../log.js";
import type { BpfMap } from "../map/index.js";
import { mapTypeRule } from "../map/index.js";
import { MapFlag, type MapSpec, MapType, mapTypeName } from "../object/index.js";
import {
  type FileDescriptor,
  MappedRegion,
  mapCreate,
  mapFreeze,
  mapUpdate,
  pageSize,
  possibleCpuCount,
} from "../syscall/index.js";
import { shareArena } from "./arena.js";
import { kernelName } from "./kernel-name.js";
import { withMemlock } from "./memlock.js";

/** Creates the map, fills and shares the memory of data sections. Registers what must be closed with `map` itself. */
export function createMap(map: BpfMap, objectBtf: FileDescriptor | undefined): void {
  const { spec } = map;
  try {
    settleSize(spec);
    const fd = createWithInner(spec, objectBtf);
    map.setCreated(fd);
    if (spec.dataKind !== undefined) shareData(map, fd);
    if (spec.type === MapType.arena) shareArena(map, fd);
  } catch (error) {
    throw addLocation(error, { map: spec.name, section: spec.sectionName });
  }
}

/** Sizes that depend on this machine. */
function settleSize(spec: MapSpec): void {
  const rule = mapTypeRule(mapTypeName(spec.type) ?? spec.type);
  if (rule.sizedByCpus === true && spec.maxEntries === 0) spec.maxEntries = possibleCpuCount();
  if (rule.ring === true) spec.maxEntries = ringSize(spec.maxEntries, pageSize());
}

/** The smallest power of two pages that holds `bytes`; 0 stays 0 and is the kernel's to refuse. */
function ringSize(bytes: number, page: number): number {
  if (bytes === 0) return 0;
  let size = page;
  while (size < bytes) size *= 2;
  if (size > 2 ** 31) throw new ArgumentError(`a ring buffer of ${bytes} bytes is too large; 2 GiB is the limit`);
  return size;
}

function createWithInner(spec: MapSpec, objectBtf: FileDescriptor | undefined): FileDescriptor {
  if (spec.inner === undefined) return create(spec, objectBtf, undefined);
  // The kernel copies the definition of an example and forgets the example.
  settleSize(spec.inner);
  using template = create(spec.inner, objectBtf, undefined);
  return create(spec, objectBtf, template);
}

function create(
  spec: MapSpec,
  objectBtf: FileDescriptor | undefined,
  innerMap: FileDescriptor | undefined,
): FileDescriptor {
  const rule = mapTypeRule(mapTypeName(spec.type) ?? spec.type);
  const options = {
    type: spec.type,
    keySize: spec.keySize,
    valueSize: spec.valueSize,
    maxEntries: spec.maxEntries,
    name: kernelName(spec.name),
    flags: spec.flags,
    mapExtra: spec.mapExtra,
    numaNode: spec.numaNode === 0 ? undefined : spec.numaNode,
    innerMap,
  };
  const types =
    objectBtf === undefined || rule.noBtf === true
      ? undefined
      : { btf: objectBtf, btfKeyTypeId: spec.keyTypeId, btfValueTypeId: spec.valueTypeId };
  if (types === undefined) return withMemlock(() => mapCreate(options));
  try {
    return withMemlock(() => mapCreate({ ...options, ...types }));
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    // Some kernels and map types refuse type information; the map works without (libbpf.md 3.3).
    let fd: FileDescriptor;
    try {
      fd = mapCreate(options);
    } catch {
      throw error;
    }
    log.warn(`map ${spec.name}: the kernel refused its type information (${error.errnoName}); created without`);
    return fd;
  }
}

/** Contents first, while the map may still be written; then constants are frozen, variables shared. */
function shareData(map: BpfMap, fd: FileDescriptor): void {
  const { spec } = map;
  const image = spec.initialValue;
  if (image === undefined) return;
  // A new array is all zeros already.
  if (spec.dataKind !== "bss" || image.some((byte) => byte !== 0)) {
    mapUpdate({ map: fd, key: new Uint8Array(4), value: image });
  }
  if (spec.dataKind === "rodata") {
    mapFreeze(fd);
    map.setFrozen();
  } else if ((spec.flags & MapFlag.MMAPABLE) !== 0) {
    const region = MappedRegion.map(fd, { length: spec.valueSize, writable: true });
    map.setMemory(region);
  }
}
