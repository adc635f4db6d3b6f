// A program of an object with everything a user does to it: the declaration and descriptor of the floor below, and
// attaching.

import { ArgumentError, addLocation, SystemCallError, UnsupportedError } from "../errors.js";
import {
  attachCgroup,
  attachFreplace,
  attachIter,
  attachKprobe,
  attachKprobeMulti,
  attachKsyscall,
  attachLirc,
  attachNetfilter,
  attachNetkit,
  attachNetns,
  attachPerfEvent,
  attachRawTracepoint,
  attachSocket,
  attachSockmap,
  attachTc,
  attachTcx,
  attachTrace,
  attachTracepoint,
  attachTracingMulti,
  attachUprobe,
  attachUprobeMulti,
  attachUsdt,
  attachXdp,
  autoAttach,
  BpfLink,
  type CgroupOptions,
  type FunctionSet,
  type IterLink,
  type IterOptions,
  type KprobeMultiOptions,
  type KprobeOptions,
  type KsyscallOptions,
  type NetfilterOptions,
  type NetkitOptions,
  type PerfEventAttachOptions,
  type PerfEventSpec,
  type RawTracepointOptions,
  type TcLink,
  type TcOptions,
  type TcxOptions,
  type TraceOptions,
  type TracepointOptions,
  type TracingFunctions,
  type TracingMultiOptions,
  type UprobeMultiOptions,
  type UprobeOptions,
  type UsdtOptions,
  type XdpOptions,
} from "../link/index.js";
import type { BpfMap } from "../map/index.js";
import type { AttachTypeName, ProgramSpec } from "../object/index.js";
import { type LoadSteps, type ObjectTypes, ProgramHandle, type ProgramTarget } from "../program/index.js";
import { Errno, type FdLike, progAssocStructOps } from "../syscall/index.js";
import { runInPlace } from "./steps.js";

/** What a clone has of its own; the rest is as the program has it. libbpf: `struct bpf_prog_load_opts`. */
export interface CloneOptions {
  /** In the kernel and in messages. */
  name?: string | undefined;
  /** What the section name would say after its kind: `vfs_read` for a program of `fentry/…`. */
  attachTarget?: string | undefined;
  /** The loaded program whose function that is. */
  attachTargetProgram?: ProgramTarget | undefined;
  expectedAttachType?: AttachTypeName | number | undefined;
  /** BPF_F_* load flags, all of them. */
  flags?: number | undefined;
  ifindex?: number | undefined;
  /** Verifier log level, 0 unless given: never the program's or the object's. */
  logLevel?: number | undefined;
  /** Bytes of the log's first buffer; the object's unless given. */
  logSize?: number | undefined;
}

/** @internal What a program asks of its object. */
export interface ProgramOwner {
  readonly types: ObjectTypes;
  /** How a handler of the user's attaches a program; undefined for sections that bpfkit knows. */
  attacher(program: BpfProgram): ((program: BpfProgram) => BpfLink | undefined) | undefined;
  /** A map of the object. */
  map(name: string): BpfMap | undefined;
  /** Steps of loading a clone. @throws StateError unless the object is prepared or loaded */
  clone(program: BpfProgram, options: CloneOptions): LoadSteps<ProgramClone>;
  /** Runs them off the event loop; the object's descriptors stay open meanwhile. */
  runAsync<T extends Disposable>(steps: LoadSteps<T>): Promise<T>;
}

/**
 * A BPF program. Links made here belong to the object: they are closed with it, unless they were closed before.
 *
 * libbpf: `struct bpf_program`.
 */
export class BpfProgram extends ProgramHandle {
  readonly #owner: ProgramOwner;
  readonly #links = new Set<BpfLink>();

  /** @internal */
  constructor(spec: ProgramSpec, file: string, owner: ProgramOwner) {
    super(spec, file, owner.types);
    this.#owner = owner;
  }

