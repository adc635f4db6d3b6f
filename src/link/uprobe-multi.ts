// Probes on many places of one user program by one link: uprobe.multi, and uprobe.session for entry and return together
// (libbpf.md 1.5, 2.3).

import { BinaryFunctions } from "../elf/index.js";
import { ArgumentError, NotFoundError, UnsupportedError } from "../errors.js";
import { isGlob } from "../glob.js";
import { kernelHas, knownMissing, type UserBinary, withUserBinary } from "../kernel/index.js";
import { AttachType } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";
import { linkCreate } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink } from "./link.js";
import { attachToEach, type ProbePlace } from "./perf-event.js";
import { checkPid, functionOffsets, openUprobe, uprobeHints } from "./uprobe.js";

/** Where in which program the probes are: give one of `pattern`, `symbols` and `offsets`. */
export interface UprobeMultiOptions {
  /** As in {@link UprobeOptions}. */
  binary: string;
  /** Functions by a pattern with `*` and `?`. */
  pattern?: string | undefined;
  /** Functions by name. */
  symbols?: readonly string[] | undefined;
  /** Bytes from the beginning of the binary. */
  offsets?: readonly number[] | undefined;
  /** What `bpf_get_attach_cookie()` returns, one for each symbol or offset; not with a pattern. */
  cookies?: readonly bigint[] | undefined;
  /** File offsets of counters, one for each symbol or offset, 0 for none; not with a pattern. */
  refCtrOffsets?: readonly number[] | undefined;
  /** One process (0: this one) instead of all. */
  pid?: number | undefined;
  /** Runs when the functions return, instead of when they are entered. */
  return?: boolean | undefined;
}

/** Places in a file, for the kernel. */
export interface UprobePlaces {
  readonly path: string;
  /** Bytes from the beginning of the file. */
  readonly offsets: readonly number[];
  readonly cookies?: readonly bigint[] | undefined;
  readonly refCtrOffsets?: readonly number[] | undefined;
  readonly pid?: number | undefined;
  readonly onReturn: boolean;
}

const BPF_F_UPROBE_MULTI_RETURN = 1;

/**
 * Attaches to many places of a user program at once. With a program of section `uprobe.multi`, `uretprobe.multi` or
 * `uprobe.session` that is one link of the kernel (Linux 6.6; sessions 6.13), with one of section `uprobe`, and on older
 * kernels, one perf event a place, which end together. libbpf: `bpf_program__attach_uprobe_multi`.
 *
 * @throws NotFoundError when no function matches, SystemCallError with code `ATTACH`
 */
export function attachUprobeMulti(program: ProgramHandle, options: UprobeMultiOptions): BpfLink {
  const { binary, pattern, symbols, offsets, cookies, refCtrOffsets, pid, return: onReturn = false } = options;
  const where = { file: program.file, program: program.name };
  const given = [pattern, symbols, offsets].filter((each) => each !== undefined);
  if (given.length !== 1) throw new ArgumentError("give one of pattern, symbols and offsets", where);
  const count = (symbols ?? offsets)?.length;
  if (count === 0) throw new ArgumentError("no places to attach to", where);
  for (const [name, list] of Object.entries({ cookies, refCtrOffsets })) {
    if (list !== undefined && list.length !== count) {
      throw new ArgumentError(`${name} belong to a list of symbols or offsets, one for each`, where);
    }
  }
  for (const offset of [...(offsets ?? []), ...(refCtrOffsets ?? [])]) {
    if (!Number.isSafeInteger(offset) || offset < 0) throw new ArgumentError(`not a file offset: ${offset}`, where);
  }
  checkPid(program, pid);
  const places = withUserBinary(binary, (opened) => ({
    path: opened.path,
    offsets: choose(program, opened, options),
  }));
  const shown = pattern ?? `${places.offsets.length} places`;
  const target = `${onReturn ? "uretprobes" : "uprobes"} ${binary}:${shown}`;
  const rest = { cookies, refCtrOffsets, pid, onReturn };
  return attachToPlaces(program, { ...places, ...rest }, { kind: "uprobe_multi", target });
}

/**
 * Attaches to places that are known: by one link where the program was loaded for that, else by one event each.
 *
 * @throws SystemCallError with code `ATTACH`
 */
export function attachToPlaces(
  program: ProgramHandle,
  places: UprobePlaces,
  about: { readonly kind: "uprobe_multi" | "usdt"; readonly target: string; readonly cleanUp?: () => void },
): BpfLink {
  const { expectedAttachType } = program.spec;
  const session = expectedAttachType === AttachType.trace_uprobe_session;
  if (session && places.onReturn) {
    throw new ArgumentError("a session runs at entry and return", { program: program.name });
  }
  const forMany = session || expectedAttachType === AttachType.trace_uprobe_multi;
  // A program of section uprobe.multi can be loaded on kernels without such links, and runs at single probes there.
  const asLink = forMany && !knownMissing("uprobe_multi_link") && kernelHas("uprobe_multi_link") !== false;
  if (session && !asLink) {
    throw new UnsupportedError("this kernel has no sessions of uprobes", {
      program: program.name,
      hint: "they came with Linux 6.13",
    });
  }
  const attach = (): BpfLink =>
    asLink ? asOneLink(program, places, { ...about, session }) : asEvents(program, places, about);
  return explainAttach(program, about.target, attach, { hints: uprobeHints, since: session ? "6.13" : "4.1" });
}

type About = Parameters<typeof attachToPlaces>[2];

function asOneLink(
  program: ProgramHandle,
  { path, offsets, cookies, refCtrOffsets, pid, onReturn }: UprobePlaces,
  { kind, target, cleanUp, session }: About & { readonly session: boolean },
): BpfLink {
  const link = linkCreate({
    program: program.descriptor,
    attachType: session ? AttachType.trace_uprobe_session : AttachType.trace_uprobe_multi,
    family: "uprobe_multi",
    path,
    offsets: BigUint64Array.from(offsets, BigInt),
    cookies: cookies && BigUint64Array.from(cookies),
    refCtrOffsets: refCtrOffsets && BigUint64Array.from(refCtrOffsets, BigInt),
    uprobeFlags: onReturn ? BPF_F_UPROBE_MULTI_RETURN : 0,
    // 0 means all here.
    pid: pid === 0 ? process.pid : pid,
  });
  return new BpfLink({ kind, program: program.name, target, link, cleanUp });
}

function asEvents(
  program: ProgramHandle,
  { path, offsets, cookies, refCtrOffsets, pid, onReturn }: UprobePlaces,
  { kind, target, cleanUp }: About,
): BpfLink {
  const eventAt = (offset: number, index: number): ProbePlace => ({
    open: () => openUprobe({ path, offset, onReturn, pid, refCtrOffset: refCtrOffsets?.[index] }),
    cookie: cookies?.[index],
  });
  return attachToEach(program, offsets.map(eventAt), { kind, target, cleanUp });
}

function choose(
  program: ProgramHandle,
  opened: UserBinary,
  { pattern, symbols, offsets }: UprobeMultiOptions,
): readonly number[] {
  if (offsets !== undefined) return offsets.map((offset) => opened.base + offset);
  const names = symbols ?? (pattern !== undefined && !isGlob(pattern) ? [pattern] : undefined);
  if (names !== undefined) return functionOffsets(program, opened, names);
  const found = new BinaryFunctions(opened.source).matching(pattern!);
  if (found.length === 0) {
    throw new NotFoundError(`${opened.path} has no functions that match ${pattern}`, { program: program.name });
  }
  return found.map(({ offset }) => opened.base + offset);
}
