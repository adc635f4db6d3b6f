// Probes that are defined by a line of text in tracefs: the way of kernels without perf units for probes, before Linux
// 4.17 (libbpf.md 3.11, "Legacy").

import { ArgumentError, BpfkitError, UnsupportedError } from "../errors.js";
import { withTraceFs } from "../kernel/index.js";
import { log } from "../log.js";
import { type FileDescriptor, PerfType, perfEventOpen } from "../syscall/index.js";

/** A probe that has a name in tracefs, and an open event of it. */
export interface TraceEvent {
  readonly event: FileDescriptor;
  /** Removes the name, once the event is closed. Does not throw. */
  readonly remove: () => void;
}

let made = 0;

/**
 * Defines a probe in `kprobe_events` or `uprobe_events` and opens it.
 *
 * @param place what follows the name: `FUNCTION+OFFSET`, `PATH:OFFSET`
 * @throws SystemCallError, ArgumentError for a place with white space
 */
export function openTraceEvent(
  kind: "kprobe" | "uprobe",
  { place, onReturn, pid }: { readonly place: string; readonly onReturn: boolean; readonly pid?: number | undefined },
): TraceEvent {
  // Names come from object files, and one line of text could become several.
  if (/[\s\0]/.test(place)) throw new ArgumentError(`${JSON.stringify(place)} is no place of a probe: it has spaces`);
  const name = `bpfkit_${process.pid}_${made++}_${place.replace(/[^A-Za-z0-9]/g, "_").slice(-32)}`;
  const [list, group] = [`${kind}_events`, `${kind}s`];
  const remove = (): void => {
    try {
      withTraceFs((files) => files.append(list, `-:${group}/${name}`));
    } catch (error) {
      if (!BpfkitError.isBpfkitError(error)) throw error;
      log.warn(`the probe ${group}/${name} could not be removed from tracefs: ${error.message}`);
    }
  };
  const id = withTraceFs((files) => {
    files.append(list, `${onReturn ? "r" : "p"}:${group}/${name} ${place}`);
    return files.read(`events/${group}/${name}/id`);
  });
  try {
    if (id === undefined) throw new UnsupportedError(`tracefs took the probe ${place} but does not show it`);
    return { event: perfEventOpen({ type: PerfType.TRACEPOINT, config: Number(id.trim()), pid }), remove };
  } catch (error) {
    remove();
    throw error;
  }
}