  /**
   * Loads one more copy of the program, with another attach target, other flags and so on, from the prepared or loaded
   * object. The copy is the caller's: close it, or use `using`. What `options` do not say is as the program has it,
   * without its log level. The program itself need not be loaded (switch its `autoload` off after prepare()). The
   * verifier runs on another thread. libbpf: `bpf_program__clone`.
   *
   * @throws StateError before prepare(), and for programs whose autoload was off then; else what load() throws
   */
  async clone(options: CloneOptions = {}): Promise<ProgramClone> {
    return this.#owner.runAsync(this.#owner.clone(this, options));
  }

  /** {@link clone} in place: blocks until the verifier is done. */
  cloneSync(options: CloneOptions = {}): ProgramClone {
    return runInPlace(this.#owner.clone(this, options));
  }

  /**
   * Attaches to the hook that the section name names. libbpf: `bpf_program__attach`.
   *
   * @throws UnsupportedError when the section names no hook, StateError while the program is not loaded,
   *   SystemCallError with code `ATTACH`
   */
  attach(): BpfLink {
    const link = this.autoAttach();
    if (link !== undefined) return link;
    throw new UnsupportedError(`section ${this.sectionName} does not say what to attach to`, {
      file: this.file,
      program: this.name,
      hint: "attach it by hand, for example with attachTracepoint(category, name)",
    });
  }

  /** @internal The same, with undefined for sections that name no hook. */
  autoAttach(): BpfLink | undefined {
    const attacher = this.#owner.attacher(this);
    const link = attacher === undefined ? autoAttach(this, this.#owner.map) : attacher(this);
    if (link !== undefined && !(link instanceof BpfLink)) {
      throw new ArgumentError("attach() of a section handler must return a BpfLink or undefined", {
        file: this.file,
        program: this.name,
      });
    }
    return link === undefined ? undefined : this.#own(link);
  }

  /**
   * Attaches to a kernel function by name, or to an address. Linux 4.1; cookies 5.15.
   * libbpf: `bpf_program__attach_kprobe_opts`.
   */
  attachKprobe(place: string | bigint, options?: KprobeOptions): BpfLink {
    return this.#own(attachKprobe(this, place, options));
  }

  /** Attaches to a system call such as `"openat"`. Linux 4.1. libbpf: `bpf_program__attach_ksyscall`. */
  attachKsyscall(name: string, options?: KsyscallOptions): BpfLink {
    return this.#own(attachKsyscall(this, name, options));
  }

  /**
   * Attaches to many kernel functions at once: a pattern such as `"vfs_*"`, names or addresses. Linux 5.18.
   * libbpf: `bpf_program__attach_kprobe_multi_opts`.
   */
  attachKprobeMulti(functions: FunctionSet, options?: KprobeMultiOptions): BpfLink {
    return this.#own(attachKprobeMulti(this, functions, options));
  }

  /**
   * Attaches to a function of a user program, such as `{ binary: "libc.so.6", symbol: "malloc" }`, or to an offset.
   * Linux 4.1; cookies 5.15. libbpf: `bpf_program__attach_uprobe_opts`.
   */
  attachUprobe(options: UprobeOptions): BpfLink {
    return this.#own(attachUprobe(this, options));
  }

  /**
   * Attaches to many places of a user program at once, such as `{ binary: "node", pattern: "uv_fs_*" }`. One link since
   * Linux 6.6, single probes before. libbpf: `bpf_program__attach_uprobe_multi`.
   */
  attachUprobeMulti(options: UprobeMultiOptions): BpfLink {
    return this.#own(attachUprobeMulti(this, options));
  }

  /**
   * Attaches to all places of a probe that a user program defines itself, such as
   * `{ binary: "libc.so.6", provider: "libc", name: "setjmp" }`. Linux 4.17. libbpf: `bpf_program__attach_usdt`.
   */
  attachUsdt(options: UsdtOptions): BpfLink {
    return this.#own(attachUsdt(this, this.#owner.map, options));
  }

  /**
   * Attaches to a tracepoint such as `("sched", "sched_process_exec")`. Linux 4.7; cookies 5.15.
   * libbpf: `bpf_program__attach_tracepoint_opts`.
   */
  attachTracepoint(category: string, name: string, options?: TracepointOptions): BpfLink {
    return this.#own(attachTracepoint(this, category, name, options));
  }

  /** Attaches to a raw tracepoint such as `"sys_enter"`. Linux 4.17. libbpf: `bpf_program__attach_raw_tracepoint_opts`. */
  attachRawTracepoint(name: string, options?: RawTracepointOptions): BpfLink {
    return this.#own(attachRawTracepoint(this, name, options));
  }

  /** Attaches to what the program was loaded for (tp_btf, fentry, LSM …). Linux 5.5. libbpf: `bpf_program__attach_trace_opts`. */
  attachTrace(options?: TraceOptions): BpfLink {
    return this.#own(attachTrace(this, options));
  }

  /**
   * Attaches a program of section `fentry.multi`, `fexit.multi` or `fsession.multi` to many kernel functions at once: a
   * pattern such as `"vfs_*"` or `"nf_conntrack:nf_*"`, names or BTF ids. Functions of a module have to be named before
   * load, by the section or by `setAttachTarget("nf_conntrack:*")`. Linux 7.2 on x86-64.
   * libbpf: `bpf_program__attach_tracing_multi`.
   *
   * @throws NotFoundError when no function matches, ArgumentError, SystemCallError with code `ATTACH`
   */
  attachTracingMulti(functions: TracingFunctions, options?: TracingMultiOptions): BpfLink {
    return this.#own(attachTracingMulti(this, functions, options));
  }

  /**
   * Attaches an iterator to what its section names; reading the link runs it. Linux 5.8.
   * libbpf: `bpf_program__attach_iter`.
   */
  attachIter(options?: IterOptions): IterLink {
    return this.#own(attachIter(this, options));
  }

  /**
   * Runs the program at perf events: of a descriptor, or opened here on every CPU, such as
   * `{ event: "cpu-clock", frequency: 99 }`. Linux 4.9. libbpf: `bpf_program__attach_perf_event_opts`.
   */
  attachPerfEvent(event: FdLike | PerfEventSpec, options?: PerfEventAttachOptions): BpfLink {
    return this.#own(attachPerfEvent(this, event, options));
  }

  /**
   * Runs an XDP program on a network interface, by name or index: by a link since Linux 5.9, by netlink since 4.8.
   * libbpf: `bpf_program__attach_xdp`.
   */
  attachXdp(network: string | number, options?: XdpOptions): BpfLink {
    return this.#own(attachXdp(this, network, options));
  }

  /** Runs a classifier on a network interface. Linux 6.6. libbpf: `bpf_program__attach_tcx`. */
  attachTcx(network: string | number, options?: TcxOptions): BpfLink {
    return this.#own(attachTcx(this, network, options));
  }

  /**
   * Runs a classifier on a network interface by a filter of traffic control. The clsact hook is made when it is missing,
   * and removed with the last link if nothing else is on it. Linux 4.5. libbpf: `bpf_tc_hook_create`, `bpf_tc_attach`.
   */
  attachTc(network: string | number, options?: TcOptions): TcLink {
    return this.#own(attachTc(this, network, options));
  }

  /** Runs a classifier on a netkit device, given by its primary one. Linux 6.7. libbpf: `bpf_program__attach_netkit`. */
  attachNetkit(network: string | number, options?: NetkitOptions): BpfLink {
    return this.#own(attachNetkit(this, network, options));
  }

  /** Attaches to a control group, by its directory. Linux 5.7. libbpf: `bpf_program__attach_cgroup_opts`. */
  attachCgroup(group: string | FdLike, options?: CgroupOptions): BpfLink {
    return this.#own(attachCgroup(this, group, options));
  }

  /**
   * Attaches a flow dissector (Linux 5.7) or an sk_lookup program (5.9) to a network namespace, by default this thread's.
   * libbpf: `bpf_program__attach_netns`.
   */
  attachNetns(namespace?: string | FdLike): BpfLink {
    return this.#own(attachNetns(this, namespace));
  }

  /** Attaches to a hook of the packet filter. Linux 6.4. libbpf: `bpf_program__attach_netfilter`. */
  attachNetfilter(options: NetfilterOptions): BpfLink {
    return this.#own(attachNetfilter(this, options));
  }

  /** Runs the program for the sockets in a sockmap or sockhash. Linux 4.14. libbpf: `bpf_program__attach_sockmap`. */
  attachSockmap(map: BpfMap): BpfLink {
    return this.#own(attachSockmap(this, map));
  }

  /** Runs a socket filter (Linux 3.19) or sk_reuseport program (4.19) on a socket, given by its descriptor. */
  attachSocket(socket: FdLike): BpfLink {
    return this.#own(attachSocket(this, socket));
  }

  /**
   * Has the program decode the signals of an infrared receiver such as `/dev/lirc0`. Linux 4.18. libbpf:
   * `bpf_prog_attach`.
   */
  attachLirc(device: string | FdLike): BpfLink {
    return this.#own(attachLirc(this, device));
  }

  /**
   * Says which struct_ops map the program belongs to, for kernel functions that ask; for programs that are no callbacks
   * themselves. The program keeps the map, and can have only one. Linux 7.0. libbpf: `bpf_program__assoc_struct_ops`.
   *
   * @throws ArgumentError for a map that is no struct_ops, or a program that is one, StateError while one of the two is
   *   not loaded, SystemCallError EBUSY when it belongs to another map, UnsupportedError on older kernels
   */
  assocStructOps(map: { readonly name: string; readonly isStructOps: boolean; readonly fd: number }): void {
    const place = { file: this.file, program: this.name };
    if (this.type === "struct_ops") throw new ArgumentError("a callback belongs to its own struct_ops map", place);
    if (!map.isStructOps) throw new ArgumentError(`map ${map.name} is no struct_ops map`, place);
    const { descriptor } = this;
    try {
      progAssocStructOps({ program: descriptor, map: map.fd });
    } catch (error) {
      // The kernel refuses flags and commands that it does not know in this way; there are no flags.
      if (!(error instanceof SystemCallError) || error.errno !== Errno.EINVAL) throw addLocation(error, place);
      throw new UnsupportedError("this kernel cannot tie programs to struct_ops maps; that came with Linux 7.0", {
        ...place,
        cause: error,
      });
    }
  }

  /**
   * Puts this program, of section `freplace/…`, into the place of a global function: without arguments of the one that it
   * was loaded for (Linux 5.6), or of `functionName` in another loaded program, which has to have the same prototype
   * (Linux 5.10). The old function is back when the link is closed.
   *
   * libbpf: `bpf_program__attach_freplace`.
   *
   * @throws SystemCallError with code `ATTACH`, NotFoundError naming near functions, ArgumentError for other programs
   */
  attachFreplace(target?: ProgramTarget, functionName?: string): BpfLink {
    return this.#own(attachFreplace(this, target, functionName));
  }

  /** Links of this program that are attached, in the order in which they were made. */
  get links(): readonly BpfLink[] {
    return [...this.#links].filter((link) => link.attached);
  }

  #own<T extends BpfLink>(link: T): T {
    for (const old of this.#links) if (!old.attached) this.#links.delete(old);
    this.#links.add(link);
    return link;
  }

  /** @internal Detaches, then closes the program. */
  override close(): void {
    for (const link of this.#links) link.close();
    this.#links.clear();
    super.close();
  }
}

/**
 * A copy of a program of an object, made by `prog.clone()`: attached, pinned and inspected like one. It belongs to the
 * caller and outlives the object.
 */
export class ProgramClone extends BpfProgram implements Disposable {
  /** Detaches the clone's links and closes it; the kernel keeps it as long as a pin does. Idempotent. */
  override close(): void {
    super.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
