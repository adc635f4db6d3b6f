// The map room's public names: live maps, their elements and the global variables in them.

export type { CpuValue } from "./access.js";
export type { CreateMapOptions } from "./create.js";
export type { MapDeclaration } from "./declaration.js";
export type { DumpOptions } from "./dump.js";
export type { GetOptions, SetOptions, UpdateFlags } from "./elements.js";
export type { GlobalVariables } from "./global-variables.js";
export type { MapDetails, OpenMapOptions } from "./live.js";
export { BpfMap } from "./map.js";
export type { RawMap } from "./raw.js";
export { settleSize } from "./size.js";
export { createWithTypes, type MapTypes } from "./with-types.js";
