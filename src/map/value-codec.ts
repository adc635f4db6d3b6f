// How the keys and values of a map turn into JavaScript: by BTF where the object tells the type, as bytes otherwise.

import { type Btf, type BtfCodec, BtfKind, type BtfValue, type CodecOptions, compileCodec } from "../btf/index.js";
import { ArgumentError, ValueError } from "../errors.js";

/** A codec of raw bytes: copies out, copies in what has exactly the right length. */
export function bytesCodec(size: number, what: "key" | "value"): BtfCodec {
  return {
    size,
    decode: (view, offset) => new Uint8Array(view.buffer, view.byteOffset + offset, size).slice(),
    encode(view, offset, value) {
      if (!(value instanceof Uint8Array)) {
        throw new ArgumentError(`the ${what} must be a Uint8Array of ${size} bytes: nothing tells its type`);
      }
      if (value.length !== size) throw new ArgumentError(`the ${what} has ${value.length} bytes instead of ${size}`);
      new Uint8Array(view.buffer, view.byteOffset + offset, size).set(value);
    },
  };
}

/** A codec by BTF when the type is known and has the size that the map says, else of bytes. */
export function typedCodec(
  btf: Btf | undefined,
  typeId: number,
  size: number,
  what: "key" | "value",
  int64: NonNullable<CodecOptions["int64"]>,
): BtfCodec {
  return fittingCodec(btf, typeId, size, { int64 }) ?? bytesCodec(size, what);
}

/** The codec by BTF of elements of `size` bytes; undefined when the type does not describe them. */
export function fittingCodec(
  btf: Btf | undefined,
  typeId: number,
  size: number,
  options: CodecOptions,
): BtfCodec | undefined {
  // The value of a data section is all its variables, which are reached by name.
  if (btf === undefined || typeId === 0 || btf.kindOf(typeId) === BtfKind.DataSec) return undefined;
  const codec = compileCodec(btf, typeId, options);
  if (codec.flexible && codec.size < size) return codec.ofLength(size);
  // The size may have been edited after open; then the declared type no longer describes the element.
  return codec.size === size ? codec : undefined;
}

/** A codec of integers that are descriptors when they are written: takes what has one, too. */
export function fdCodec(integer: BtfCodec): BtfCodec {
  return {
    ...integer,
    encode: (view, offset, value) =>
      integer.encode(view, offset, isHolder(value) ? (value.fd as unknown as BtfValue) : value),
  };
}

/** A map, a program, a link: what has a descriptor. */
function isHolder(value: unknown): value is { readonly fd: unknown } {
  return typeof value === "object" && value !== null && "fd" in value;
}

/** Values of maps that hold maps, programs and the like: written as a descriptor, read as the kernel's id. */
export const descriptorCodec: BtfCodec = {
  size: 4,
  decode: (view, offset) => view.getUint32(offset, true),
  encode(view, offset, value) {
    const fd = isHolder(value) ? value.fd : value;
    if (typeof fd !== "number" || !Number.isInteger(fd) || fd < 0 || fd > 0x7fffffff) {
      throw new ArgumentError("the value must be a map, a program or a file descriptor");
    }
    view.setUint32(offset, fd, true);
  },
};

/** An array, or a typed array of numbers. */
function isList(value: unknown): value is ArrayLike<BtfValue> {
  const isWords = ArrayBuffer.isView(value) && !(value instanceof DataView || value instanceof Uint8Array);
  return Array.isArray(value) || isWords;
}

/** Wraps a codec of one CPU's value into one of all possible CPUs' (each padded to 8 bytes by the kernel). */
export function perCpuCodec(one: BtfCodec, cpus: number): BtfCodec {
  const stride = Math.ceil(one.size / 8) * 8;
  return {
    size: stride * cpus,
    decode: (view, offset) => Array.from({ length: cpus }, (_, cpu) => one.decode(view, offset + cpu * stride)),
    encode(view, offset, value) {
      if (!isList(value) || value.length !== cpus) {
        throw new ValueError("VALUE", `a per-CPU value is an array with ${cpus} elements, one for each possible CPU`);
      }
      new Uint8Array(view.buffer, view.byteOffset + offset, stride * cpus).fill(0);
      for (let cpu = 0; cpu < cpus; cpu++) one.encode(view, offset + cpu * stride, value[cpu]!);
    },
  };
}
