// Atomic access to integers in memory that running programs change too: the other side of `__sync_fetch_and_add` and its
// relatives in C.

import { ArgumentError, NotFoundError } from "../errors.js";
import { type BtfCodec, codecOf } from "./codec.js";
import type { IntPlan } from "./codec-plan.js";
import { type LivePlace, liveStates } from "./live-state.js";

type Words = Int32Array | Uint32Array | BigInt64Array | BigUint64Array;
/** What Atomics has for all four, told to the compiler once. */
interface WordAtomics {
  load(words: Words, index: number): number | bigint;
  store(words: Words, index: number, value: number | bigint): number | bigint;
  add(words: Words, index: number, value: number | bigint): number | bigint;
  sub(words: Words, index: number, value: number | bigint): number | bigint;
  and(words: Words, index: number, value: number | bigint): number | bigint;
  or(words: Words, index: number, value: number | bigint): number | bigint;
  xor(words: Words, index: number, value: number | bigint): number | bigint;
  exchange(words: Words, index: number, value: number | bigint): number | bigint;
  compareExchange(words: Words, index: number, expected: number | bigint, value: number | bigint): number | bigint;
}
const atomics = Atomics as unknown as WordAtomics;

const littleEndianMachine = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * A 32-bit or 64-bit integer in the memory of a running program, read and changed atomically and sequentially consistent.
 * 32-bit ones are `number`s, 64-bit ones `bigint`s. Sums wrap around, as in C. Every method but `load` and `store` returns
 * what was there before.
 *
 * Methods throw StateError after close, and when they would change a section that is read-only.
 */
export class AtomicInteger<T extends number | bigint = number | bigint> {
  readonly #place: LivePlace;
  readonly #codec: BtfCodec;
  readonly #make: (view: DataView, at: number) => Words;
  /** One word, to check and convert arguments. */
  readonly #scratch: Words;
  readonly #scratchView = new DataView(new ArrayBuffer(8));
  #words: Words | undefined;
  /** Where `#words` was made. */
  #view: DataView | undefined;

  /** @internal */
  constructor(place: LivePlace, plan: IntPlan) {
    this.#place = place;
    this.#codec = codecOf({ ...plan, result: plan.size === 8 ? "bigint" : "number" }, place.littleEndian);
    this.#make = wordsOf(plan);
    this.#scratch = this.#make(this.#scratchView, 0);
  }

  /** The value now. */
  load(): T {
    return atomics.load(this.#memory("read"), 0) as T;
  }

  /** @throws ValueError for a value that the type cannot hold */
  store(value: T): void {
    atomics.store(this.#memory("write"), 0, this.#word(value));
  }

  /** Adds; negative numbers subtract. */
  add(value: T): T {
    return atomics.add(this.#memory("write"), 0, this.#delta(value)) as T;
  }

  /** Subtracts. */
  sub(value: T): T {
    return atomics.sub(this.#memory("write"), 0, this.#delta(value)) as T;
  }

  /** Keeps the bits that are set in `value`. */
  and(value: T): T {
    return atomics.and(this.#memory("write"), 0, this.#delta(value)) as T;
  }

  /** Sets the bits that are set in `value`. */
  or(value: T): T {
    return atomics.or(this.#memory("write"), 0, this.#delta(value)) as T;
  }

  /** Flips the bits that are set in `value`. */
  xor(value: T): T {
    return atomics.xor(this.#memory("write"), 0, this.#delta(value)) as T;
  }

  /** Stores. @throws ValueError for a value that the type cannot hold */
  exchange(value: T): T {
    return atomics.exchange(this.#memory("write"), 0, this.#word(value)) as T;
  }

  /** Stores `value` if `expected` is there. @throws ValueError for values that the type cannot hold */
  compareExchange(expected: T, value: T): T {
    const from = this.#word(expected);
    return atomics.compareExchange(this.#memory("write"), 0, from, this.#word(value)) as T;
  }

  #memory(access: "read" | "write"): Words {
    const { memory, offset, plan, path } = this.#place;
    const view = memory.shared(access);
    if (this.#words === undefined || this.#view !== view) {
      if ((view.byteOffset + offset) % plan.size !== 0) {
        throw new ArgumentError(`${path} is not aligned to its ${plan.size} bytes: there is no atomic access to it`);
      }
      this.#words = this.#make(view, offset);
      this.#view = view;
    }
    return this.#words;
  }

  #word(value: T): number | bigint {
    this.#codec.encode(this.#scratchView, 0, value);
    return this.#scratch[0]!;
  }

  /** A summand or mask: any integer, of which the lower bits count. */
  #delta(value: T): number | bigint {
    const wide = this.#place.plan.size === 8;
    if (typeof value === "bigint") return wide ? value : Number(BigInt.asIntN(32, value));
    if (!Number.isSafeInteger(value)) throw new ArgumentError(`${String(value)} is not an integer`);
    return wide ? BigInt(value) : (value as number);
  }
}

function wordsOf({ size, signed }: IntPlan): (view: DataView, at: number) => Words {
  const of =
    (Type: new (buffer: ArrayBuffer, offset: number, length: number) => Words) =>
    (view: DataView, at: number): Words =>
      new Type(view.buffer as ArrayBuffer, view.byteOffset + at, 1);
  if (size === 8) return of(signed ? BigInt64Array : BigUint64Array);
  return of(signed ? Int32Array : Uint32Array);
}

/**
 * Atomic access to a variable, member or element of a live view:
 *
 * ```ts
 * const hits = atomic<bigint>(obj.bss, "hits");
 * hits.add(1n);
 * atomic<number>(obj.bss.slots, 3).compareExchange(0, 1);
 * ```
 *
 * @param live `obj.bss`, or a struct, union or array in it
 * @param key name of the variable or member, or index of the element
 * @throws NotFoundError when there is no such member, ArgumentError when it is no aligned integer of 32 or 64 bits
 */
export function atomic<T extends number | bigint = number | bigint>(
  live: object,
  key: string | number,
): AtomicInteger<T> {
  const state = liveStates.get(live);
  if (state === undefined) {
    throw new ArgumentError("atomic access is to variables of a BPF object, members of structs and elements in them", {
      hint: 'for example atomic(obj.bss, "counter"), or atomic(obj.bss.stats, "packets")',
    });
  }
  const place = state.place(String(key));
  if (place === undefined) throw new NotFoundError(`there is no ${String(key)} to access atomically`);
  const { plan, path, littleEndian } = place;
  if (plan.kind !== "int" || (plan.size !== 4 && plan.size !== 8)) {
    throw new ArgumentError(`${path} is not an integer of 32 or 64 bits: there is no atomic access to it`);
  }
  if (littleEndian !== littleEndianMachine) {
    throw new ArgumentError(`${path} has the byte order of another machine: there is no atomic access to it`);
  }
  return new AtomicInteger<T>(place, plan);
}
