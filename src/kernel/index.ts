// The kernel room's public names: what the running kernel offers.

export { loadKernelBtf } from "./btf.js";
export { onlineCpus } from "./cpus.js";
export { kernelVersionCode } from "./release.js";
export { type TraceFs, withTraceFs } from "./tracefs.js";
