// The loader room's public names: objects and their programs.

export { BpfObject } from "./bpf-object.js";
export { BpfProgram } from "./bpf-program.js";
export { type FeatureDescription, features } from "./features.js";
export type { OpenOptions } from "./open-input.js";
