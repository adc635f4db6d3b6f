// Readers without generated code: one closure per field, everything resolved beforehand. The fallback where code
// generation is forbidden (`--disallow-code-generation-from-strings`, a content security policy), what huge types use,
// and the reference that generated code is tested against.

import { isNarrow, readNarrowBits, readWideBits } from "./codec-bits.js";
import type { BitsPlan, CompositePlan, IntPlan, Plan } from "./codec-plan.js";
import { readBytes, readText } from "./codec-strings.js";
import { type BtfValue, type Reader, setOwn, unionClass } from "./codec-value.js";

/** Makes the reader of each plan once. */
export class Interpreter {
  readonly #littleEndian: boolean;
  readonly #readers = new Map<Plan, Reader>();

  constructor(littleEndian: boolean) {
    this.#littleEndian = littleEndian;
  }

  reader(plan: Plan): Reader {
    let reader = this.#readers.get(plan);
    if (reader === undefined) {
      reader = this.#make(plan);
      this.#readers.set(plan, reader);
    }
    return reader;
  }

  #make(plan: Plan): Reader {
    const { size } = plan;
    const little = this.#littleEndian;
    switch (plan.kind) {
      case "int":
        return intReader(plan, little);
      case "bool":
        if (size === 1) return (view, offset) => view.getUint8(offset) !== 0;
        if (size === 2) return (view, offset) => view.getUint16(offset) !== 0;
        return (view, offset) => view.getUint32(offset) !== 0;
      case "float":
        if (size === 4) return (view, offset) => view.getFloat32(offset, little);
        return (view, offset) => view.getFloat64(offset, little);
      case "bits":
        return bitsReader(plan);
      case "text":
        return (view, offset) => readText(view, offset, size);
      case "bytes":
        return (view, offset) => readBytes(view, offset, size);
      case "array": {
        const { count } = plan;
        const stride = plan.element.size;
        const read = this.reader(plan.element);
        return (view, offset) => {
          const result: BtfValue[] = [];
          for (let i = 0; i < count; i++) result.push(read(view, offset + i * stride));
          return result;
        };
      }
      case "struct": {
        const fields = this.#fields(plan);
        return (view, offset) => {
          const result: { [name: string]: BtfValue } = {};
          for (const { name, offset: at, read } of fields) setOwn(result, name, read(view, offset + at));
          return result;
        };
      }
      case "union": {
        const Union = unionClass(this.#fields(plan));
        return (view, offset) => new Union(readBytes(view, offset, size)) as unknown as BtfValue;
      }
    }
  }

  #fields(plan: CompositePlan): { name: string; offset: number; read: Reader }[] {
    return plan.fields.map((field) => ({ name: field.name, offset: field.offset, read: this.reader(field.plan) }));
  }
}

function intReader({ size, signed, result }: IntPlan, little: boolean): Reader {
  switch (size) {
    case 1:
      return signed ? (view, offset) => view.getInt8(offset) : (view, offset) => view.getUint8(offset);
    case 2:
      return signed
        ? (view, offset) => view.getInt16(offset, little)
        : (view, offset) => view.getUint16(offset, little);
    case 4:
      return signed
        ? (view, offset) => view.getInt32(offset, little)
        : (view, offset) => view.getUint32(offset, little);
    case 8:
      if (result === "number") return (view, offset) => readInt64AsNumber(view, offset, signed, little);
      return signed
        ? (view, offset) => view.getBigInt64(offset, little)
        : (view, offset) => view.getBigUint64(offset, little);
    case 16:
      return (view, offset) => readInt128(view, offset, signed, little);
  }
}

/** A 64-bit integer as the nearest double. */
function readInt64AsNumber(view: DataView, offset: number, signed: boolean, little: boolean): number {
  const high = little ? offset + 4 : offset;
  const low = view.getUint32(little ? offset : offset + 4, little);
  return (signed ? view.getInt32(high, little) : view.getUint32(high, little)) * 0x1_0000_0000 + low;
}

/** A 128-bit integer. */
export function readInt128(view: DataView, offset: number, signed: boolean, little: boolean): bigint {
  const high = little ? offset + 8 : offset;
  const low = view.getBigUint64(little ? offset : offset + 8, little);
  return ((signed ? view.getBigInt64(high, little) : view.getBigUint64(high, little)) << 64n) | low;
}

function bitsReader({ slot, signed, result }: BitsPlan): Reader {
  if (result === "bigint") return (view, offset) => readWideBits(view, offset, slot, signed);
  const read: (view: DataView, offset: number) => number = isNarrow(slot)
    ? (view, offset) => readNarrowBits(view, offset, slot, signed)
    : (view, offset) => Number(readWideBits(view, offset, slot, signed));
  return result === "boolean" ? (view, offset) => read(view, offset) !== 0 : read;
}
