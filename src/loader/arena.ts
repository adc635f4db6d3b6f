// Arenas: memory that programs and this process share, mapped as soon as the map exists, because the kernel wants to know
// the address before it loads programs; and the global variables in it (libbpf.md 3.3, 3.7 point 3).

import { ArgumentError, SystemCallError, UnsupportedError } from "../errors.js";
import { kernelHas } from "../kernel/index.js";
import type { BpfMap } from "../map/index.js";
import { MapFlag, type MapSpec } from "../object/index.js";
import { Errno, type FileDescriptor, MappedRegion, pageSize } from "../syscall/index.js";
import type { RelocatedProgram } from "./relocate.js";

/** Maps an arena that exists now; `fill` puts its variables into it. */
export function shareArena(map: BpfMap, { fill, token }: { fill: boolean; token: FileDescriptor | undefined }): void {
  const { spec } = map;
  const { initialValue, mapExtra, maxEntries, flags } = spec;
  const offset = arenaDataOffset(spec, token);
  if ((flags & MapFlag.SEGV_ON_FAULT) !== 0) {
    // Touching a page that no program has allocated would end the process.
    if (initialValue === undefined) return;
    throw new UnsupportedError("an arena with BPF_F_SEGV_ON_FAULT cannot have global variables");
  }
  let region: MappedRegion;
  try {
    region = MappedRegion.map(map.descriptor, { length: maxEntries * pageSize(), writable: true, address: mapExtra });
  } catch (error) {
    if (mapExtra === 0n || !(error instanceof SystemCallError) || error.errno !== Errno.EEXIST) throw error;
    throw new SystemCallError(`the arena cannot lie at 0x${mapExtra.toString(16)}: this process has something there`, {
      operation: error.operation,
      errno: error.errno,
      errnoName: error.errnoName,
      hint: "set mapExtra to a free address, or to 0n to leave the choice to the kernel",
      cause: error,
    });
  }
  map.setMemory(region, offset);
  if (fill && initialValue !== undefined) region.bytes.set(initialValue, offset);
}

/** The program with the addresses of an arena's variables moved to where they will be. */
export function placeArenaData(linked: RelocatedProgram, token: FileDescriptor | undefined): RelocatedProgram {
  if (!linked.relocations.some(refersToArena)) return linked;
  const relocations = linked.relocations.map((relocation) =>
    refersToArena(relocation)
      ? { ...relocation, offset: relocation.offset + arenaDataOffset(relocation.map, token) }
      : relocation,
  );
  return { ...linked, relocations };
}

type DataRelocation = Extract<RelocatedProgram["relocations"][number], { readonly kind: "data" }>;

function refersToArena(relocation: RelocatedProgram["relocations"][number]): relocation is DataRelocation {
  return relocation.kind === "data" && relocation.map.arena !== undefined;
}

/**
 * Where the variables begin: at the end of the arena, where no program allocates by accident; at the beginning on
 * kernels whose instructions cannot encode such offsets.
 */
function arenaDataOffset({ initialValue, maxEntries }: MapSpec, token: FileDescriptor | undefined): number {
  if (initialValue === undefined) return 0;
  const page = pageSize();
  const size = Math.ceil(initialValue.length / page) * page;
  if (size > maxEntries * page) {
    const reason = `the arena has ${maxEntries * page} bytes, and its global variables take ${size}`;
    throw new ArgumentError(reason, { hint: "raise maxEntries, the number of pages" });
  }
  return kernelHas("ldimm64_full_range_off", token) === true ? maxEntries * page - size : 0;
}
