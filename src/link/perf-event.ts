// Programs on perf events: the common way of tracepoints, kprobes and uprobes (libbpf.md 1.5, 3.11).

import { SystemCallError, UnsupportedError } from "../errors.js";
import { kernelHas, knownMissing } from "../kernel/index.js";
import { log } from "../log.js";
import { AttachType } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";
import { Errno, type FileDescriptor, linkCreate, perfEventEnable, perfEventSetBpf } from "../syscall/index.js";
import type { LinkKind } from "./describe.js";
import { BpfLink } from "./link.js";

/** What kind of link, to what, and the value for `bpf_get_attach_cookie()`. */
export interface PerfLinkOptions {
  readonly kind: LinkKind;
  readonly target: string;
  readonly cookie?: bigint | undefined;
}

/**
 * Runs `program` on a perf event and starts the event. Takes ownership of `event`, also when it throws.
 *
 * With a kernel link (Linux 5.15), else by ioctl, which knows no cookies. libbpf: `bpf_program__attach_perf_event_opts`.
 */
export function attachToPerfEvent(program: ProgramHandle, event: FileDescriptor, options: PerfLinkOptions): BpfLink {
  const { kind, target, cookie } = options;
  let link: FileDescriptor | undefined;
  try {
    link = createLink(program, event, cookie);
    perfEventEnable(event);
    return new BpfLink({ kind, program: program.name, target, link, others: [event] });
  } catch (error) {
    link?.close();
    event.close();
    throw error;
  }
}

/** The kernel's link, or undefined when the program was attached by ioctl. */
function createLink(
  program: ProgramHandle,
  event: FileDescriptor,
  cookie: bigint | undefined,
): FileDescriptor | undefined {
  const { descriptor } = program;
  if (!knownMissing("perf_link")) {
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
    throw new UnsupportedError("this kernel cannot pass a cookie to programs on perf events", {
      program: program.name,
      hint: "attach cookies came with Linux 5.15",
    });
  }
  log.debug(() => `${program.name}: the kernel has no links of perf events; using ioctl`);
  perfEventSetBpf(event, descriptor);
  return undefined;
}
