// Probes that user programs define themselves (USDT): all places of one, with the specifications of their arguments in the
// maps of <bpf/usdt.bpf.h> (libbpf.md 6).

import { realpathSync } from "node:fs";
import { parseUsdtArguments, readUsdtProbes, USDT_SPEC_SIZE, type UsdtProbe, usdtSpec } from "../elf/index.js";
import { ArgumentError, BpfkitError, NotFoundError, UnsupportedError } from "../errors.js";
import { kernelHas, olderThan, type UserBinary, withUserBinary } from "../kernel/index.js";
import { log } from "../log.js";
import type { BpfMap } from "../map/index.js";
import { didYouMean } from "../near-names.js";
import type { ProgramHandle } from "../program/index.js";
import { readTextFile } from "../syscall/index.js";
import type { BpfLink } from "./link.js";
import { checkPid } from "./uprobe.js";
import { attachToPlaces } from "./uprobe-multi.js";

/** Which probe of which program. */
export interface UsdtOptions {
  /** As in {@link UprobeOptions}. */
  binary: string;
  provider: string;
  name: string;
  /** One process (0: this one) instead of all. */
  pid?: number | undefined;
  /** What `bpf_usdt_cookie()` returns. */
  cookie?: bigint | undefined;
}

/** Maps of the program's object, by name. */
export type MapsByName = (name: string) => BpfMap | undefined;

/** EM_* of the machine that this is. */
const machines: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

/**
 * Attaches to all places of a USDT probe. The program's object has to include <bpf/usdt.bpf.h>. Linux 4.17, semaphores
 * 4.20; before 5.15 shared objects and position-independent executables take a `pid`. libbpf: `bpf_program__attach_usdt`.
 *
 * @throws NotFoundError naming near probes, UnsupportedError, SystemCallError with code `ATTACH`
 */
export function attachUsdt(program: ProgramHandle, maps: MapsByName, options: UsdtOptions): BpfLink {
  const { binary, provider, name, pid, cookie = 0n } = options;
  checkPid(program, pid);
  const specs = maps("__bpf_usdt_specs");
  const addresses = maps("__bpf_usdt_ip_to_spec_id");
  const where = { file: program.file, program: program.name };
  if (specs === undefined || addresses === undefined) {
    throw new NotFoundError("the object has no maps for USDT probes", {
      ...where,
      hint: "include <bpf/usdt.bpf.h> in the program",
    });
  }
  if (specs.valueSize !== USDT_SPEC_SIZE) {
    throw new ArgumentError(`${specs.name} has values of ${specs.valueSize} bytes, not ${USDT_SPEC_SIZE}`, where);
  }
  const found = withUserBinary(binary, (opened) => findProbes(program, opened, options));
  const byCookie = kernelHas("bpf_cookie") === true;
  const absolute = byCookie ? undefined : absoluteAddresses(found, options);
  const taken = new Taken(specs, addresses);
  try {
    const ids = found.probes.map(({ args }, index) => {
      const id = taken.spec(args, () => usdtSpec(parseUsdtArguments(args, found.machine), cookie));
      if (absolute !== undefined) taken.address(absolute[index]!, id);
      return id;
    });
    const semaphores = found.probes.map(({ semaphore }) => semaphore ?? 0);
    return attachToPlaces(
      program,
      {
        path: found.path,
        offsets: found.probes.map(({ offset }) => offset),
        cookies: byCookie ? ids.map(BigInt) : undefined,
        refCtrOffsets: semaphores.some((offset) => offset !== 0) ? semaphores : undefined,
        pid,
        onReturn: false,
      },
      { kind: "usdt", target: `USDT probe ${binary}:${provider}:${name}`, cleanUp: () => taken.release() },
    );
  } catch (error) {
    taken.release();
    throw error;
  }
}

/** The places of a probe, with offsets for the kernel. */
interface Found {
  readonly path: string;
  readonly machine: number;
  readonly fixed: boolean;
  readonly probes: readonly UsdtProbe[];
}

function findProbes(program: ProgramHandle, { path, base, source }: UserBinary, options: UsdtOptions): Found {
  const { provider, name } = options;
  const { machine, wordSize, fixed, probes } = readUsdtProbes(source);
  if (wordSize !== 8 || machine !== machines[process.arch]) {
    throw new UnsupportedError(`${path} is for another machine (${machine}) or word size than this process`, {
      program: program.name,
    });
  }
  const places = probes.filter((each) => each.provider === provider && each.name === name);
  if (places.length === 0) {
    const known = new Set(probes.map((each) => `${each.provider}:${each.name}`));
    const wanted = `${provider}:${name}`;
    const reason = known.size === 0 ? "it has none at all" : `it has ${known.size} others`;
    throw new NotFoundError(`${path} has no USDT probe ${wanted}${didYouMean(wanted, known) || `; ${reason}`}`, {
      program: program.name,
    });
  }
  // Linux 6.18 has the call, too. In an emulated 6.18.15 the watched program died of it, in the middle of the second nop.
  const skipsNop = machine === machines.x64 && kernelHas("uprobe_syscall") === true && !olderThan("7.0");
  return {
    path,
    machine,
    fixed,
    probes: places.map((each) => {
      const offset = base + each.offset;
      const skip = skipsNop && isNopAndNop5(source, each.offset) ? 1 : 0;
      const semaphore = each.semaphore === undefined ? undefined : base + each.semaphore;
      return { ...each, offset: offset + skip, semaphore };
    }),
  };
}

