// Arenas: memory that programs and this process share, mapped as soon as the map exists, because the kernel wants to know
// the address before it loads programs; and the global variables in it (libbpf.md 3.3, 3.7 point 3).

import { ArgumentError, SystemCallError, UnsupportedError } from "../errors.js";
import { BPF_PSEUDO, INSN_SIZE, Opcode, writeInsn } from "../insn/index.js";
import type { BpfMap } from "../map/index.js";
import { MapFlag, type MapSpec, MapType, ProgramType } from "../object/index.js";
import { Errno, MappedRegion, mapCreate, pageSize, progLoad } from "../syscall/index.js";
import type { RelocatedProgram } from "./relocate.js";

/** Maps an arena that exists now; `fill` puts its variables into it. */
export function shareArena(map: BpfMap, { fill }: { fill: boolean }): void {
  const { spec } = map;
  const { initialValue, mapExtra, maxEntries, flags } = spec;
  const offset = arenaDataOffset(spec);
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
export function placeArenaData(linked: RelocatedProgram): RelocatedProgram {
  if (!linked.relocations.some(refersToArena)) return linked;
  const relocations = linked.relocations.map((relocation) =>
    refersToArena(relocation)
      ? { ...relocation, offset: relocation.offset + arenaDataOffset(relocation.map) }
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
function arenaDataOffset({ initialValue, maxEntries }: MapSpec): number {
  if (initialValue === undefined) return 0;
  const page = pageSize();
  const size = Math.ceil(initialValue.length / page) * page;
  if (size > maxEntries * page) {
    const reason = `the arena has ${maxEntries * page} bytes, and its global variables take ${size}`;
    throw new ArgumentError(reason, { hint: "raise maxEntries, the number of pages" });
  }
  return encodesLargeOffsets() ? maxEntries * page - size : 0;
}

let largeOffsets: boolean | undefined;

/**
 * Whether the address of a map's value may have an offset of 32 bits (Linux 7.x; 29 bits before). Asked once: a program
 * with an offset of 1 GiB is refused anyway, but with another reason. libbpf: FEAT_LDIMM64_FULL_RANGE_OFF.
 */
function encodesLargeOffsets(): boolean {
  largeOffsets ??= probeLargeOffsets();
  return largeOffsets;
}

function probeLargeOffsets(): boolean {
  using map = mapCreate({ type: MapType.array, keySize: 4, valueSize: 1, maxEntries: 1, name: "bpfkit_probe" });
  const insns = new Uint8Array(3 * INSN_SIZE);
  writeInsn(insns, 0, { opcode: Opcode.LDIMM64, dst: 1, src: BPF_PSEUDO.MAP_VALUE, off: 0, imm: map.number });
  writeInsn(insns, 1, { opcode: 0, dst: 0, src: 0, off: 0, imm: 2 ** 30 });
  writeInsn(insns, 2, { opcode: Opcode.EXIT, dst: 0, src: 0, off: 0, imm: 0 });
  const buffer = new Uint8Array(4096);
  const log = { level: 1, buffer };
  const { fd } = progLoad({ type: ProgramType.socket_filter, insns, license: "GPL", log });
  fd?.close();
  const text = new TextDecoder().decode(buffer);
  return fd !== undefined || (text.includes("value_size=") && !text.includes("direct value offset"));
}
