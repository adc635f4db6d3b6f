// The kernel room's public names: what the running kernel offers.

export { loadKernelBtf } from "./btf.js";
export { readKernelSymbols } from "./kallsyms.js";
export { type KconfigValues, kconfigPaths, parseKconfig, readKconfig } from "./kconfig.js";
export { type ModuleBtf, ModuleBtfs } from "./module-btf.js";
export { kernelVersionCode } from "./release.js";
export { withTraceFs } from "./tracefs.js";
export { virtualValues } from "./virtual-values.js";
