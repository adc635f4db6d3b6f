// Probes of maps, BTF kinds and helpers: one call that the kernel accepts or refuses.

import { mkdtempSync, openSync, readdirSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bpf, call, ProbeError, struct, text, withDescriptors } from "./calls.js";
import {
  callingProgram,
  createCounter,
  createMap,
  load,
  loadBtf,
  type ProgramOptions,
  readingProgram,
  signedMoveProgram,
  Type,
} from "./programs.js";

/** Size of a page, the smallest ring. */
const PAGE = process.arch === "arm64" ? 65536 : 4096;
const MMAPABLE = 1 << 10;
export const SLEEPABLE = 1 << 4;
const INODE_STORAGE = 28;

/** A map of this type is created. */
export function mapProbe(type: number, key: number, value: number, entries: number, flags = 0): () => void {
  return () => withDescriptors((own) => void own(createMap(type, key, value, entries, flags)));
}

export const ringProbe: () => void = mapProbe(27, 0, 0, PAGE);
export const userRingProbe: () => void = mapProbe(31, 0, 0, PAGE);
export const bloomProbe: () => void = mapProbe(30, 0, 8, 16);
export const arenaProbe: () => void = mapProbe(33, 0, 0, 4, MMAPABLE);
export const insnArrayProbe: () => void = mapProbe(34, 4, 16, 1);
export const growingHashProbe: () => void = mapProbe(35, 4, 8, 16, 1);
export const sockmapProbe: () => void = mapProbe(15, 4, 8, 1);
export const mmapableProbe: () => void = mapProbe(2, 4, 8, 1, MMAPABLE);

/** The first page of the kernel's types is mapped. */
export function mappedTypesProbe(): void {
  const [PROT_READ, MAP_PRIVATE] = [1, 2];
  withDescriptors((own) => {
    const fd = own(openSync("/sys/kernel/btf/vmlinux", "r"));
    call("munmap", call("mmap", 0, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), PAGE);
  });
}

/** A local storage is created, which needs type information. */
export function storageProbe(type: number): () => void {
  const NO_PREALLOC = 1;
  const SIGNED = 1 << 24;
  return () =>
    withDescriptors((own) => {
      const btf = own(loadBtf([1, 1 << 24, 4, SIGNED | 32], "\0int"));
      const types = [
        [48, "u32", btf],
        [52, "u32", 1],
        [56, "u32", 1],
      ] as const;
      const map = own(createMap(type, 4, 4, 0, NO_PREALLOC, types));
      if (type !== INODE_STORAGE) return;
      // Created everywhere, but inodes have room for it only while BPF is among the security modules.
      const directory = mkdtempSync(join(tmpdir(), "bpfkit-probe-"));
      try {
        const inode = own(openSync(directory, "r"));
        const fields = [
          [0, "u32", map],
          [8, "u64", struct(4, [[0, "u32", inode]])],
          [16, "u64", struct(4, [])],
        ] as const;
        bpf(2, 32, fields, "map update");
      } finally {
        rmdirSync(directory);
      }
    });
}

/** BPF_MAP_LOOKUP_ELEM of one CPU's value. */
export function cpuValueProbe(): void {
  withDescriptors((own) => {
    const PERCPU_ARRAY = 6;
    const BPF_F_CPU = 8;
    const fields = [
      [0, "u32", own(createMap(PERCPU_ARRAY, 4, 8, 1))],
      [8, "u64", struct(4, [])],
      [16, "u64", struct(8, [])],
      [24, "u64", BPF_F_CPU],
    ] as const;
    bpf(1, 32, fields, "lookup of one CPU's value");
  });
}

/** BPF_MAP_LOOKUP_BATCH of an array. */
export function batchProbe(): void {
  withDescriptors((own) => {
    const map = own(createCounter());
    const [next, keys, values] = [struct(4, []), struct(4, []), struct(8, [])];
    const fields = [
      [8, "u64", next],
      [16, "u64", keys],
      [24, "u64", values],
      [32, "u32", 1],
      [36, "u32", map],
    ] as const;
    bpf(24, 56, fields, "batch lookup");
  });
}

/** BPF_MAP_LOOKUP_AND_DELETE_ELEM of a hash; queues and stacks have had it longer. */
export function lookupDeleteProbe(): void {
  withDescriptors((own) => {
    const map = own(createMap(1, 4, 8, 1));
    const [key, value] = [struct(4, []), struct(8, [])];
    const fields = [
      [0, "u32", map],
      [8, "u64", key],
      [16, "u64", value],
    ] as const;
    bpf(2, 32, fields, "map update");
    bpf(21, 32, fields, "lookup and delete");
  });
}

