// The link room's public names: attaching programs.

export { autoAttach } from "./auto-attach.js";
export { BpfLink, type LinkKind } from "./link.js";
export { attachRawTracepoint, type RawTracepointOptions } from "./raw-tracepoint.js";
export { attachStructOps, StructOpsLink } from "./struct-ops.js";
export { attachTrace, type TraceOptions } from "./trace.js";
export { attachTracepoint, type TracepointOptions } from "./tracepoint.js";
