// One experiment per feature of libbpf.md 3.10: what a kernel can do is found out by doing it, since distributions move
// features between versions and configurations take them away.

import { BtfLinkage } from "../btf/index.js";
import { SystemCallError } from "../errors.js";
import { BPF_PSEUDO, Opcode } from "../insn/index.js";
import {
  btfNameErrno,
  commonAttrsErrno,
  Errno,
  errnoOf,
  type LinkCreateOptions,
  linkCreate,
  perfEventOpen,
  progBindMap,
  readTextFile,
  uprobeSyscallErrno,
} from "../syscall/index.js";
import {
  type Answer,
  add,
  answerOf,
  call,
  copy,
  exit,
  insns,
  returnZero,
  set,
  tryBtf,
  tryMap,
  tryProgram,
  tryProgramWithLog,
  withProgram,
} from "./experiments.js";
import { perfUnit } from "./perf-units.js";
import { Attach, MapKind, MMAPABLE, Program } from "./uapi.js";

/** Helper numbers (UAPI enum bpf_func_id). */
const Helper = { probeReadKernel: 113, ktimeGetCoarseNs: 160, getFuncIp: 173, getAttachCookie: 174 } as const;

/** An array of one element. */
const array = { type: MapKind.array, keySize: 4, maxEntries: 1 } as const;

/** A program or map is refused when its name is. */
export function probeProgramName(): Answer {
  return answerOf(tryProgram({ type: Program.socketFilter, name: "bpfkit_probe" }));
}

/** A program that writes into the value of an array by address. */
export function probeGlobalData(): Answer {
  // STX | MEM | DW.
  const store = { opcode: 0x7b, dst: 1, src: 0 };
  return tryMap({ ...array, valueSize: 32 }, (map) => {
    const address = { opcode: Opcode.LDIMM64, dst: 1, src: BPF_PSEUDO.MAP_VALUE, imm: map.number };
    const program = insns(set(0, 0), address, { imm: 16 }, store, exit);
    return answerOf(tryProgram({ type: Program.socketFilter, insns: program }));
  });
}

export function probeBtf(): Answer {
  return tryBtf((btf) => btf.addInt("int", 4));
}

/** `int f(int a)`, static or global. */
function probeFunction(linkage: typeof BtfLinkage.Static | typeof BtfLinkage.Global): Answer {
  return tryBtf((btf) => {
    const int = btf.addInt("int", 4, { signed: true });
    btf.addFunc("f", btf.addFuncProto(int, [{ name: "a", type: int }]), linkage);
  });
}

export const probeBtfFunction = (): Answer => probeFunction(BtfLinkage.Static);
export const probeBtfGlobalFunction = (): Answer => probeFunction(BtfLinkage.Global);

/** A data section with one variable. */
function probeSection(name: string): Answer {
  return tryBtf((btf) => {
    const variable = btf.addVar("v", btf.addInt("int", 4), BtfLinkage.Static);
    btf.addDataSec(name, 4, [{ type: variable, offset: 0, size: 4 }]);
  });
}

export const probeBtfDataSection = (): Answer => probeSection(".data");
export const probeBtfQuestionMark = (): Answer => probeSection("?.data");

export function probeBtfFloat(): Answer {
  return tryBtf((btf) => btf.addFloat("float", 4));
}

export function probeBtfDeclTag(): Answer {
  return tryBtf((btf) => btf.addDeclTag("tag", btf.addTypedef("t", btf.addInt("int", 4))));
}

export function probeBtfTypeTag(): Answer {
  return tryBtf((btf) => btf.addPtr(btf.addTypeTag("tag", btf.addInt("int", 4))));
}

export function probeBtfEnum64(): Answer {
  return tryBtf((btf) => btf.addEnum64("e", [{ name: "v", value: 1n }]));
}

export function probeBtfLayout(): Answer {
  return tryBtf((btf) => btf.addInt("int", 4), undefined, { layout: true });
}

/** Modules have BTF of their own since type information has a name to tell it by. */
export function probeModuleBtf(): Answer {
  return tryBtf(
    (btf) => btf.addInt("int", 4),
    (btf) => answerOf(btfNameErrno(btf)),
  );
}

export function probeArrayMmap(): Answer {
  return tryMap({ ...array, valueSize: 4, flags: MMAPABLE });
}

/** Programs on sockets know attach types since the field exists; without such programs nothing can be told. */
export function probeExpectedAttachType(): Answer {
  const type = Program.cgroupSock;
  const answer = answerOf(tryProgram({ type, expectedAttachType: Attach.cgroupSockCreate }));
  return answer === false && tryProgram({ type }) !== 0 ? undefined : answer;
}

export function probeProbeReadKernel(): Answer {
  const program = insns(copy(1, 10), add(1, -8), set(2, 8), set(3, 0), call(Helper.probeReadKernel), ...returnZero);
  return answerOf(tryProgram({ type: Program.tracepoint, insns: program }));
}

export function probeBindMap(): Answer {
  return tryMap({ ...array, valueSize: 32 }, (map) =>
    withProgram({ type: Program.socketFilter }, (program) => answerOf(errnoOf(() => progBindMap({ program, map })))),
  );
}

