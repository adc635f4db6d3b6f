// The object room's public names: what a `.bpf.o` declares, as plain data.

export * from "./sections.js";
export * from "./spec.js";
export * from "./uapi.js";
