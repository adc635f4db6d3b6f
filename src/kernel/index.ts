// The kernel room's public names: what the running kernel offers.

export { loadKernelBtf } from "./btf.js";
export { BPF_FS_ROOT, ensureBpfFs, pinObject, pinPathIn, pinPathOf, removePin } from "./pins.js";
export { kernelVersionCode } from "./release.js";
export { withTraceFs } from "./tracefs.js";
