// A user namespace to which BPF is delegated, as a container manager would set it up: a process in the namespace begins a
// BPF file system, which belongs to the namespace by that; this process, which may, says what is delegated, and mounts it
// without a place in any directory tree; programs started in the namespace inherit its root as descriptor 3.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import type { ChildResult } from "../syscall/process.js";
import { call, text, withDescriptors } from "./features/calls.js";
import { moduleArguments } from "./script.js";

/** Values of the mount options: names as the kernel spells them, with colons between, or `any`. What is missing is not delegated. */
export interface Delegation {
  readonly cmds?: string;
  readonly maps?: string;
  readonly progs?: string;
  readonly attachs?: string;
}

/** Where the programs find the file system. */
export const DELEGATED_ROOT = "/proc/self/fd/3";

/** Runs a module (see `moduleArguments`) in the namespace, as its root; further variables of the environment. */
export type RunInside = (source: string, environment?: Readonly<Record<string, string>>) => ChildResult;

const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const FSMOUNT_CLOEXEC = 1;

/** Begins a BPF file system and waits. */
const holder = `
  import { ffi } from "./src/syscall/ffi.ts";
  const { syscall, numbers, address } = ffi();
  const name = new TextEncoder().encode("bpf\\0");
  console.log(syscall(numbers.fsopen, address(name), 0));
  process.stdin.resume();
`;

/** For modules that run inside: puts the file system where BPF file systems are looked for. */
export const mountsDelegation = `
  import { ffi } from "./src/syscall/ffi.ts";
  {
    const [MOVE_MOUNT, MOVE_MOUNT_F_EMPTY_PATH] = [429, 4];
    const [from, to] = ["\\0", "/sys/fs/bpf\\0"].map((path) => new TextEncoder().encode(path));
    const { syscall, address } = ffi();
    const result = syscall(MOVE_MOUNT, 3, address(from), -1, address(to), MOVE_MOUNT_F_EMPTY_PATH);
    if (result !== 0) throw new Error("move_mount: " + result);
  }
`;

/** Gives `body` the means to run programs in a user namespace with this delegation. */
export async function withDelegation<T>(delegation: Delegation, body: (run: RunInside) => T | Promise<T>): Promise<T> {
  const unshared = ["--user", "--mount", "--map-root-user", process.execPath, ...moduleArguments(holder)];
  const child = spawn("unshare", unshared, { stdio: ["pipe", "pipe", "inherit"] });
  try {
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    return await withDescriptorsOf(child.pid!, Number(said.toString()), delegation, (root) =>
      body((source, environment) => runInside(child.pid!, root, source, environment)),
    );
  } finally {
    child.kill();
  }
}

async function withDescriptorsOf<T>(
  pid: number,
  begun: number,
  delegation: Delegation,
  body: (root: number) => T | Promise<T>,
): Promise<T> {
  const root = withDescriptors((own) => {
    const context = own(call("pidfd_getfd", own(call("pidfd_open", pid, 0)), begun, 0));
    for (const [what, value] of Object.entries(delegation)) {
      call("fsconfig", context, FSCONFIG_SET_STRING, text(`delegate_${what}`), text(value), 0);
    }
    call("fsconfig", context, FSCONFIG_CMD_CREATE, 0, 0, 0);
    return call("fsmount", context, FSMOUNT_CLOEXEC, 0);
  });
  try {
    return await body(root);
  } finally {
    withDescriptors((own) => own(root));
  }
}

function runInside(
  pid: number,
  root: number,
  source: string,
  environment: Readonly<Record<string, string>> = {},
): ChildResult {
  // A process that enters a mount namespace begins at its root.
  const here = ["env", `--chdir=${process.cwd()}`];
  const inside = [`--user=/proc/${pid}/ns/user`, `--mount=/proc/${pid}/ns/mnt`, ...here, process.execPath];
  const child = spawnSync("nsenter", [...inside, ...moduleArguments(source)], {
    encoding: "utf8",
    timeout: 60_000,
    stdio: ["ignore", "pipe", "pipe", root],
    env: { ...process.env, NODE_OPTIONS: "", ...environment },
  });
  return { status: child.status, signal: child.signal, output: child.stdout + child.stderr };
}
