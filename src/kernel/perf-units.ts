// Sources of perf events that the kernel numbers when it starts: kprobes and uprobes (libbpf.md 3.11).

import { readTextFile } from "../syscall/index.js";

const ROOT = "/sys/bus/event_source/devices";

/** How to ask a unit for a probe. */
interface PerfUnit {
  /** perf_event_attr.type. */
  readonly type: number;
  /** Bit of perf_event_attr.config that asks for the return of the function. */
  readonly returnBit: number;
  /** First bit of the 32 that hold the file offset of a semaphore; undefined where the kernel has none (before 4.20). */
  readonly refCtrShift: number | undefined;
}

/** The unit, or undefined where the kernel has none (before Linux 4.17, or built without). */
export function perfUnit(name: "kprobe" | "uprobe"): PerfUnit | undefined {
  const type = numberIn(`${ROOT}/${name}/type`, /^(\d+)$/);
  const returnBit = numberIn(`${ROOT}/${name}/format/retprobe`, /^config:(\d+)$/);
  if (type === undefined || returnBit === undefined) return undefined;
  return { type, returnBit, refCtrShift: numberIn(`${ROOT}/${name}/format/ref_ctr_offset`, /^config:(\d+)-\d+$/) };
}

function numberIn(path: string, form: RegExp): number | undefined {
  const match = form.exec(readTextFile(path)?.trim() ?? "");
  return match === null ? undefined : Number(match[1]);
}
