// Exclusive maps: what identifies the one program that may use a map (libbpf.md 3.3). Linux 6.18.

import { ObjectError } from "../errors.js";
import { BPF_PSEUDO, INSN_SIZE, isLdimm64, readInsn, setImm, setSource } from "../insn/index.js";
import type { LinkedProgram, MapSpec } from "../object/index.js";
import type { BpfMap } from "./bpf-map.js";
import type { BpfProgram } from "./bpf-program.js";
import { resolveMaps } from "./resolve-maps.js";

/**
 * SHA-256 over the instructions as the kernel will get them, computed as it does (`bpf_prog_calc_tag`): descriptors of maps
 * and offsets into them count as 0, because they are different each time. So it can be told before the maps exist.
 */
function programHash({ insns, ...linked }: LinkedProgram, maps: readonly BpfMap[]): Uint8Array {
  const copy = insns.slice();
  const specs = maps.map(({ spec }) => spec);
  // Maps that will not exist leave poison behind, which counts.
  const willExist = new Set<MapSpec>(specs.filter((_, i) => maps[i]!.autocreate || maps[i]!.loaded));
  resolveMaps({ ...linked, insns: copy }, specs, (map) => (willExist.has(map) ? 0 : undefined));
  for (const relocation of linked.relocations) {
    if (relocation.kind === "jumpTable") setSource(copy, relocation.insnIndex, BPF_PSEUDO.MAP_VALUE);
  }
  for (let index = 0; index < copy.length / INSN_SIZE; index++) {
    if (!isLdimm64(copy, index)) continue;
    const { src } = readInsn(copy, index);
    if (src === BPF_PSEUDO.MAP_FD || src === BPF_PSEUDO.MAP_VALUE) {
      setImm(copy, index, 0);
      setImm(copy, index + 1, 0);
    }
    index++;
  }
  // Loaded when asked for: at import it costs 2 ms that hardly anyone has use for.
  const { createHash } = process.getBuiltinModule("node:crypto");
  return new Uint8Array(createHash("sha256").update(copy).digest());
}

/**
 * The hash that a map is created with; undefined for maps that are for every program.
 *
 * @throws ObjectError when its program will not be loaded
 */
export function exclusiveHash(
  { exclusiveProgram: program }: BpfMap,
  programs: ReadonlyMap<BpfProgram, { readonly linked: LinkedProgram }>,
  maps: readonly BpfMap[],
): Uint8Array | undefined {
  if (program === undefined) return undefined;
  const prepared = programs.get(program);
  if (prepared !== undefined) return programHash(prepared.linked, maps);
  throw new ObjectError("OBJECT_INVALID", `the map is for program ${program.name} alone, which is not to be loaded`, {
    hint: "switch the program's autoload on, or the map's autocreate off",
  });
}
