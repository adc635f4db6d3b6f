// Jump tables of one program in the kernel: a frozen map of instruction indices for each, which the verifier keeps true
// while it rewrites the program (libbpf.md 3.7 point 8). Linux 7.0.

import { withLocation } from "../errors.js";
import { BPF_PSEUDO, setImm, setSource } from "../insn/index.js";
import { type LinkedProgram, MapType } from "../object/index.js";
import { type FileDescriptor, mapFreeze, mapUpdate } from "../syscall/index.js";
import { createExplained } from "./fall-backs.js";

/** UAPI struct bpf_insn_array_value: { orig_off, xlated_off, jitted_off, pad }, of which the first is given. */
const VALUE_SIZE = 16;

/** The maps of one program's tables; it holds them itself once it is loaded. */
export class JumpTableMaps implements Disposable {
  readonly #maps = new Map<number, FileDescriptor>();

  /**
   * Creates a map for each table of the program, and writes its descriptor into the instructions that load it.
   * @throws SystemCallError (EINVAL where the kernel does not know such maps)
   */
  constructor({ insns, relocations }: LinkedProgram, token: FileDescriptor | undefined) {
    try {
      for (const relocation of relocations) {
        if (relocation.kind !== "jumpTable") continue;
        const { insnIndex, tableOffset, targets } = relocation;
        let map = this.#maps.get(tableOffset);
        if (map === undefined) {
          map = create(targets.length, token);
          this.#maps.set(tableOffset, map);
          fill(map, targets);
        }
        setSource(insns, insnIndex, BPF_PSEUDO.MAP_VALUE);
        setImm(insns, insnIndex, map.number);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    for (const map of this.#maps.values()) map.close();
    this.#maps.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function create(entries: number, token: FileDescriptor | undefined): FileDescriptor {
  const sizes = { keySize: 4, valueSize: VALUE_SIZE, maxEntries: entries };
  return withLocation({ section: ".jumptables" }, () =>
    createExplained({ type: MapType.insn_array, name: ".jumptables", ...sizes, token }),
  );
}

function fill(map: FileDescriptor, targets: readonly number[]): void {
  const key = new Uint8Array(4);
  const value = new Uint8Array(VALUE_SIZE);
  targets.forEach((target, index) => {
    new DataView(key.buffer).setUint32(0, index, true);
    new DataView(value.buffer).setUint32(0, target, true);
    mapUpdate({ map, key, value });
  });
  mapFreeze(map);
}
