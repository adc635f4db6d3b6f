// Programs on perf events: the common way of tracepoints, kprobes and uprobes, and events of the user's own
// (libbpf.md 1.5, 3.11).

import { ArgumentError, SystemCallError, UnsupportedError } from "../errors.js";
import { kernelHas, knownMissing } from "../kernel/index.js";
import { log } from "../log.js";
import { AttachType } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";
import {
  Errno,
  type FdLike,
  FileDescriptor,
  fdNumber,
  linkCreate,
  onlineCpus,
  PerfSoftware,
  PerfType,
  perfEventEnable,
  perfEventOpen,
  perfEventSetBpf,
} from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import type { LinkKind } from "./describe.js";
import { BpfLink } from "./link.js";

/** What kind of link, to what, and the value for `bpf_get_attach_cookie()`. */
export interface PerfLinkOptions {
  readonly kind: LinkKind;
  readonly target: string;
  readonly cookie?: bigint | undefined;
  /** Without a kernel link, whatever the kernel can. */
  readonly ioctl?: boolean | undefined;
  /** Leaves the events as they are. */
  readonly dontEnable?: boolean | undefined;
  /** What has to be undone after the events are closed; must not throw. A second call has no effect. */
  readonly cleanUp?: (() => void) | undefined;
}

/** An event and the cookie of the program on it. */
export interface CookieEvent {
  readonly event: FileDescriptor;
  readonly cookie?: bigint | undefined;
}

/**
 * Runs `program` on a perf event and starts the event. Takes ownership of `event`, also when it throws: then it has called
 * `cleanUp`, too.
 *
 * With a kernel link (Linux 5.15), else by ioctl, which knows no cookies. libbpf: `bpf_program__attach_perf_event_opts`.
 */
export function attachToPerfEvent(program: ProgramHandle, event: FileDescriptor, options: PerfLinkOptions): BpfLink {
  return attachToPerfEvents(program, [{ event, cookie: options.cookie }], options);
}

/** The same on several events, as one attachment. */
function attachToPerfEvents(
  program: ProgramHandle,
  events: readonly CookieEvent[],
  options: Omit<PerfLinkOptions, "cookie">,
): BpfLink {
  const { kind, target, cleanUp } = options;
  const links: FileDescriptor[] = [];
  const descriptors = events.map(({ event }) => event);
  try {
    for (const each of events) {
      const link = createLink(program, each, options);
      if (link !== undefined) links.push(link);
    }
    if (options.dontEnable !== true) for (const event of descriptors) perfEventEnable(event);
  } catch (error) {
    for (const descriptor of [...links, ...descriptors]) descriptor.close();
    cleanUp?.();
    throw error;
  }
  // The kernel's link of a single event can be pinned and asked about.
  const link = events.length === 1 ? links.shift() : undefined;
  return new BpfLink({ kind, program: program.name, target, link, others: [...links, ...descriptors], cleanUp });
}

/** A probe that is opened when it is needed, and the cookie of the program on it. */
export interface ProbePlace {
  /** The event, and what is left to do when it is closed. */
  readonly open: () => { readonly event: FileDescriptor; readonly remove?: () => void };
  readonly cookie: bigint | undefined;
}

/** Opens an event for each place and attaches to all, as one attachment. */
export function attachToEach(
  program: ProgramHandle,
  places: readonly ProbePlace[],
  { kind, target, cleanUp }: Omit<PerfLinkOptions, "cookie">,
): BpfLink {
  const events: CookieEvent[] = [];
  const removals: (() => void)[] = [];
  const remove = (): void => {
    for (const each of removals) each();
  };
  const both = (): void => {
    remove();
    cleanUp?.();
  };
  try {
    for (const { open, cookie } of places) {
      const { event, remove: own } = open();
      events.push({ event, cookie });
      if (own !== undefined) removals.push(own);
    }
  } catch (error) {
    for (const { event } of events) event.close();
    remove();
    throw error;
  }
  return attachToPerfEvents(program, events, { kind, target, cleanUp: both });
}

/** The kernel's link, or undefined when the program was attached by ioctl. */
function createLink(
  program: ProgramHandle,
  { event, cookie }: CookieEvent,
  { ioctl = false }: { readonly ioctl?: boolean | undefined },
): FileDescriptor | undefined {
  const { descriptor } = program;
  if (!ioctl && !knownMissing("perf_link")) {
    try {
      return linkCreate({
        program: descriptor,
        target: event,
        attachType: AttachType.perf_event,
        family: "perf_event",
        cookie,
      });
    } catch (error) {
      // EINVAL has many reasons; only the kernel's age is one to go on without a link.
      const mayLack = error instanceof SystemCallError && error.errno === Errno.EINVAL;
      if (!mayLack || kernelHas("perf_link") === true) throw error;
    }
  }
  if (cookie !== undefined && cookie !== 0n) {
    const [reason, hint] = ioctl
      ? ["programs attached by ioctl get no cookie", undefined]
      : ["this kernel cannot pass a cookie to programs on perf events", "attach cookies came with Linux 5.15"];
    throw new UnsupportedError(reason, { program: program.name, hint });
  }
  if (!ioctl) log.debug(() => `${program.name}: the kernel has no links of perf events; using ioctl`);
  perfEventSetBpf(event, descriptor);
  return undefined;
}

