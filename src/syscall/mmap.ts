// Mapped memory that cannot crash the process. Touching a view after munmap is a segmentation fault, so the pages go
// away only when no view can reach them: either the ArrayBuffer is detached first (Node 22 and later), or private zero
// pages take their place until it is collected (typescript.md 1.6).

import { readFileSync } from "node:fs";
import { ArgumentError, StateError } from "../errors.js";
import { log } from "../log.js";
import { checkInteger, checkU64 } from "./attr.js";
import { Errno, errnoName } from "./errno.js";
import { systemCallError } from "./failure.js";
import { type FdLike, fdNumber } from "./fd.js";
import { ffi } from "./ffi.js";

/** UAPI asm-generic/mman-common.h and linux/mman.h. */
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
/** Linux 4.17. Older kernels take the address for a hint. */
const MAP_FIXED_NOREPLACE = 0x100000;
/** UAPI linux/auxvec.h. */
const AT_PAGESZ = 6n;

let page: number | undefined;

/** Bytes of a memory page on this machine (4096, on some arm64 kernels 16384 or 65536). */
export function pageSize(): number {
  page ??= readPageSize();
  return page;
}

function readPageSize(): number {
  const auxv = readFileSync("/proc/self/auxv");
  for (let at = 0; at + 16 <= auxv.length; at += 16) {
    if (auxv.readBigUInt64LE(at) === AT_PAGESZ) return Number(auxv.readBigUInt64LE(at + 8));
  }
  return 4096;
}

/** What to map. */
export interface MapRegionOptions {
  /** Bytes; need not be whole pages. */
  length: number;
  /** Bytes into the file, a multiple of the page size. */
  offset?: number | bigint | undefined;
  /**
   * Whether the memory may be written. Writing through a view of read-only memory ends the process with SIGSEGV (there
   * is no read-only ArrayBuffer), so such views must not be handed to strangers. False by default.
   */
  writable?: boolean | undefined;
  /** MAP_SHARED, which BPF maps insist on; the default. */
  shared?: boolean | undefined;
  /** Where the memory has to lie, at a page boundary; EEXIST when something else is there. By default anywhere. */
  address?: bigint | undefined;
}

/** What must be known to get rid of a mapping after its owner is gone. */
interface Mapping {
  readonly address: bigint;
  readonly length: number;
  readonly what: string;
  /** Closed by its owner, or left to the garbage collector. */
  settled: boolean;
}

function unmap({ address, length }: Mapping): void {
  const { syscall, numbers } = ffi();
  syscall(numbers.munmap, address, length);
}

/** Registered on ArrayBuffers, which every view of the memory keeps alive: when one is gone, nothing can reach the pages. */
const unreachable = new FinalizationRegistry<Mapping>((mapping) => {
  if (!mapping.settled) log.warn(`the mapped memory of ${mapping.what} was never closed; unmapping it now`);
  unmap(mapping);
});

type Detachable = ArrayBuffer & { transfer?(length?: number): ArrayBuffer; readonly detached?: boolean };

/**
 * A range of a file (a BPF map, a perf event) in memory. Low level.
 *
 * After `close()` views that someone kept are harmless: they have length 0 where ArrayBuffers can be detached, else they
 * see private zeros.
 */
export class MappedRegion implements Disposable {
  /** Where the memory begins inside `buffer`: 0. */
  readonly byteOffset = 0;
  readonly byteLength: number;
  readonly writable: boolean;
  readonly #mapping: Mapping;
  #buffer: Detachable | undefined;

  private constructor(mapping: Mapping, buffer: ArrayBuffer, writable: boolean) {
    this.byteLength = mapping.length;
    this.writable = writable;
    this.#mapping = mapping;
    this.#buffer = buffer;
  }

