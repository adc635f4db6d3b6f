// The map room's public names: live maps, their elements and the global variables in them.

export type { MapDeclaration } from "./declaration.js";
export type { UpdateFlags } from "./elements.js";
export type { GlobalVariables } from "./global-variables.js";
export type { OpenMapOptions } from "./live.js";
export { BpfMap, type SetOptions } from "./map.js";
export type { RawMap } from "./raw.js";
export { mapTypeRule } from "./type-rules.js";
