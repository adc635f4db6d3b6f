// bpfkit: libbpf in pure TypeScript. Importing this loads no native code; the first system call does.

export {
  AtomicInteger,
  atomic,
  type Btf,
  type BtfCodec,
  type BtfType,
  type BtfValue,
  type FormatOptions,
  formatJson,
  formatValue,
  type JsonOptions,
  snapshot,
} from "./btf/index.js";
export * from "./errors.js";
export { RingBuffer, type RingBufferOptions } from "./events/index.js";
export type { FeatureName } from "./kernel/index.js";
export {
  type Anchor,
  type AnchorOptions,
  BpfLink,
  type CgroupOptions,
  type FunctionSet,
  IterLink,
  type IterOptions,
  type KprobeMultiOptions,
  type KprobeOptions,
  type KsyscallOptions,
  type LinkKind,
  type LinkUpdateOptions,
  type NetfilterOptions,
  type NetkitOptions,
  type PerfEventAttachOptions,
  type PerfEventSpec,
  type ProbeMode,
  type RawTracepointOptions,
  type StructOpsLink,
  type TcDirection,
  type TcFilter,
  type TcFilterName,
  TcLink,
  type TcOptions,
  type TcPlace,
  type TcxOptions,
  type TraceOptions,
  type TracepointOptions,
  tc,
  type UprobeMultiOptions,
  type UprobeOptions,
  type XdpAttachOptions,
  type XdpDetachOptions,
  type XdpFeature,
  type XdpMode,
  type XdpOptions,
  type XdpState,
  xdp,
} from "./link/index.js";
export {
  BpfMap,
  BpfObject,
  BpfProgram,
  type CloneOptions,
  type FeatureDescription,
  features,
  type OpenOptions,
  ProgramClone,
  type SectionHandler,
  type StructOpsMembers,
} from "./loader/index.js";
export { type Logger, type LogLevel, setLogger } from "./log.js";
export type {
  CpuValue,
  DumpOptions,
  GetOptions,
  GlobalVariables,
  MapDeclaration,
  MapDetails,
  OpenMapOptions,
  RawMap,
  SetOptions,
  UpdateFlags,
} from "./map/index.js";
export type { AttachTypeName, MapTypeName, ProgramTypeName } from "./object/index.js";
export {
  type AttachTargetOptions,
  type FuncInfo,
  type LineInfo,
  type ProgramTarget,
  VerifierError,
  type VerifierFailure,
} from "./program/index.js";
export type { LinkDetails, LinkInfo } from "./syscall/index.js";
