// The sizes by which the kernel copies keys and values of a map. Asked from the kernel, or noted when it made the map,
// and never taken from the caller: a value buffer that is too short would let the kernel write past its end.

import { readMapInfo } from "./bpf-info-map.js";
import type { FdLike, FileDescriptor } from "./fd.js";
import { possibleCpuCount } from "./files.js";

/** Type and sizes of a map; bytes. */
export interface MapShape {
  /** BPF_MAP_TYPE_*. */
  readonly type: number;
  readonly keySize: number;
  /** As declared: of one value, of one CPU. */
  readonly valueSize: number;
  /** What one lookup or update transfers: per-CPU maps give all possible CPUs' values, each padded to 8 bytes. */
  readonly valueBufferSize: number;
  readonly maxEntries: number;
}

/** BPF_MAP_TYPE_PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH, PERCPU_CGROUP_STORAGE. */
const perCpuTypes = new Set([5, 6, 10, 21]);

/** A map's shape never changes, and an owned descriptor never means another map. */
const known = new WeakMap<FileDescriptor, MapShape>();

/**
 * The shape of a map. Cached for a FileDescriptor; for a bare number, which may be reused, asked on every call.
 *
 * @throws SystemCallError when the descriptor is no map, StateError when it is closed
 */
export function mapShape(map: FdLike): MapShape {
  if (typeof map === "number") return ask(map);
  // Reading the number refuses closed descriptors.
  const shape = map.number >= 0 ? known.get(map) : undefined;
  if (shape !== undefined) return shape;
  const asked = ask(map);
  known.set(map, asked);
  return asked;
}

/** Notes the shape of a map that the kernel has just made as it was asked to. */
export function rememberShape(map: FileDescriptor, asked: Omit<MapShape, "valueBufferSize">): void {
  known.set(map, withBufferSize(asked));
}

function ask(map: FdLike): MapShape {
  const info = readMapInfo(map);
  return withBufferSize({
    type: info.u32("type"),
    keySize: info.u32("key_size"),
    valueSize: info.u32("value_size"),
    maxEntries: info.u32("max_entries"),
  });
}

function withBufferSize(shape: Omit<MapShape, "valueBufferSize">): MapShape {
  const { type, valueSize } = shape;
  const valueBufferSize = perCpuTypes.has(type) ? Math.ceil(valueSize / 8) * 8 * possibleCpuCount() : valueSize;
  return { ...shape, valueBufferSize };
}