/** enum perf_sw_ids and perf_hw_ids (UAPI linux/perf_event.h) that make sense for sampling. */
const events = {
  "cpu-clock": [PerfType.SOFTWARE, PerfSoftware.CPU_CLOCK],
  "task-clock": [PerfType.SOFTWARE, PerfSoftware.TASK_CLOCK],
  "page-faults": [PerfType.SOFTWARE, PerfSoftware.PAGE_FAULTS],
  "context-switches": [PerfType.SOFTWARE, PerfSoftware.CONTEXT_SWITCHES],
  "cpu-cycles": [PerfType.HARDWARE, 0],
  instructions: [PerfType.HARDWARE, 1],
  "cache-references": [PerfType.HARDWARE, 2],
  "cache-misses": [PerfType.HARDWARE, 3],
  "branch-instructions": [PerfType.HARDWARE, 4],
  "branch-misses": [PerfType.HARDWARE, 5],
} as const;

/** An event to be sampled. */
export interface PerfEventSpec {
  /** What is counted: a name, or type and config as perf_event_open(2) has them. */
  event: keyof typeof events | { readonly type: number; readonly config: bigint | number };
  /** The program runs this often a second, in each CPU; give this or `period`. */
  frequency?: number | undefined;
  /** The program runs at every so many events. */
  period?: bigint | number | undefined;
  /** One process (0: this one) instead of all. */
  pid?: number | undefined;
  /** One CPU instead of all that are online. */
  cpu?: number | undefined;
}

/** Options of perf event attachments. */
export interface PerfEventAttachOptions {
  /** What `bpf_get_attach_cookie()` returns. Linux 5.15. */
  cookie?: bigint | undefined;
  /** Attaches without a kernel link. libbpf: `force_ioctl_attach`. */
  ioctl?: boolean | undefined;
  /** Leaves the event disabled. libbpf: `dont_enable`. */
  dontEnable?: boolean | undefined;
}

/**
 * Runs a program at perf events: on an event that is open already (its descriptor is duplicated), or on events that are
 * opened here, on every CPU that is online. Linux 4.9. libbpf: `bpf_program__attach_perf_event_opts`.
 *
 * @throws ArgumentError, SystemCallError with code `ATTACH`
 */
export function attachPerfEvent(
  program: ProgramHandle,
  event: FdLike | PerfEventSpec,
  options: PerfEventAttachOptions = {},
): BpfLink {
  const { cookie, ...rest } = options;
  if (typeof event === "number" || event instanceof FileDescriptor) {
    const target = `perf event ${fdNumber(event)}`;
    return explainAttach(program, target, () => {
      const own = FileDescriptor.duplicateOf(fdNumber(event), "perf event");
      return attachToPerfEvent(program, own, { kind: "perf_event", target, cookie, ...rest });
    });
  }
  const spec = typeof event.event === "string" ? event.event : `${event.event.type}/${event.event.config}`;
  const target = `perf event ${spec}`;
  const open = (): BpfLink => {
    const opened = openEvents(event).map((each) => ({ event: each, cookie }));
    return attachToPerfEvents(program, opened, { kind: "perf_event", target, ...rest });
  };
  const hints = { ENOENT: "this machine cannot count it; virtual machines often have software events only" };
  return explainAttach(program, target, open, { hints, since: "4.9" });
}

function openEvents(spec: PerfEventSpec): FileDescriptor[] {
  const { event, frequency, period, pid = -1 } = spec;
  if ((frequency === undefined) === (period === undefined)) {
    throw new ArgumentError("a perf event is sampled by either frequency or period");
  }
  if (typeof event === "string" && !Object.hasOwn(events, event)) {
    throw new ArgumentError(`no perf event ${event}: there are ${Object.keys(events).join(", ")}`);
  }
  const [type, config] = typeof event === "string" ? events[event] : [event.type, event.config];
  const cpus = spec.cpu !== undefined ? [spec.cpu] : pid === -1 ? onlineCpus() : [-1];
  const opened: FileDescriptor[] = [];
  try {
    for (const cpu of cpus) {
      const samplePeriod = frequency ?? period;
      opened.push(
        perfEventOpen({ type, config, samplePeriod, frequency: frequency !== undefined, pid, cpu, disabled: true }),
      );
    }
  } catch (error) {
    for (const descriptor of opened) descriptor.close();
    throw error;
  }
  return opened;
}
