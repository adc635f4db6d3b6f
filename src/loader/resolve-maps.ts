// The last relocation before the verifier: file descriptors of the maps that now exist (libbpf.md 3.7 point 6).

import { BPF_CALL_INSN, BPF_PSEUDO, setImm, setSource, writeInsn } from "../insn/index.js";
import type { LinkedProgram, MapSpec } from "../object/index.js";

/** Call number that stands for a map which was not created: 2001000000 + index of the map in the object. */
export const MAP_POISON_BASE = 2001000000;

/**
 * Writes map descriptors (and offsets into data maps) into a linked program, in place. A map without a descriptor
 * (autocreate off) poisons both halves of the load: dead code is then removed by the verifier, live code fails with a
 * call number that the log fix-up recognises.
 */
export function resolveMaps(
  linked: LinkedProgram,
  maps: readonly MapSpec[],
  fdOf: (map: MapSpec) => number | undefined,
): void {
  const { insns } = linked;
  for (const relocation of linked.relocations) {
    if (relocation.kind !== "map" && relocation.kind !== "data") continue;
    const { insnIndex, map } = relocation;
    const fd = fdOf(map);
    if (fd === undefined) {
      const call = { ...BPF_CALL_INSN, imm: MAP_POISON_BASE + maps.indexOf(map) };
      writeInsn(insns, insnIndex, call);
      writeInsn(insns, insnIndex + 1, call);
      continue;
    }
    setSource(insns, insnIndex, relocation.kind === "map" ? BPF_PSEUDO.MAP_FD : BPF_PSEUDO.MAP_VALUE);
    setImm(insns, insnIndex, fd);
    setImm(insns, insnIndex + 1, relocation.kind === "map" ? 0 : relocation.offset);
  }
}
