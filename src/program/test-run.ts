// Running a program inside a call, on data of the caller's (BPF_PROG_TEST_RUN; libbpf.md 1.6): which types can, what each
// takes and gives, and refusals in a user's terms.

import { ArgumentError, addLocation, SystemCallError, UnsupportedError } from "../errors.js";
import { olderThan } from "../kernel/index.js";
import { programTypeName } from "../object/index.js";
import {
  type FileDescriptor,
  progTestRun,
  progTestRunAsync,
  type TestRunOptions,
  type TestRunResult,
} from "../syscall/index.js";

/** What to run a program on. */
export interface RunOptions {
  /** The packet; at least 14 bytes, an Ethernet header, for programs that see packets. */
  data?: Uint8Array | undefined;
  /**
   * The context: `struct __sk_buff`, `struct xdp_md`, the arguments of a raw tracepoint, what a `syscall` program is
   * given. Packets have one of their own; giving it is Linux 5.2, XDP 5.15.
   */
  context?: Uint8Array | undefined;
  /** How often to run it, 1 unless given. The packet is what the run before left. */
  repeat?: number | undefined;
  /** Runs raw tracepoint programs on this CPU. Linux 5.10. */
  cpu?: number | undefined;
  /**
   * XDP: what the program decides is done, with packets that are really sent and received. Without results. Linux 5.18.
   */
  liveFrames?: boolean | undefined;
  /** Packets at once with `liveFrames`, 64 unless given. */
  batchSize?: number | undefined;
  /** BPF_F_TEST_* besides those that the other options set. */
  flags?: number | undefined;
  /** Room for the packet afterwards in bytes; 4096 more than the packet unless given. */
  dataOutSize?: number | undefined;
}

/** What a run gave. */
export interface RunResult {
  /** What the program returned in its last run, unsigned 32 bits: `XDP_PASS` is 2, -1 is 4294967295. */
  readonly returnValue: number;
  /** The packet afterwards; empty for programs without packets. Of a flow dissector `struct bpf_flow_keys`. */
  readonly data: Uint8Array;
  /** The context afterwards, if one was given and the type gives it back; else empty. */
  readonly context: Uint8Array;
  /** Mean time of one run in nanoseconds; 0 for types that the kernel does not measure. */
  readonly duration: number;
}

/** First kernels by type, and how a run of the type gives back the context. */
const types: Readonly<Record<string, { since: string; context: "separate" | "in place" | "none" }>> = {
  socket_filter: { since: "4.12", context: "separate" },
  sched_cls: { since: "4.12", context: "separate" },
  sched_act: { since: "4.12", context: "separate" },
  xdp: { since: "4.12", context: "separate" },
  cgroup_skb: { since: "4.12", context: "separate" },
  lwt_in: { since: "4.12", context: "separate" },
  lwt_out: { since: "4.12", context: "separate" },
  lwt_xmit: { since: "4.12", context: "separate" },
  lwt_seg6local: { since: "4.18", context: "separate" },
  flow_dissector: { since: "5.1", context: "separate" },
  tracing: { since: "5.7", context: "none" },
  raw_tracepoint: { since: "5.10", context: "none" },
  raw_tracepoint_writable: { since: "5.10", context: "none" },
  sk_lookup: { since: "5.14", context: "separate" },
  syscall: { since: "5.14", context: "in place" },
  struct_ops: { since: "5.15", context: "none" },
  netfilter: { since: "6.4", context: "separate" },
};

/** UAPI linux/bpf.h. */
const BPF_F_TEST_RUN_ON_CPU = 1 << 0;
const BPF_F_TEST_XDP_LIVE_FRAMES = 1 << 1;
/** As much as programs can make a packet longer. */
const DATA_GROWTH = 4096;

/** A program as running needs it. */
interface Runnable {
  readonly name: string;
  readonly file: string;
  readonly spec: { readonly type: number };
  readonly descriptor: FileDescriptor;
}

/** What the kernel takes by itself. */
const LIVE_FRAMES_BATCH = 64;

/** Runs a loaded program; see `prog.testRun`. */
export function testRun(program: Runnable, options: RunOptions): RunResult {
  const run = new Run(program, options);
  try {
    return run.resultOf(progTestRun(run.request));
  } catch (error) {
    throw run.explained(error);
  }
}

/** Runs a loaded program on another thread; see `prog.testRunAsync`. */
export async function testRunAsync(program: Runnable, options: RunOptions): Promise<RunResult> {
  // Until the thread begins, the caller may close the program, or give its packet away.
  using descriptor = program.descriptor.duplicate();
  const run = new Run(
    program,
    options.data === undefined ? options : { ...options, data: new Uint8Array(options.data) },
  );
  try {
    return run.resultOf(await progTestRunAsync({ ...run.request, program: descriptor }));
  } catch (error) {
    throw run.explained(error);
  }
}

