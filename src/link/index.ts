// The link room's public names: attaching programs.

export type { Anchor, AnchorOptions } from "./anchors.js";
export { autoAttach } from "./auto-attach.js";
export { attachCgroup, type CgroupOptions } from "./cgroup.js";
export type { LinkKind } from "./describe.js";
export { attachFreplace } from "./freplace.js";
export { attachIter, IterLink, type IterOptions, type IterRecordOptions } from "./iter.js";
export { attachKprobe, attachKsyscall, type KprobeOptions, type KsyscallOptions, type ProbeMode } from "./kprobe.js";
export { attachKprobeMulti, type FunctionSet, type KprobeMultiOptions } from "./kprobe-multi.js";
export { BpfLink, type LinkUpdateOptions } from "./link.js";
export { attachLirc } from "./lirc.js";
export { attachNetfilter, attachNetns, type NetfilterOptions } from "./namespace-hooks.js";
export {
  attachNetkit,
  attachTcx,
  attachXdp,
  type NetkitOptions,
  type TcxOptions,
  type XdpOptions,
} from "./network.js";
export { attachPerfEvent, type PerfEventAttachOptions, type PerfEventSpec } from "./perf-event.js";
export { type AttachedProgram, type AttachedPrograms, type QueryOptions, queryPrograms } from "./query.js";
export { attachRawTracepoint, type RawTracepointOptions } from "./raw-tracepoint.js";
export { attachSocket, attachSockmap } from "./sockets.js";
export { attachStructOps, StructOpsLink } from "./struct-ops.js";
export { attachTc, type TcFilterName, TcLink, tc } from "./tc.js";
export type { TcDirection, TcFilter, TcOptions, TcPlace } from "./tc-filters.js";
export { attachTrace, type TraceOptions } from "./trace.js";
export { attachTracepoint, type TracepointOptions } from "./tracepoint.js";
export { attachTracingMulti, type TracingFunctions, type TracingMultiOptions } from "./tracing-multi.js";
export { attachUprobe, type UprobeOptions } from "./uprobe.js";
export { attachUprobeMulti, type UprobeMultiOptions } from "./uprobe-multi.js";
export { attachUsdt, type UsdtOptions } from "./usdt.js";
export {
  type XdpAttachOptions,
  type XdpDetachOptions,
  type XdpFeature,
  type XdpMode,
  type XdpState,
  xdp,
} from "./xdp.js";
