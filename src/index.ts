// bpfkit: libbpf in pure TypeScript. Importing this loads no native code; the first system call does.

export type { Btf, BtfCodec, BtfType, BtfValue } from "./btf/index.js";
export * from "./errors.js";
export { RingBuffer, type RingBufferOptions } from "./events/index.js";
export type { FeatureName } from "./kernel/index.js";
export {
  BpfLink,
  type LinkKind,
  type RawTracepointOptions,
  type TraceOptions,
  type TracepointOptions,
} from "./link/index.js";
export { BpfObject, BpfProgram, type FeatureDescription, features, type OpenOptions } from "./loader/index.js";
export { type Logger, type LogLevel, setLogger } from "./log.js";
export {
  BpfMap,
  type GlobalVariables,
  type MapDeclaration,
  type OpenMapOptions,
  type RawMap,
  type SetOptions,
  type UpdateFlags,
} from "./map/index.js";
export type { AttachTypeName, MapTypeName, ProgramTypeName } from "./object/index.js";
export { VerifierError, type VerifierFailure } from "./program/index.js";
