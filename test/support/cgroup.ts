// A control group of the test's own, and commands that run inside it.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";

/** Where the second version of control groups is mounted. */
function cgroupRoot(): string {
  const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync("/proc/mounts", "utf8"))?.[1];
  if (mount === undefined) throw new Error("no cgroup2 is mounted");
  return mount;
}

/** Gives `body` a new control group, with one below it, and removes both afterwards. */
export async function withCgroup<T>(body: (group: string, below: string) => T | Promise<T>): Promise<T> {
  const group = mkdtempSync(`${cgroupRoot()}/bpfkit-test-`);
  const below = `${group}/below`;
  try {
    mkdirSync(below);
    return await body(group, below);
  } finally {
    rmdirSync(below);
    rmdirSync(group);
  }
}

/** Runs a shell command in a control group, to its end; the shell's own exit status counts. */
export function runInCgroup(group: string, command: string): string {
  return execFileSync("/bin/bash", ["-c", `echo $$ > ${group}/cgroup.procs && ${command}`], { encoding: "utf8" });
}

/** Runs `body` with this process, all threads of it, in a control group, and goes back; for things that take no time. */
export function inCgroup<T>(group: string, body: () => T): T {
  const own = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1] ?? "/";
  writeFileSync(`${group}/cgroup.procs`, String(process.pid));
  try {
    return body();
  } finally {
    writeFileSync(`${cgroupRoot()}${own}/cgroup.procs`, String(process.pid));
  }
}
