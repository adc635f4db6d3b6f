// The link room's public names: attaching programs.

export { autoAttach } from "./auto-attach.js";
export type { LinkKind } from "./describe.js";
export { BpfLink, type LinkUpdateOptions } from "./link.js";
export { attachRawTracepoint, type RawTracepointOptions } from "./raw-tracepoint.js";
export { attachStructOps, StructOpsLink } from "./struct-ops.js";
export { attachTrace, type TraceOptions } from "./trace.js";
export { attachTracepoint, type TracepointOptions } from "./tracepoint.js";
