// The kernel room's public names: what the running kernel offers.

export { loadKernelBtf } from "./btf.js";
export { readBtfBytes, readBtfFile } from "./btf-source.js";
export { type FeatureName, featureTable, kernelHas, knownMissing } from "./features.js";
export { kernelFunctionNames, readKernelSymbols } from "./kallsyms.js";
export { type KconfigValues, kconfigPaths, parseKconfig, readKconfig } from "./kconfig.js";
export { kernelName } from "./kernel-name.js";
export { raiseMemlock, withMemlock } from "./memlock.js";
export { type ModuleBtf, ModuleBtfs } from "./module-btf.js";
export { perfUnit } from "./perf-units.js";
export { BPF_FS_ROOT, ensureBpfFs, pinObject, pinPathIn, pinPathOf, removePin } from "./pins.js";
export { kernelVersionCode, olderThan } from "./release.js";
export { securityModules } from "./security-modules.js";
export { openToken, tokenPathOf } from "./token.js";
export { traceableFunctions } from "./traceable.js";
export { withTraceFs } from "./tracefs.js";
export { hasTraceableType } from "./trampolines.js";
export { probeHelper, probeMapType, probeProgramType } from "./type-probes.js";
export { type UserBinary, withUserBinary } from "./user-binary.js";
export { syscallSymbol, virtualValues } from "./virtual-values.js";
