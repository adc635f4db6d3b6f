// Addresses of kernel symbols, from /proc/kallsyms: some hundred thousand lines of text, of which a few are wanted, so
// that lines are told apart by bytes and only names that may be wanted become strings.

import { readFileSync } from "node:fs";
import { readTextFile } from "../syscall/index.js";

const KALLSYMS = "/proc/kallsyms";
/** What the kernel prints; anything else before a name is no line of its. */
const isAddress = /^[0-9a-f]{1,16}$/i;
const [NEWLINE, SPACE, TAB, ZERO] = [0x0a, 0x20, 0x09, 0x30];
/** What link-time optimisation puts behind the name of a static variable that it made global. */
const LLVM_SUFFIX = ".llvm.";

/** What the kernel tells of the wanted symbols. */
export interface KernelSymbols {
  /** Different addresses by name, in the order of the file; names that the kernel does not have are missing. */
  readonly addresses: ReadonlyMap<string, readonly bigint[]>;
  /** Every address in the file is 0: the kernel hides them (kernel.kptr_restrict, or no CAP_SYSLOG). */
  readonly hidden: boolean;
}

/**
 * Looks symbols up. Linux 2.5.71 with CONFIG_KALLSYMS.
 *
 * libbpf: `libbpf_kallsyms_parse`.
 * @throws Node's error when the file cannot be read
 */
export function readKernelSymbols(wanted: Iterable<string>): KernelSymbols {
  return parseKernelSymbols(readFileSync(KALLSYMS), wanted);
}

/** Names of the kernel's functions, for messages; none where they cannot be read. */
export function* kernelFunctionNames(): Generator<string> {
  for (const line of readTextFile(KALLSYMS)?.split("\n") ?? []) {
    const [, type = "", name = ""] = line.split(/[ \t]/, 3);
    if (type === "t" || type === "T") yield name;
  }
}

/**
 * Finds symbols in lines of the form `ADDRESS TYPE NAME`, with a tab and `[MODULE]` for those of modules; skips others. For
 * symbols of type `d`, what precedes `.llvm.` counts as the name (libbpf.md 3.5).
 */
export function parseKernelSymbols(text: Uint8Array, wanted: Iterable<string>): KernelSymbols {
  const names = new Set(wanted);
  const starts = firstBytes(names);
  const decoder = new TextDecoder("latin1");
  const addresses = new Map<string, bigint[]>();
  let hidden = text.length > 0;
  for (let line = 0, end = 0; line < text.length; line = end + 1) {
    end = text.indexOf(NEWLINE, line);
    if (end < 0) end = text.length;
    const space = text.indexOf(SPACE, line);
    if (space < 0 || space + 3 >= end) continue;
    if (hidden && !isZero(text, line, space)) hidden = false;
    const start = space + 3;
    if (starts[text[start]! * 256 + text[start + 1]!] === 0) continue;
    const name = nameOf(decoder.decode(text.subarray(start, end)), text[space + 1]!);
    if (!names.has(name)) continue;
    const digits = decoder.decode(text.subarray(line, space));
    if (!isAddress.test(digits)) continue;
    const address = BigInt(`0x${digits}`);
    const known = addresses.get(name);
    if (known === undefined) addresses.set(name, [address]);
    else if (!known.includes(address)) known.push(address);
  }
  return { addresses, hidden };
}

/** By the first two bytes of a name, whether one of the wanted names may begin with them. */
function firstBytes(names: ReadonlySet<string>): Uint8Array {
  const table = new Uint8Array(1 << 16);
  for (const name of names) {
    const first = name.charCodeAt(0) & 0xff;
    // A name of one character is followed by the end of the line, a tab or a suffix.
    if (name.length === 1) table.fill(1, first * 256, first * 256 + 256);
    else table[first * 256 + (name.charCodeAt(1) & 0xff)] = 1;
  }
  return table;
}

/** `field` begins at the name; the type is one letter. */
function nameOf(field: string, type: number): string {
  const tab = field.indexOf(String.fromCharCode(TAB));
  const name = tab < 0 ? field : field.slice(0, tab);
  if (type !== 0x64) return name;
  const suffix = name.indexOf(LLVM_SUFFIX);
  return suffix < 0 ? name : name.slice(0, suffix);
}

function isZero(text: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (text[i] !== ZERO) return false;
  return true;
}
