// The object room's public names: what a `.bpf.o` declares, as plain data. Pure.

export { isTracingMulti, splitModule } from "./attach-targets.js";
export { resizeDataMap } from "./data-resize.js";
export { type LinkedFunction, type LinkedProgram, type LinkedRelocation, linkProgram } from "./link-calls.js";
export { type MapTypeRule, mapTypeRule } from "./map-type-rules.js";
export { checkU32, numberOf } from "./numbers.js";
export { type OpenObjectOptions, openObject } from "./open.js";
export * from "./sections.js";
export * from "./spec.js";
export { isFunctionPointer } from "./struct-ops.js";
export * from "./uapi.js";
