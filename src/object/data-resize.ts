// A data section with another size than it was compiled with: tables whose length the user decides, as the last variable
// of a section of their own (libbpf.md 1.3). Pure.

import { Btf, type BtfArray, BtfBuilder, type BtfDataSec } from "../btf/index.js";
import { ArgumentError } from "../errors.js";
import { log } from "../log.js";
import { checkU32 } from "./numbers.js";
import type { MapSpec } from "./spec.js";

/** Sizes of a value are signed 32-bit numbers in the kernel. */
const MAX_SIZE = 0x7fffffff;

/**
 * Changes the size of a data map, in bytes; its contents are kept as far as they reach, and followed by zeros. When the
 * section's last variable is an array, it gets as many elements as fit, in `types.btf`, which is replaced. Otherwise the
 * variables stay as they are, and the kernel gets the map without types.
 *
 * libbpf: `bpf_map__set_value_size` of a mapped map.
 *
 * @throws ArgumentError when a variable would no longer fit
 */
export function resizeDataMap(spec: MapSpec, types: { btf: Btf | undefined }, size: number): void {
  if (checkU32(size, "valueSize") === 0 || size > MAX_SIZE) {
    throw new ArgumentError(`a data section has 1 to ${MAX_SIZE} bytes, not ${size}`);
  }
  if (size === spec.valueSize) return;
  const datasec = types.btf === undefined ? undefined : types.btf.type(spec.valueTypeId);
  if (types.btf !== undefined && datasec?.kind === "datasec") {
    const resized = withLastArray(types.btf, datasec, size);
    if (resized !== undefined) types.btf = resized;
    else keepVariables(datasec, spec, size);
  }
  const image = new Uint8Array(size);
  const before = spec.initialValue;
  if (before !== undefined) image.set(before.subarray(0, Math.min(size, before.length)));
  spec.valueSize = size;
  spec.initialValue = image;
}

function keepVariables({ variables }: BtfDataSec, spec: MapSpec, size: number): void {
  const end = Math.max(0, ...variables.map((variable) => variable.offset + variable.size));
  if (size < end)
    throw new ArgumentError(`the variables of ${spec.sectionName} need ${end} bytes, ${size} are too few`);
  log.warn(`${spec.sectionName}: its last variable is no array that ends at ${size} bytes, so it stays as it is`);
}

/** The types with a longer or shorter last variable; undefined when that is no array, or the size does not fit it. */
function withLastArray(btf: Btf, datasec: BtfDataSec, size: number): Btf | undefined {
  const last = datasec.variables.at(-1);
  const variable = last && btf.type(last.type);
  if (last === undefined || variable?.kind !== "var") return undefined;
  const array = btf.type(btf.resolve(variable.type));
  if (array.kind !== "array") return undefined;
  const count = elementCount(btf, array, size - last.offset);
  if (count === undefined) return undefined;
  const builder = BtfBuilder.from(btf);
  const arrayId = builder.addArray(array.elementType, array.indexType, count);
  const type = builder.addVar(variable.name, arrayId, variable.linkage);
  const others = datasec.variables.slice(0, -1);
  builder.replaceType(datasec.id, {
    ...datasec,
    size,
    variables: [...others, { type, offset: last.offset, size: size - last.offset }],
  });
  return Btf.parse(builder.build());
}

function elementCount(btf: Btf, { elementType }: BtfArray, bytes: number): number | undefined {
  const element = btf.sizeOf(elementType);
  return element > 0 && bytes > 0 && bytes % element === 0 ? bytes / element : undefined;
}