/** What is asked of the kernel, and what its answer means. */
class Run {
  readonly request: TestRunOptions;
  readonly #options: RunOptions;
  readonly #typeName: string;
  readonly #place: { readonly file: string; readonly program: string };

  /** @throws ArgumentError, StateError before load */
  constructor(program: Runnable, options: RunOptions) {
    this.#options = options;
    this.#place = { file: program.file, program: program.name };
    this.#typeName = programTypeName(program.spec.type) ?? String(program.spec.type);
    const { data, context, repeat, cpu, liveFrames = false, dataOutSize } = options;
    // The first kernels take no notice of the flag: they have to be given something that they refuse.
    const batchSize = options.batchSize ?? (liveFrames ? LIVE_FRAMES_BATCH : undefined);
    if (liveFrames && (this.#typeName !== "xdp" || dataOutSize !== undefined)) {
      throw new ArgumentError("liveFrames is for XDP programs, and gives no packets back", this.#place);
    }
    let flags = options.flags ?? 0;
    if (cpu !== undefined) flags |= BPF_F_TEST_RUN_ON_CPU;
    if (liveFrames) flags |= BPF_F_TEST_XDP_LIVE_FRAMES;
    const withData = data !== undefined && !liveFrames;
    const withContext = context !== undefined && !liveFrames && this.#contextForm === "separate";
    this.request = {
      program: program.descriptor,
      data,
      dataOutSize: dataOutSize ?? (withData ? data.length + DATA_GROWTH : 0),
      // The kernel writes into the context that it is given for some types: never into the caller's.
      context: context === undefined ? undefined : new Uint8Array(context),
      contextOutSize: withContext ? context.length : 0,
      repeat,
      flags,
      cpu,
      batchSize,
    };
  }

  get #contextForm(): string | undefined {
    return Object.hasOwn(types, this.#typeName) ? types[this.#typeName]?.context : undefined;
  }

  resultOf(result: TestRunResult): RunResult {
    const { context } = this.request;
    return {
      returnValue: result.returnValue,
      data: result.dataOut,
      context: this.#contextForm === "in place" && context !== undefined ? context : result.contextOut,
      duration: result.duration,
    };
  }

  explained(error: unknown): unknown {
    if (!(error instanceof SystemCallError)) return addLocation(error, this.#place);
    return explain(error, this.#typeName, this.#options, this.#place);
  }
}

/** What takes a newer kernel than the type itself. */
const optionsSince: readonly (readonly [option: keyof RunOptions, types: RegExp, since: string])[] = [
  ["context", /^(socket_filter|sched_|cgroup_skb|lwt_)/, "5.2"],
  ["context", /^xdp$/, "5.15"],
  ["cpu", /./, "5.10"],
  ["liveFrames", /./, "5.18"],
  ["batchSize", /./, "5.18"],
];

const hints: Readonly<Record<string, string>> = {
  EINVAL:
    "packets have at least 14 bytes; contexts have the size of their C structure, and zeros where the type takes nothing; " +
    "not every type takes every option",
  ENOSPC: "the packet or context does not fit any more: give more room with dataOutSize",
  EINTR: "a signal came while it was repeated",
  ENXIO: "the CPU is offline",
};

function explain(error: SystemCallError, type: string, options: RunOptions, place: { file: string; program: string }) {
  const since = Object.hasOwn(types, type) ? types[type]?.since : undefined;
  const unknown = error.errnoName === "ENOTSUPP" || error.errnoName === "EOPNOTSUPP";
  if (unknown || (since !== undefined && error.errnoName === "EINVAL" && olderThan(since))) {
    const hint =
      since === undefined || !olderThan(since)
        ? `the kernel does so for ${Object.keys(types).join(", ")}`
        : `it takes Linux ${since}`;
    return new UnsupportedError(`programs of type ${type} cannot be run by a call`, { ...place, cause: error, hint });
  }
  if (error.errnoName === "EINVAL" || error.errnoName === "E2BIG") {
    for (const [option, pattern, first] of optionsSince) {
      if (options[option] === undefined || !pattern.test(type) || !olderThan(first)) continue;
      return new UnsupportedError(`running programs of type ${type} with the option ${option} takes Linux ${first}`, {
        ...place,
        cause: error,
      });
    }
  }
  return new SystemCallError(error.reason, {
    ...place,
    operation: error.operation,
    errno: error.errno,
    errnoName: error.errnoName,
    hint: hints[error.errnoName] ?? error.hint,
    cause: error,
  });
}
