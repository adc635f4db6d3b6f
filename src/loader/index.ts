// The loader room's public names: objects and their programs.

export { BpfMap } from "./bpf-map.js";
export { BpfObject } from "./bpf-object.js";
export { BpfProgram, type CloneOptions, ProgramClone } from "./bpf-program.js";
export { type FeatureDescription, features } from "./features.js";
export type { OpenOptions } from "./open-input.js";
export type { SectionHandler } from "./section-handlers.js";
export type { StructOpsMembers } from "./struct-ops-members.js";