/** @throws NotFoundError when the process is gone */
function memoryMap(pid: number): string {
  const text = readTextFile(`/proc/${pid === 0 ? "self" : pid}/maps`);
  if (text !== undefined) return text;
  throw new NotFoundError(`the memory of process ${pid} cannot be looked at`, { hint: "it may have ended" });
}

/** nop; nopl 0(%rax,%rax,1). The kernel makes a call of the second one, which costs much less than a trap. */
const nops = [0x90, 0x0f, 0x1f, 0x44, 0x00, 0x00];

function isNopAndNop5(source: UserBinary["source"], offset: number): boolean {
  if (offset + nops.length > source.size) return false;
  const bytes = source.read(offset, nops.length);
  return nops.every((byte, index) => bytes[index] === byte);
}

/** Where the places are in memory: what programs tell them apart by on kernels without cookies. */
function absoluteAddresses({ path, fixed, probes }: Found, { pid }: UsdtOptions): number[] {
  if (fixed) return probes.map(({ address }) => address);
  if (pid === undefined) {
    throw new UnsupportedError("this kernel can only watch USDT probes of one process in such a file", {
      hint: "give its pid; attach cookies, which all processes take, came with Linux 5.15",
    });
  }
  const inside = realpathSync(path).replace(/^\/proc\/\d+\/root(?=\/)/, "");
  const maps = memoryMap(pid);
  const regions = [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) ..x. ([0-9a-f]+) \S+ \S+ +(.*)$/gm)]
    .filter(([, , , , name]) => name === inside)
    .map(([, start, end, from]) => [start, end, from].map((text) => Number.parseInt(text!, 16)));
  return probes.map(({ offset }) => {
    for (const [start = 0, end = 0, from = 0] of regions) {
      if (offset >= from && offset - from < end - start) return start + offset - from;
    }
    throw new NotFoundError(`process ${pid} does not run ${path}`);
  });
}

/** Places in a map of specifications that are not used. */
interface FreeIds {
  next: number;
  readonly returned: number[];
}

const freeIds = new WeakMap<BpfMap, FreeIds>();

/** What one attachment holds of the two maps. */
class Taken {
  readonly #specs: BpfMap;
  readonly #addresses: BpfMap;
  readonly #ids = new Map<string, number>();
  readonly #inserted: Uint8Array[] = [];

  constructor(specs: BpfMap, addresses: BpfMap) {
    this.#specs = specs;
    this.#addresses = addresses;
  }

  /** The number of a specification; places with the same arguments share one. */
  spec(args: string, make: () => Uint8Array): number {
    const known = this.#ids.get(args);
    if (known !== undefined) return known;
    const value = make();
    const free = freeIds.get(this.#specs) ?? { next: 0, returned: [] };
    freeIds.set(this.#specs, free);
    const id = free.returned.pop() ?? free.next++;
    if (id >= this.#specs.maxEntries) {
      free.next--;
      throw new ArgumentError(`more places of USDT probes than ${this.#specs.name} has room for: ${id}`, {
        hint: "raise maxEntries of this map before load, or define BPF_USDT_MAX_SPEC_CNT",
      });
    }
    this.#ids.set(args, id);
    this.#specs.raw.set(new Uint8Array(Int32Array.of(id).buffer), value);
    return id;
  }

  /** @throws SystemCallError EEXIST when another probe is there */
  address(address: number, id: number): void {
    const key = new Uint8Array(BigUint64Array.of(BigInt(address)).buffer);
    this.#addresses.raw.set(key, new Uint8Array(Uint32Array.of(id).buffer), { flags: "noexist" });
    this.#inserted.push(key);
  }

  /** Does not throw. */
  release(): void {
    freeIds.get(this.#specs)?.returned.push(...this.#ids.values());
    this.#ids.clear();
    try {
      for (const key of this.#inserted.splice(0)) this.#addresses.raw.delete(key);
    } catch (error) {
      if (!BpfkitError.isBpfkitError(error)) throw error;
      log.debug(() => `the addresses of USDT probes stay in ${this.#addresses.name}: ${error.message}`);
    }
  }
}
