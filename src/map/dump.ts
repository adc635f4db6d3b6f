// All elements of a map as text: JSON in the shape that bpftool prints, or C.

import { type Btf, formatJson, formatValue, jsonLines } from "../btf/index.js";
import type { MapTypeRule } from "../object/index.js";
import type { RawMap } from "./raw.js";
import { fittingCodec } from "./value-codec.js";

/** Options of {@link BpfMap.dump}. */
export interface DumpOptions {
  /** `"json"` (default), or `"c"`: keys and values as C would initialise them. */
  format?: "json" | "c" | undefined;
  /** What one level of JSON is indented by; two spaces by default, `""` puts all into one line. */
  indent?: string | undefined;
}

/** What a dump needs of its map. */
interface DumpSource {
  readonly btf: Btf | undefined;
  readonly rule: MapTypeRule;
  readonly raw: RawMap;
  /** With the ids and sizes of the types. */
  readonly spec: {
    readonly keyTypeId: number;
    readonly valueTypeId: number;
    readonly keySize: number;
    readonly valueSize: number;
  };
}

/** A value as text. @param level of its lines after the first */
type Print = (bytes: Uint8Array, level: number) => string;

/** @throws BtfError when the types are damaged, and what iteration throws */
export function dumpMap(map: DumpSource, { format = "json", indent = "  " }: DumpOptions): string {
  const { keyTypeId, valueTypeId, keySize, valueSize } = map.spec;
  const printerOf = (typeId: number, size: number): Print =>
    format === "c" ? printC(map.btf, typeId, size) : printJson(map.btf, typeId, size, indent);
  const printKey = printerOf(keyTypeId, keySize);
  // Ids of maps and programs are what is read of those: u32.
  const printValue = map.rule.holds === undefined ? printerOf(valueTypeId, valueSize) : printId;
  const stride = Math.ceil(valueSize / 8) * 8;
  const perCpu = (bytes: Uint8Array): Uint8Array[] =>
    Array.from({ length: bytes.length / stride }, (_, cpu) => bytes.subarray(cpu * stride, cpu * stride + valueSize));

  if (format === "c") {
    let text = "";
    for (const [key, bytes] of map.raw) {
      const values = map.rule.perCpu === true ? perCpu(bytes) : [bytes];
      text += `key ${printKey(key, 0)}\n`;
      values.forEach((value, cpu) => {
        text += `${map.rule.perCpu === true ? `cpu ${cpu} ` : ""}value ${printValue(value, 0)}\n`;
      });
    }
    return text;
  }

  const colon = indent === "" ? ":" : ": ";
  const entries = Array.from(map.raw, ([key, bytes]) => {
    const values =
      map.rule.perCpu === true
        ? `"values"${colon}${jsonLines(
            "[",
            perCpu(bytes).map((value, cpu) =>
              jsonLines("{", [`"cpu"${colon}${cpu}`, `"value"${colon}${printValue(value, 4)}`], "}", indent, 3),
            ),
            "]",
            indent,
            2,
          )}`
        : `"value"${colon}${printValue(bytes, 2)}`;
    return jsonLines("{", [`"key"${colon}${printKey(key, 2)}`, values], "}", indent, 1);
  });
  return jsonLines("[", entries, "]", indent, 0);
}

/** One variable of a data section: its bytes are those from its offset. */
interface Variable {
  readonly name: string;
  readonly typeId: number;
  readonly offset: number;
  readonly size: number;
}

/** Name and variables, static ones too, of a section of `size` bytes; undefined for other types, and where they do not fit. */
function dataSection(
  btf: Btf | undefined,
  typeId: number,
  size: number,
): { readonly name: string; readonly variables: readonly Variable[] } | undefined {
  const section = typeId === 0 ? undefined : btf?.type(typeId);
  if (btf === undefined || section?.kind !== "datasec") return undefined;
  const variables = section.variables.flatMap(({ type, offset, size: room }): Variable[] => {
    const variable = btf.type(type);
    return variable.kind === "var" ? [{ name: variable.name, typeId: variable.type, offset, size: room }] : [];
  });
  const fits = variables.every((one) => one.offset + one.size <= size && btf.sizeOf(one.typeId) <= one.size);
  return fits ? { name: section.name, variables } : undefined;
}

const bytesOf = (bytes: Uint8Array, { offset, size }: Variable): Uint8Array => bytes.subarray(offset, offset + size);

function printJson(btf: Btf | undefined, typeId: number, size: number, indent: string): Print {
  const section = dataSection(btf, typeId, size);
  if (btf !== undefined && section !== undefined) {
    const member = (name: string, value: string): string =>
      `${JSON.stringify(name)}:${indent === "" ? "" : " "}${value}`;
    return (bytes, level) => {
      const items = section.variables.map((one) => {
        const value = formatJson(btf, one.typeId, bytesOf(bytes, one), { indent, level: level + 3, length: one.size });
        return jsonLines("{", [member(one.name, value)], "}", indent, level + 2);
      });
      return jsonLines("{", [member(section.name, jsonLines("[", items, "]", indent, level + 1))], "}", indent, level);
    };
  }
  if (!hasType(btf, typeId, size)) return (bytes) => JSON.stringify(Array.from(bytes, hexByte));
  return (bytes, level) => formatJson(btf, typeId, bytes, { indent, level, length: bytes.length });
}

function printC(btf: Btf | undefined, typeId: number, size: number): Print {
  const section = dataSection(btf, typeId, size);
  if (btf !== undefined && section !== undefined) {
    return (bytes) =>
      section.variables
        .map((one) => `\n${one.name} = ${formatValue(btf, one.typeId, bytesOf(bytes, one), { length: one.size })}`)
        .join("");
  }
  if (!hasType(btf, typeId, size)) return (bytes) => Array.from(bytes, (byte) => hexByte(byte).slice(2)).join(" ");
  return (bytes) => formatValue(btf, typeId, bytes, { length: bytes.length });
}

function printId(bytes: Uint8Array): string {
  return String(new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true));
}

/** Types are told where get() decodes by them. */
function hasType(btf: Btf | undefined, typeId: number, size: number): btf is Btf {
  return fittingCodec(btf, typeId, size, { codegen: false }) !== undefined;
}

function hexByte(byte: number): string {
  return `0x${byte.toString(16).padStart(2, "0")}`;
}
