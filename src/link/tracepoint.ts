// Tracepoints by category and name: `tp/CATEGORY/NAME`.

import { NotFoundError } from "../errors.js";
import { withTraceFs } from "../kernel/index.js";
import { nearNames } from "../near-names.js";
import type { ProgramHandle } from "../program/index.js";
import { PerfType, perfEventOpen } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import type { BpfLink } from "./link.js";
import { attachToPerfEvent } from "./perf-event.js";

/** Options of tracepoint attachments. */
export interface TracepointOptions {
  /** What `bpf_get_attach_cookie()` returns. Linux 5.15. */
  cookie?: bigint | undefined;
}

/**
 * Attaches to a tracepoint, for all processes and CPUs. Linux 4.7. libbpf: `bpf_program__attach_tracepoint_opts`.
 *
 * @throws NotFoundError naming near tracepoints, SystemCallError with code `ATTACH`
 */
export function attachTracepoint(
  program: ProgramHandle,
  category: string,
  name: string,
  options: TracepointOptions = {},
): BpfLink {
  const target = `tracepoint ${category}/${name}`;
  const id = tracepointId(program, category, name);
  const attach = (): BpfLink => {
    const event = perfEventOpen({ type: PerfType.TRACEPOINT, config: id });
    return attachToPerfEvent(program, event, { kind: "tracepoint", target, cookie: options.cookie });
  };
  return explainAttach(program, target, attach, { hints, since: "4.7" });
}

const hints = { EEXIST: "this program is attached there already" };

/** The number by which perf knows a tracepoint. */
function tracepointId(program: ProgramHandle, category: string, name: string): number {
  return withTraceFs((files) => {
    const place = { file: program.file, program: program.name };
    const isName = (text: string): boolean => /^[A-Za-z0-9_.-]+$/.test(text) && text !== "." && text !== "..";
    const text = isName(category) && isName(name) ? files.read(`events/${category}/${name}/id`) : undefined;
    if (text !== undefined) return Number(text.trim());
    const names = isName(category) ? files.list(`events/${category}`) : undefined;
    if (names === undefined) {
      const categories = (files.list("events") ?? []).filter((entry) => !isSwitch(entry));
      throw new NotFoundError(`no tracepoint category ${category}${nearNames(category, categories)}`, place);
    }
    const events = names.filter((entry) => !isSwitch(entry));
    throw new NotFoundError(`no tracepoint ${category}/${name}${nearNames(name, events)}`, place);
  });
}

/** Files beside the directories of events. */
function isSwitch(entry: string): boolean {
  return entry === "enable" || entry === "filter" || entry.startsWith("header_");
}
