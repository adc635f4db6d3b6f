// The one writer of kernel structures: union bpf_attr, the info structures and perf_event_attr. A layout is a table of
// field offsets named as in the UAPI header; the writer checks every value against its field before the call, since
// koffi would truncate silently, and owns everything that the structure points to.

import { ArgumentError } from "../errors.js";
import { type FdLike, fdNumber } from "./fd.js";
import { ffi } from "./ffi.js";
import { addressOf, type Memory, textOf } from "./memory.js";

/** What a field of each kind is set from. */
interface FieldTypes {
  u32: number;
  s32: number;
  u64: number | bigint;
  pointer: Memory;
  /** char[16]: cut to 15 bytes, as libbpf does. */
  name: string;
  /** 4 bytes. */
  fd: FdLike;
}

type Field = readonly [kind: keyof FieldTypes, offset: number];
type Fields = Readonly<Record<string, Field>>;

/** Size and fields of a kernel structure. */
export interface Layout<F extends Fields = Fields> {
  /** Bytes to pass to the kernel: the end of the last field of the command, padded as C pads the structure. */
  readonly size: number;
  readonly fields: F;
}

/** Values for some of the fields; what is missing or undefined stays zero. */
export type FieldValues<F extends Fields> = { readonly [K in keyof F]?: FieldTypes[F[K][0]] | undefined };

type FieldsOfKind<F extends Fields, Kind> = { [K in keyof F]: F[K][0] extends Kind ? K : never }[keyof F];

/** Declares a layout. */
export function layout<const F extends Fields>(size: number, fields: F): Layout<F> {
  return { size, fields };
}

const OBJECT_NAME_LENGTH = 16;
const encoder = new TextEncoder();

/** A kernel structure in memory of its own, with references to everything it points to. */
export class Attr<F extends Fields> {
  /** What is being done with it, for messages: `bpf(BPF_MAP_CREATE)`. */
  readonly operation: string;
  readonly bytes: Uint8Array;
  readonly #fields: F;
  readonly #view: DataView;
  /** Kept alive as long as the structure is. */
  readonly #references: unknown[] = [];

  /** @throws ArgumentError when a value does not fit its field. */
  constructor(operation: string, { size, fields }: Layout<F>, values: FieldValues<F>) {
    this.operation = operation;
    // An own ArrayBuffer, so that the bytes never live on V8's moving heap.
    this.bytes = new Uint8Array(new ArrayBuffer(size));
    this.#view = new DataView(this.bytes.buffer);
    this.#fields = fields;
    for (const name in values) {
      const value = values[name];
      if (value !== undefined) this.#write(name, value);
    }
  }

  get size(): number {
    return this.bytes.length;
  }

  get address(): bigint {
    return ffi().address(this.bytes);
  }

  /** A 32-bit field, unsigned unless the layout says `s32`. */
  u32(name: FieldsOfKind<F, "u32" | "s32">): number {
    const [kind, offset] = this.#field(name);
    return kind === "s32" ? this.#view.getInt32(offset, true) : this.#view.getUint32(offset, true);
  }

  u64(name: FieldsOfKind<F, "u64" | "pointer">): bigint {
    return this.#view.getBigUint64(this.#field(name)[1], true);
  }

  /** A char[16] field as text. */
  text(name: FieldsOfKind<F, "name">): string {
    const [, offset] = this.#field(name);
    return textOf(this.bytes.subarray(offset, offset + OBJECT_NAME_LENGTH));
  }

  #field(name: keyof F): Field {
    // Names come from the layout's own keys, by type.
    return this.#fields[name] as Field;
  }

  #write(name: string & keyof F, value: FieldTypes[keyof FieldTypes]): void {
    const [kind, offset] = this.#field(name);
    const what = `${name} of ${this.operation}`;
    switch (kind) {
      case "u32":
        this.#view.setUint32(offset, checkInteger(value, what, 0, 0xffff_ffff), true);
        break;
      case "s32":
        this.#view.setInt32(offset, checkInteger(value, what, -0x8000_0000, 0x7fff_ffff), true);
        break;
      case "fd":
        this.#view.setInt32(offset, fdNumber(value as FdLike), true);
        this.#references.push(value);
        break;
      case "u64":
        this.#view.setBigUint64(offset, checkU64(value, what), true);
        break;
      case "pointer":
        this.#view.setBigUint64(offset, checkU64(addressOf(value as Memory), what), true);
        this.#references.push(value);
        break;
      case "name":
        this.bytes.set(encoder.encode(checkName(value, what)).subarray(0, OBJECT_NAME_LENGTH - 1), offset);
        break;
    }
  }
}

/** @throws ArgumentError unless `value` is an integer from `min` to `max`. */
export function checkInteger(value: unknown, what: string, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    throw new ArgumentError(`${what} must be an integer from ${min} to ${max}, not ${String(value)}`);
  }
  return value;
}

/** @throws ArgumentError unless `value` is an integer of 64 unsigned bits (a number only up to 2^53). */
export function checkU64(value: unknown, what: string): bigint {
  if (typeof value === "number" ? Number.isSafeInteger(value) : typeof value === "bigint") {
    const big = BigInt(value as number | bigint);
    if (big >= 0n && big < 1n << 64n) return big;
  }
  throw new ArgumentError(`${what} must be an integer from 0 to 2^64 - 1, not ${String(value)}`);
}

function checkName(value: unknown, what: string): string {
  if (typeof value === "string" && !value.includes("\0")) return value;
  throw new ArgumentError(`${what} must be a string without NUL, not ${JSON.stringify(value) ?? String(value)}`);
}
