// What programs and maps do without on kernels that lack a feature (libbpf.md 3.2 steps 6 and 11, 3.10): one row a
// feature. A fall-back is taken after the kernel has refused, or at once when it is known already what is missing.

import { SystemCallError, UnsupportedError } from "../errors.js";
import { INSN_SIZE, Opcode, readInsn, setImm } from "../insn/index.js";
import { type FeatureName, kernelHas, knownMissing, raiseMemlock, withMemlock } from "../kernel/index.js";
import { log } from "../log.js";
import { AttachType, MapFlag, type MapSpec, MapType, type ProgramSpec } from "../object/index.js";
import { type LoadedProgram, type LoadSteps, loadProgram, type VerifierLogOptions } from "../program/index.js";
import {
  Errno,
  type FileDescriptor,
  type MapCreateOptions,
  mapCreate,
  type ProgLoadOptions,
} from "../syscall/index.js";

/** Tells what is missing. */
type Lacks = (feature: FeatureName) => boolean;

/** A BPF token of the loader's, which the kernel is asked with, too. */
interface WithToken {
  readonly token?: FileDescriptor | undefined;
}

/** True when the kernel has shown before that it lacks a feature. Costs nothing. */
function knowsMissing({ token }: WithToken): Lacks {
  return (feature) => knownMissing(feature, token);
}

/** True when the kernel, asked now if not before, certainly lacks a feature. */
function asksKernel({ token }: WithToken): Lacks {
  return (feature) => kernelHas(feature, token) === false;
}

interface FallBack<Options, Spec> {
  readonly feature: FeatureName;
  /** Whether the request uses the feature. */
  readonly uses: (options: Options, spec: Spec) => boolean;
  readonly without: (options: Options) => Options;
}

const programFallBacks: readonly FallBack<ProgLoadOptions, ProgramSpec>[] = [
  {
    feature: "prog_name",
    uses: ({ name }) => name !== undefined,
    without: (options) => ({ ...options, name: undefined }),
  },
  {
    feature: "exp_attach_type",
    uses: ({ expectedAttachType = 0 }, { definition }) =>
      expectedAttachType !== 0 && definition?.flags.includes("optionalAttachType") === true,
    without: (options) => ({ ...options, expectedAttachType: 0 }),
  },
  {
    feature: "btf_func",
    uses: ({ funcInfo, lineInfo }) => funcInfo !== undefined || lineInfo !== undefined,
    without: (options) => ({ ...options, btf: undefined, funcInfo: undefined, lineInfo: undefined }),
  },
  {
    feature: "probe_read_kern",
    uses: ({ insns }) => probeReads(insns).length > 0,
    without: (options) => ({ ...options, insns: withOldProbeReads(options.insns) }),
  },
];

const mapFallBacks: readonly FallBack<MapCreateOptions, MapSpec>[] = [
  {
    feature: "prog_name",
    uses: ({ name }) => name !== undefined,
    without: (options) => ({ ...options, name: undefined }),
  },
  {
    feature: "array_mmap",
    // Where a user asked for a mappable map, another one would not do.
    uses: ({ flags = 0 }, { dataKind }) => dataKind !== undefined && (flags & MapFlag.MMAPABLE) !== 0,
    without: (options) => ({ ...options, flags: (options.flags ?? 0) & ~MapFlag.MMAPABLE }),
  },
];

function applyAll<Options, Spec extends { readonly name: string }>(
  rows: readonly FallBack<Options, Spec>[],
  options: Options,
  spec: Spec,
  lacks: Lacks,
): Options {
  let result = options;
  for (const row of rows) {
    if (!row.uses(result, spec) || !lacks(row.feature)) continue;
    log.debug(() => `${spec.name}: the kernel lacks ${row.feature}, doing without`);
    result = row.without(result);
  }
  return result;
}

/** The request without what the kernel lacks; the same object when nothing had to be changed. */
export function adaptProgram(options: ProgLoadOptions, spec: ProgramSpec, lacks: Lacks): ProgLoadOptions {
  return applyAll(programFallBacks, options, spec, lacks);
}

/** The request without what the kernel lacks; the same object when nothing had to be changed. */
export function adaptMap(options: MapCreateOptions, spec: MapSpec, lacks: Lacks): MapCreateOptions {
  return applyAll(mapFallBacks, options, spec, lacks);
}

/** Bytes for what the kernel has to say about a map: a line or two. */
const MAP_LOG_SIZE = 4096;

/**
 * Creates a map. Where the kernel can say why it refuses one (`bpf_syscall_common_attrs`, Linux 7.0) the error has its
 * words: as for programs, a log is asked for after the refusal.
 *
 * @throws SystemCallError
 */