  /**
   * Maps part of `fd`, which may be closed afterwards.
   *
   * @throws SystemCallError, ArgumentError
   */
  static map(fd: FdLike, options: MapRegionOptions): MappedRegion {
    const { syscall, numbers, view } = ffi();
    const length = checkInteger(options.length, "length of a mapping", 1, Number.MAX_SAFE_INTEGER);
    const offset = checkU64(options.offset ?? 0, "offset of a mapping");
    if (offset % BigInt(pageSize()) !== 0n) {
      throw new ArgumentError(`the offset of a mapping must be a multiple of ${pageSize()}, not ${offset}`);
    }
    const writable = options.writable ?? false;
    const protection = PROT_READ | (writable ? PROT_WRITE : 0);
    const address = checkU64(options.address ?? 0, "address of a mapping");
    const fixed = address === 0n ? 0 : MAP_FIXED_NOREPLACE;
    const flags = ((options.shared ?? true) ? MAP_SHARED : MAP_PRIVATE) | fixed;
    const what = typeof fd === "number" ? `fd ${fd}` : fd.what;
    const result = syscall(numbers.mmap, address, length, protection, flags, fdNumber(fd), offset);
    if (result < 0) throw systemCallError("mmap", -result, { about: what });
    const mapping: Mapping = { address: BigInt(result), length, what, settled: false };
    if (fixed !== 0 && mapping.address !== address) {
      unmap(mapping);
      throw systemCallError("mmap", Errno.EEXIST, { about: what });
    }
    let buffer: ArrayBuffer;
    try {
      buffer = view(mapping.address, length);
    } catch (cause) {
      unmap(mapping);
      throw new ArgumentError(`cannot make an ArrayBuffer of ${length} bytes over mapped memory`, { cause });
    }
    refuseTransfer(buffer);
    unreachable.register(buffer, mapping, mapping);
    return new MappedRegion(mapping, buffer, writable);
  }

  /** True after `close()`. */
  get closed(): boolean {
    return this.#buffer === undefined;
  }

  /** @throws StateError once closed */
  get buffer(): ArrayBuffer {
    if (this.#buffer === undefined) throw new StateError(`the mapped memory of ${this.#mapping.what} is closed`);
    return this.#buffer;
  }

  /** Where the memory lies in this process. */
  get address(): bigint {
    return this.#mapping.address;
  }

  /** A new view of the whole region. @throws StateError once closed */
  get bytes(): Uint8Array {
    return new Uint8Array(this.buffer);
  }

  /** The bytes, and no owner any more: the memory goes when nothing can reach them. @throws StateError once closed */
  leave(): Uint8Array {
    const { bytes } = this;
    this.#mapping.settled = true;
    this.#buffer = undefined;
    return bytes;
  }

  /** Gives the memory up; later calls do nothing. */
  close(): void {
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    this.#buffer = undefined;
    this.#mapping.settled = true;
    if (detach(buffer)) {
      unreachable.unregister(this.#mapping);
      unmap(this.#mapping);
    } else {
      bury(this.#mapping);
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Detaches the buffer; false when the runtime cannot, or when someone else did, who may hold the memory now. */
function detach(buffer: Detachable): boolean {
  const transfer = (ArrayBuffer.prototype as Detachable).transfer;
  if (transfer === undefined || buffer.detached === true) return false;
  try {
    transfer.call(buffer, 0);
    return true;
  } catch {
    return false;
  }
}

/** Puts private zero pages where the mapping was. They go when the ArrayBuffer does. */
function bury({ address, length }: Mapping): void {
  const { syscall, numbers } = ffi();
  const flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS;
  const result = syscall(numbers.mmap, address, length, PROT_READ | PROT_WRITE, flags, -1, 0);
  // Without memory for the zero pages the old ones stay, which is harmless too.
  if (result < 0) log.warn(`could not replace closed mapped memory by zero pages: mmap gave ${errnoName(-result)}`);
}

/** A transfer by a user would move the memory to a buffer whose life nobody watches. */
function refuseTransfer(buffer: ArrayBuffer): void {
  const refuse = (): never => {
    throw new StateError("mapped memory cannot be transferred; copy it with slice()");
  };
  for (const name of ["transfer", "transferToFixedLength"]) Object.defineProperty(buffer, name, { value: refuse });
}
