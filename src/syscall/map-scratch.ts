// Element access to one map without allocation: attrs, key and value lie in one ArrayBuffer whose addresses are taken
// once, which is what brings a lookup to within a tenth of C (typescript.md 1.4).
//
// Layout: five attrs of 32 bytes (lookup, update, delete, next key, first key), then key and value, each 8-aligned.
// Every command has an attr of its own, so that no call depends on what the previous one left behind.

import { StateError } from "../errors.js";
import { checkU64 } from "./attr.js";
import { BpfCommand, mapElementLayout } from "./attr-layout.js";
import { type FdLike, FileDescriptor, fdNumber } from "./fd.js";
import { type Ffi, ffi } from "./ffi.js";
import { type MapShape, mapShape } from "./map-shape.js";

const ATTR_SIZE = mapElementLayout.size;
const ATTRS = 5;

/** One of the attrs: a command's arguments, all set but the flags. */
interface Prepared {
  readonly address: bigint;
  /** Index of the flags in 64-bit words from the beginning of the buffer. */
  readonly flagsWord: number;
  /** What stands there. Compared before each call, since writing is dearer. */
  flags: bigint | undefined;
}

const align8 = (size: number): number => Math.ceil(size / 8) * 8;

/**
 * Scratch memory for element commands on one map. Low level.
 *
 * Write `key` (and `value`), call a command, read `value`. Results are 0 or `-errno`; nothing throws but a closed
 * descriptor. Code that may be re-entered between writing the key and the call (a getter of a value that is being
 * encoded may use the same map) brackets its use with {@link acquire} and {@link release}.
 */
export class MapScratch {
  readonly shape: MapShape;
  /** `shape.keySize` bytes. */
  readonly key: Uint8Array;
  /** `shape.valueBufferSize` bytes. */
  readonly value: Uint8Array;
  /** The same memory as `key` and `value`. */
  readonly keyView: DataView;
  readonly valueView: DataView;
  readonly #map: FdLike;
  readonly #owner: FileDescriptor | undefined;
  readonly #bpf: Ffi["bpf"];
  /** Flag words of the attrs, as 64-bit elements of the whole buffer. */
  readonly #words: BigUint64Array;
  readonly #lookup: Prepared;
  readonly #update: Prepared;
  readonly #delete: Prepared;
  readonly #next: Prepared;
  readonly #first: Prepared;
  #inUse = false;
  #spare: MapScratch | undefined;
  /** Written after each call, so that the object with all its memory is alive until the call is back. */
  #last = 0;

  /**
   * Asks the kernel for the map's sizes and allocates. With a bare number the caller keeps the descriptor open.
   *
   * @throws SystemCallError when the descriptor is no map, StateError when it is closed
   */
  constructor(map: FdLike) {
    this.#map = map;
    this.#owner = map instanceof FileDescriptor ? map : undefined;
    this.shape = mapShape(map);
    const { keySize, valueBufferSize } = this.shape;
    const keyAt = ATTRS * ATTR_SIZE;
    const valueAt = keyAt + align8(keySize);
    const buffer = new ArrayBuffer(valueAt + align8(valueBufferSize));
    this.key = new Uint8Array(buffer, keyAt, keySize);
    this.value = new Uint8Array(buffer, valueAt, valueBufferSize);
    this.keyView = new DataView(buffer, keyAt, keySize);
    this.valueView = new DataView(buffer, valueAt, valueBufferSize);
    this.#words = new BigUint64Array(buffer);

    const { address, bpf } = ffi();
    this.#bpf = bpf;
    const base = address(this.#words);
    // A map without keys wants no pointer to one.
    const key = keySize === 0 ? 0n : base + BigInt(keyAt);
    const value = base + BigInt(valueAt);
    this.#lookup = this.#prepare(0, base, key, value);
    this.#update = this.#prepare(1, base, key, value);
    this.#delete = this.#prepare(2, base, key, 0n);
    // The kernel copies the key in before it copies the next one out, so both may be the same memory.
    this.#next = this.#prepare(3, base, key, key);
    this.#first = this.#prepare(4, base, 0n, key);
  }

  #prepare(index: number, base: bigint, key: bigint, value: bigint): Prepared {
    const { map_fd, key: keyField, value: valueField, flags } = mapElementLayout.fields;
    const at = index * ATTR_SIZE;
    const attr = new DataView(this.#words.buffer, at, ATTR_SIZE);
    attr.setInt32(map_fd[1], fdNumber(this.#map), true);
    attr.setBigUint64(keyField[1], key, true);
    attr.setBigUint64(valueField[1], value, true);
    return { address: base + BigInt(at), flagsWord: (at + flags[1]) / 8, flags: undefined };
  }

  /** Looks `key` up into `value`: 0, `-ENOENT`, … */
  lookup(flags?: bigint): number {
    return this.#run(BpfCommand.MAP_LOOKUP_ELEM, this.#lookup, flags);
  }

  /** Sets `key` to `value`: 0, `-EEXIST`, … */
  update(flags?: bigint): number {
    return this.#run(BpfCommand.MAP_UPDATE_ELEM, this.#update, flags);
  }

  /** Removes `key`: 0, `-ENOENT`, … */
  delete(flags?: bigint): number {
    return this.#run(BpfCommand.MAP_DELETE_ELEM, this.#delete, flags);
  }

  /** Removes `key` and puts what it had into `value`: 0, `-ENOENT`, … */
  lookupAndDelete(flags?: bigint): number {
    return this.#run(BpfCommand.MAP_LOOKUP_AND_DELETE_ELEM, this.#lookup, flags);
  }

  /** Replaces `key` by the first key of the map: 0, or `-ENOENT` when the map is empty. */
  firstKey(): number {
    return this.#run(BpfCommand.MAP_GET_NEXT_KEY, this.#first);
  }

  /** Replaces `key` by the one after it: 0, or `-ENOENT` at the end. */
  nextKey(): number {
    return this.#run(BpfCommand.MAP_GET_NEXT_KEY, this.#next);
  }

  #run(command: number, attr: Prepared, flags?: bigint): number {
    if (this.#owner?.closed === true) throw new StateError(`${this.#owner.what} is closed`);
    if (flags !== attr.flags) {
      this.#words[attr.flagsWord] = checkU64(flags ?? 0n, "flags of a map element");
      attr.flags = flags;
    }
    this.#last = this.#bpf(command, attr.address, ATTR_SIZE);
    return this.#last;
  }

  /** This scratch memory, or a spare one while it is in use further up the stack. Give it back with {@link release}. */
  acquire(): MapScratch {
    if (this.#inUse) {
      this.#spare ??= new MapScratch(this.#map);
      return this.#spare.acquire();
    }
    this.#inUse = true;
    return this;
  }

  /** Ends a use that {@link acquire} began. */
  release(): void {
    this.#inUse = false;
  }
}
