// How many CPUs this machine can ever have: per-CPU maps hold one value for each of them.

import { readFileSync } from "node:fs";
import { UnsupportedError } from "../errors.js";

const POSSIBLE = "/sys/devices/system/cpu/possible";
const ONLINE = "/sys/devices/system/cpu/online";

/** Parses a kernel CPU list such as `0-3,8` into CPU numbers, ascending; undefined when it is none. */
export function parseCpuList(text: string): number[] | undefined {
  const cpus: number[] = [];
  for (const range of text.trim().split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(range);
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (last < first || last > 65535) return undefined;
    for (let cpu = first; cpu <= last; cpu++) cpus.push(cpu);
  }
  return cpus;
}

function readCpuList(path: string): number[] {
  let text: string;
  try {
    text = readFileSync(path, "latin1");
  } catch (cause) {
    throw new UnsupportedError(`cannot read ${path}, which tells the number of CPUs`, {
      cause,
      hint: "is /sys mounted?",
    });
  }
  const cpus = parseCpuList(text);
  if (cpus === undefined || cpus.length === 0) {
    throw new UnsupportedError(`${path} holds ${JSON.stringify(text)}, which is no CPU list`);
  }
  return cpus;
}

let possible: number | undefined;

/**
 * Number of possible CPUs, which is the number of values in an element of a per-CPU map (the kernel writes them in
 * ascending CPU order, without gaps). Constant while a kernel runs, hence read once.
 *
 * libbpf: `libbpf_num_possible_cpus`.
 */
export function possibleCpuCount(): number {
  possible ??= readCpuList(POSSIBLE).length;
  return possible;
}

/** The CPUs that are online now, ascending. */
export function onlineCpus(): number[] {
  return readCpuList(ONLINE);
}