/** This helper came with the kernel that stopped counting BPF memory against RLIMIT_MEMLOCK. */
export function probeMemcgAccount(): Answer {
  const program = insns(call(Helper.ktimeGetCoarseNs), exit);
  return answerOf(tryProgram({ type: Program.socketFilter, insns: program }));
}

export function probeCookie(): Answer {
  return answerOf(tryProgram({ type: Program.tracepoint, insns: insns(call(Helper.getAttachCookie), exit) }));
}

/** errno of a link that cannot succeed. */
function linkErrno(options: LinkCreateOptions): number {
  return errnoOf(() => linkCreate(options).close());
}

/** A kernel with links of perf events looks at the descriptor of the event. */
export function probePerfLink(): Answer {
  return withProgram({ type: Program.tracepoint }, (program) =>
    wanted(linkErrno({ program, target: -1, attachType: Attach.perfEvent, family: "perf_event" }), Errno.EBADF),
  );
}

/**
 * Links of many uprobes whose choice of a process works: the first kernels compared the id with that of a thread. Both
 * show in the order in which wrong arguments are refused: a directory is no executable (EBADF), a negative process id
 * is invalid (EINVAL) only since the correction.
 */
export function probeUprobeMulti(): Answer {
  const load = { type: Program.kprobe, expectedAttachType: Attach.traceUprobeMulti };
  const errno = tryProgram(load);
  if (errno !== 0) return answerOf(errno);
  return withProgram(load, (program) => {
    const link = {
      program,
      attachType: Attach.traceUprobeMulti,
      family: "uprobe_multi",
      path: "/",
      offsets: new BigUint64Array(1),
    } as const;
    if (wanted(linkErrno(link), Errno.EBADF) !== true) return false;
    return wanted(linkErrno({ ...link, pid: 0xffff_ffff }), Errno.EINVAL);
  });
}

/** A sub-program of a kprobe calls what only takes a context; its own prototype says `void *`. */
export function probeArgCtxTag(): Answer {
  let main = 0;
  let sub = 0;
  return tryBtf(
    (btf) => {
      const int = btf.addInt("int", 4, { signed: true });
      const proto = btf.addFuncProto(int, [{ name: "ctx", type: btf.addPtr(0) }]);
      main = btf.addFunc("main", proto, BtfLinkage.Global);
      sub = btf.addFunc("sub", proto, BtfLinkage.Global);
      btf.addDeclTag("arg:ctx", sub, 0);
    },
    (btf) => {
      const callSub = { opcode: Opcode.CALL, src: BPF_PSEUDO.CALL, imm: 1 };
      const program = insns(callSub, exit, call(Helper.getFuncIp), exit);
      const funcInfo = new Uint8Array(new Uint32Array([0, main, 2, sub]).buffer);
      const info = { bytes: funcInfo, recordSize: 8 };
      const kernelVersion = 1;
      return answerOf(tryProgram({ type: Program.kprobe, insns: program, btf, funcInfo: info, kernelVersion }));
    },
  );
}

/** Both kinds of kernel refuse to address a gigabyte into four bytes, for different reasons. */
export function probeWideOffsets(): Answer {
  return tryMap({ ...array, valueSize: 4 }, (map) => {
    const address = { opcode: Opcode.LDIMM64, dst: 1, src: BPF_PSEUDO.MAP_VALUE, imm: map.number };
    const program = insns(address, { imm: 1 << 30 }, ...returnZero);
    const { errno, log } = tryProgramWithLog({ type: Program.socketFilter, insns: program });
    if (log.includes("direct value offset")) return false;
    return log.includes("invalid access to map value pointer") ? true : answerOf(errno);
  });
}

/** A call that only trampolines may make is refused by its own error where it exists. */
export function probeUprobeSyscall(): Answer {
  return uprobeSyscallErrno() === Errno.ENXIO;
}

export function probeCommonAttrs(): Answer {
  return wanted(commonAttrsErrno(), Errno.EFAULT);
}

/** Prefix of system call functions by `process.arch`; loong64 has no wrappers. */
const wrapperPrefixes: Readonly<Record<string, string>> = { x64: "x64", arm64: "arm64", riscv64: "riscv" };

/** Whether system calls have a wrapper that takes a pt_regs: asked by a kprobe, else of the list of symbols. */
export function probeSyscallWrapper(): Answer {
  const prefix = wrapperPrefixes[process.arch];
  if (prefix === undefined) return false;
  const symbol = `__${prefix}_sys_bpf`;
  const unit = perfUnit("kprobe");
  if (unit !== undefined) {
    try {
      perfEventOpen({ type: unit.type, config: 0, config1: symbol, disabled: true }).close();
      return true;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      if (error.errno === Errno.ENOENT) return false;
    }
  }
  const symbols = readTextFile("/proc/kallsyms");
  return symbols === undefined || symbols === "" ? undefined : symbols.includes(` ${symbol}\n`);
}

/** True for the errno that a kernel with the feature gives; success would be as surprising as any other refusal. */
function wanted(errno: number, expected: number): Answer {
  if (errno === expected) return true;
  return errno === 0 ? false : answerOf(errno);
}
