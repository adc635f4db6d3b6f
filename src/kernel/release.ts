// Which kernel is running, as the number that old program types want in `kern_version`.

import { release, version } from "node:os";
import { readTextFile } from "../syscall/index.js";

/** KERNEL_VERSION(a, b, c) of UAPI linux/version.h: each part one byte, the last capped at 255. */
function versionCode(a: number, b: number, c: number): number {
  return (a << 16) | (b << 8) | Math.min(c, 255);
}

function parse(text: string): number | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(text);
  return match === null ? undefined : versionCode(Number(match[1]), Number(match[2]), Number(match[3]));
}

let code: number | undefined;

/**
 * LINUX_VERSION_CODE of the running kernel; 0 when it cannot be told. Distributions that keep the upstream version out
 * of `uname -r` are asked where they say it (libbpf.md 3.5): Ubuntu in /proc/version_signature, Debian in `uname -v`.
 *
 * libbpf: `get_kernel_version` (internal), seen through `bpf_object__kversion`.
 */
export function kernelVersionCode(): number {
  code ??= ubuntuVersion() ?? debianVersion() ?? parse(release()) ?? 0;
  return code;
}

function ubuntuVersion(): number | undefined {
  return parse(readTextFile("/proc/version_signature")?.split(" ")[2] ?? "");
}

function debianVersion(): number | undefined {
  const match = /Debian (\d+\.\d+\.\d+)/.exec(version());
  return match === null ? undefined : parse(match[1]!);
}

/**
 * True when the running kernel is certainly older than `release`, such as `"6.6"`. For explaining a failure, not for
 * deciding: distributions port features back.
 */
export function olderThan(release: string): boolean {
  const wanted = parse(`${release}.0`) ?? 0;
  const running = kernelVersionCode();
  return running !== 0 && running < wanted;
}
