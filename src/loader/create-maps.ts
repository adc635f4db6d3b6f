// Maps into the kernel, in declaration order (libbpf.md 3.2 step 10, 3.3 and 3.4): found pinned, reused, or created.

import { ArgumentError, addLocation } from "../errors.js";
import { kernelName } from "../kernel/index.js";
import { createWithTypes, type MapTypes, settleSize } from "../map/index.js";
import { MapFlag, type MapSpec, MapType, mapTypeName, mapTypeRule } from "../object/index.js";
import {
  type Capability,
  type FileDescriptor,
  type MapCreateOptions,
  MappedRegion,
  mapFreeze,
  mapLookup,
  mapUpdate,
} from "../syscall/index.js";
import { shareArena } from "./arena.js";
import type { BpfMap } from "./bpf-map.js";
import { createWithFallBacks } from "./fall-backs.js";
import type { LoadPins } from "./load-pins.js";
import { fillMapSlots } from "./map-slots.js";

/** What maps are created with. */
export interface MapCreation {
  readonly objectBtf: FileDescriptor | undefined;
  readonly token: FileDescriptor | undefined;
  /** What loading the programs will need: to be named by the first refusal, which a map meets. */
  readonly needs: readonly Capability[];
  readonly pins: LoadPins;
  /** The hash of the only program that may use a map. */
  readonly exclusiveHash: (map: BpfMap) => Uint8Array | undefined;
}

/** Creates all maps whose autocreate is on. What must be closed is registered with each map itself. */
export function createMaps(maps: readonly BpfMap[], creation: MapCreation): void {
  const bySpec = new Map(maps.map((map) => [map.spec, map]));
  const done = new Set<BpfMap>();
  const once = (map: BpfMap): void => {
    if (done.has(map) || !map.autocreate) return;
    done.add(map);
    try {
      createMap(map, creation, bySpec);
    } catch (error) {
      throw addLocation(error, { map: map.name, section: map.sectionName });
    }
  };
  for (const map of maps) {
    // What goes into slots has to exist first; compilers declare it first too.
    for (const slot of map.spec.slots) if (slot.kind === "map") once(bySpec.get(slot.map)!);
    once(map);
  }
}

function createMap(map: BpfMap, creation: MapCreation, bySpec: ReadonlyMap<MapSpec, BpfMap>): void {
  const { spec } = map;
  const { pins, token } = creation;
  // An existing map has the size that it has.
  if (!map.reused) settleSize(spec);
  pins.find(map);
  if (map.reused) {
    if (spec.dataKind !== undefined) shareExisting(map);
    if (spec.type === MapType.arena) shareArena(map, { fill: false, token });
    pins.keep(map);
    return;
  }
  map.setCreated(createWithInner(map, creation));
  if (spec.dataKind !== undefined) fillData(map);
  if (spec.type === MapType.arena) shareArena(map, { fill: true, token });
  fillMapSlots(map, bySpec);
  pins.keep(map);
  // Somebody else may have been faster with the pin: then it is their map.
  if (map.spec.dataKind !== undefined) (map.reused ? shareExisting : shareOwn)(map);
}

function createWithInner(map: BpfMap, creation: MapCreation): FileDescriptor {
  const { spec, inner, innerTemplate } = map;
  const exclusiveProgramHash = creation.exclusiveHash(map);
  if (innerTemplate !== undefined || inner === undefined) {
    return createOne(spec, creation, { innerMap: innerTemplate, exclusiveProgramHash });
  }
  // The kernel copies the definition of an example and forgets the example.
  settleSize(inner.spec);
  using innerMap = createOne(inner.spec, creation, {});
  return createOne(spec, creation, { innerMap, exclusiveProgramHash });
}

function createOne(
  spec: MapSpec,
  { objectBtf, token, needs }: MapCreation,
  more: Pick<MapCreateOptions, "innerMap" | "exclusiveProgramHash">,
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
    ifindex: spec.ifindex,
    token,
    needs,
    ...more,
  };
  const create = (types?: MapTypes): FileDescriptor => createWithFallBacks({ ...options, ...types }, spec);
  if (objectBtf === undefined || rule.noBtf === true) return create();
  const types = { btf: objectBtf, btfKeyTypeId: spec.keyTypeId, btfValueTypeId: spec.valueTypeId };
  return createWithTypes(create, types, spec.name);
}

/** The contents of a data section, while the map may still be written and nobody else knows it. */
function fillData({ spec, descriptor }: BpfMap): void {
  const image = spec.initialValue;
  // A new array is all zeros already.
  if (image === undefined || (spec.dataKind === "bss" && image.every((byte) => byte === 0))) return;
  mapUpdate({ map: descriptor, key: new Uint8Array(4), value: image });
}

/** Constants are frozen, variables shared. */
function shareOwn(map: BpfMap): void {
  if (isConstant(map.spec)) {
    mapFreeze(map.descriptor);
    map.setFrozen();
  } else {
    shareMemory(map);
  }
}

/** Variables become those of an existing map: it keeps its contents. */
function shareExisting(map: BpfMap): void {
  const { spec, descriptor } = map;
  const image = spec.initialValue;
  if (image === undefined) return;
  if (image.length !== spec.valueSize) {
    const sizes = `${spec.valueSize} bytes instead of ${image.length}`;
    throw new ArgumentError(`the existing map that is to be used for the data section has ${sizes}`);
  }
  const contents = mapLookup({ map: descriptor, key: new Uint8Array(4) });
  if (contents !== undefined) image.set(contents);
  if (isConstant(spec)) map.setFrozen();
  else shareMemory(map);
}

/** Sections that the kernel freezes. */
function isConstant({ dataKind }: MapSpec): boolean {
  return dataKind === "rodata" || dataKind === "kconfig";
}

function shareMemory(map: BpfMap): void {
  if ((map.spec.flags & MapFlag.MMAPABLE) === 0) map.setUnmapped();
  else map.setMemory(MappedRegion.map(map.descriptor, { length: map.spec.valueSize, writable: true }));
}