export function createExplained(options: MapCreateOptions & WithToken): FileDescriptor {
  try {
    return withMemlock(() => mapCreate(options));
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno === Errno.EPERM) throw error;
    if (kernelHas("bpf_syscall_common_attrs", options.token) !== true) throw error;
    return mapCreate({ ...options, log: { level: 1, buffer: new Uint8Array(MAP_LOG_SIZE) } });
  }
}

/**
 * Creates a map; when it is refused, once more without what the kernel turns out to lack. Flags that were dropped are
 * dropped from the spec too.
 *
 * @throws SystemCallError, UnsupportedError for a data section where the kernel has no global variables
 */
export function createWithFallBacks(wanted: MapCreateOptions & WithToken, spec: MapSpec): FileDescriptor {
  let options = adaptMap(wanted, spec, knowsMissing(wanted));
  const create = (): FileDescriptor => {
    const map = createExplained({ ...options, token: wanted.token });
    if (options.flags !== undefined) spec.flags = options.flags;
    return map;
  };
  try {
    return create();
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno === Errno.EPERM) throw error;
    if (spec.dataKind !== undefined && asksKernel(wanted)("global_data")) {
      throw new UnsupportedError("this kernel has no global variables; they came with Linux 5.2", { cause: error });
    }
    if (options.exclusiveProgramHash !== undefined && lacksExclusiveMaps(wanted)) {
      throw new UnsupportedError("this kernel has no maps for one program alone; they came with Linux 6.18", {
        cause: error,
      });
    }
    const adapted = adaptMap(options, spec, asksKernel(wanted));
    if (adapted === options) throw error;
    options = adapted;
    return create();
  }
}

/** Asked after a refusal: fields that a kernel does not know are E2BIG or EINVAL, like much else. */
function lacksExclusiveMaps({ token }: WithToken): boolean {
  const exclusiveProgramHash = new Uint8Array(32);
  try {
    mapCreate({ type: MapType.array, keySize: 4, valueSize: 4, maxEntries: 1, exclusiveProgramHash, token }).close();
    return false;
  } catch (error) {
    return error instanceof SystemCallError && (error.errno === Errno.E2BIG || error.errno === Errno.EINVAL);
  }
}

/** bpf_probe_read_user, …_kernel and their string variants, and what did for both before Linux 5.5. */
const oldHelpers: ReadonlyMap<number, number> = new Map([
  [112, 4],
  [113, 4],
  [114, 45],
  [115, 45],
]);

/** Indices of the calls that {@link withOldProbeReads} changes. */
function probeReads(insns: Uint8Array): number[] {
  const found: number[] = [];
  for (let index = 0; index < insns.length / INSN_SIZE; index++) {
    if (insns[index * INSN_SIZE] !== Opcode.CALL) continue;
    const { src, imm } = readInsn(insns, index);
    // Calls of functions other than helpers have a source register.
    if (src === 0 && oldHelpers.has(imm)) found.push(index);
  }
  return found;
}

function withOldProbeReads(insns: Uint8Array): Uint8Array {
  const copy = insns.slice();
  for (const index of probeReads(insns)) setImm(copy, index, oldHelpers.get(readInsn(insns, index).imm)!);
  return copy;
}

/**
 * Programs on USDT probes attach to all places by one link where the kernel has such links. Written to the spec, where
 * the user can see it, as with libbpf. One probe per process, and only for objects with such programs.
 */
export function settleAttachType(spec: ProgramSpec, token?: FileDescriptor | undefined): void {
  if (spec.definition?.flags.includes("usdt") !== true || kernelHas("uprobe_multi_link", token) !== true) return;
  spec.expectedAttachType = AttachType.trace_uprobe_multi;
}

/**
 * Loads a program; when it is refused, once more without what the kernel turns out to lack.
 *
 * @returns also the instructions that were loaded
 */
export function* loadWithFallBacks(
  wanted: ProgLoadOptions & WithToken,
  spec: ProgramSpec,
  logOptions: VerifierLogOptions,
): LoadSteps<LoadedProgram & { readonly insns: Uint8Array }> {
  let program = adaptProgram(wanted, spec, knowsMissing(wanted));
  let result = yield* loadProgram(program, logOptions);
  if (result.fd === undefined && result.errno === Errno.EPERM && raiseMemlock()) {
    result = yield* loadProgram(program, logOptions);
  }
  if (result.fd === undefined && result.errno !== Errno.EPERM) {
    const adapted = adaptProgram(program, spec, asksKernel(wanted));
    if (adapted !== program) {
      program = adapted;
      result = yield* loadProgram(program, logOptions);
    }
  }
  return { ...result, insns: program.insns };
}