/** A program of this type that calls this helper is loaded. */
export function helperProbe(type: number, helper: number): () => void {
  return () => withDescriptors((own) => void own(load(type, 0, { body: callingProgram(helper) })));
}

/** A program of this type that reads 8 bytes of its context is loaded. */
export function contextProbe(type: number, offset: number, options: ProgramOptions): () => void {
  return () => withDescriptors((own) => void own(load(type, 0, { ...options, body: readingProgram(offset) })));
}

/** A program with an instruction of the fourth set is loaded. */
export function signedMoveProbe(): void {
  withDescriptors((own) => void own(load(Type.socketFilter, 0, { body: signedMoveProgram() })));
}

/** BPF_OBJ_PIN with a directory descriptor: where the flag is known, a directory outside bpffs is refused by other errors. */
export function pinPathFdProbe(): void {
  withDescriptors((own) => {
    const map = own(createCounter());
    const directory = own(openSync("/", "r"));
    const PATH_FD = 1 << 14;
    try {
      const fields = [
        [0, "u64", text("bpfkit-probe")],
        [8, "u32", map],
        [12, "u32", PATH_FD],
        [16, "u32", directory],
      ] as const;
      bpf(6, 20, fields, "OBJ_PIN");
    } catch (error) {
      if (!(error instanceof ProbeError) || error.message.endsWith(": EINVAL")) throw error;
    }
  });
}

/** BPF_MAP_CREATE with the hash of a program. */
export function exclusiveMapProbe(): void {
  const fields = [
    [0, "u32", 2],
    [4, "u32", 4],
    [8, "u32", 8],
    [12, "u32", 1],
    [80, "u64", new Uint8Array(32)],
    [88, "u32", 32],
  ] as const;
  withDescriptors((own) => void own(bpf(0, 92, fields, "map for one program")));
}

/** BPF_PROG_ASSOC_STRUCT_OPS: where the command is known, other things than the command are wrong. */
export function assocStructOpsProbe(): void {
  try {
    bpf(
      38,
      12,
      [
        [0, "u32", 0xffff_ffff],
        [4, "u32", 0xffff_ffff],
      ],
      "PROG_ASSOC_STRUCT_OPS",
    );
  } catch (error) {
    if (!(error instanceof ProbeError) || error.message.endsWith(": EINVAL")) throw error;
  }
}

/** BPF_TOKEN_CREATE of something that is no BPF file system: known where the descriptor is looked at. */
export function tokenProbe(): void {
  try {
    bpf(36, 8, [[4, "u32", -1]], "TOKEN_CREATE");
  } catch (error) {
    if (!(error instanceof ProbeError) || !error.message.endsWith(": EBADF")) throw error;
  }
}

/** BPF_MAP_CREATE of a hash, with a buffer for a log behind it. */
export function commonAttrsProbe(): void {
  withDescriptors((own) => {
    const attr = struct(72, [
      [0, "u32", 1],
      [4, "u32", 4],
      [8, "u32", 4],
      [12, "u32", 1],
    ]);
    const common = struct(24, [
      [0, "u64", new Uint8Array(256)],
      [8, "u32", 256],
      [12, "u32", 1],
    ]);
    own(call("bpf", (1 << 16) | 0, attr, 72, common, 24));
  });
}

/** BPF_PROG_BIND_MAP. */
export function bindMapProbe(): void {
  withDescriptors((own) => {
    const program = own(load(Type.socketFilter, own(createCounter())));
    bpf(
      35,
      12,
      [
        [0, "u32", program],
        [4, "u32", own(createCounter())],
      ],
      "PROG_BIND_MAP",
    );
  });
}

/** A sleepable program of type syscall. */
export function syscallProgramProbe(): void {
  withDescriptors((own) => void own(load(Type.syscall, own(createCounter()), { flags: SLEEPABLE })));
}

/** BTF with one type of a kind beside an int. Words: name offset, info (kind << 24, count), size or type, rest. */
export function btfProbe(kind: "float" | "declTag" | "typeTag" | "enum64"): () => void {
  const int = [1, 1 << 24, 4, 32];
  const words = {
    float: [5, 16 << 24, 4],
    declTag: [...typedefOfInt, 9, 17 << 24, 2, 0xffffffff],
    typeTag: [9, 18 << 24, 1],
    enum64: [5, (19 << 24) | 1, 8, 9, 0, 0],
  }[kind];
  return () => withDescriptors((own) => void own(loadBtf([...int, ...words], "\0int\0one\0two")));
}

/** A declaration tag needs something that is declared. */
const typedefOfInt = [5, 8 << 24, 1];

/** BTF of at least one module. */
export function moduleBtfProbe(): void {
  const names = readdirSync("/sys/kernel/btf").filter((name) => name !== "vmlinux");
  if (names.length === 0) throw new ProbeError("no module has BTF");
}
