// The program room's public names: programs as declared and as loaded, and why one was refused.

export type { FuncInfo, LineInfo } from "./code.js";
export type { AttachTargetOptions, ObjectTypes } from "./declaration.js";
export { ProgramHandle } from "./handle.js";
export {
  checkLogSize,
  FIRST_LOG_SIZE,
  type LoadedProgram,
  type LoadSteps,
  largerLog,
  loadProgram,
  type VerifierLogOptions,
} from "./load.js";
export { countRuns, type FollowOptions, type RunStats, type StatsSwitch } from "./observe.js";
export { descriptorNumber, type ProgramTarget, programFunctionId } from "./target.js";
export type { RunOptions, RunResult } from "./test-run.js";
export { VerifierError } from "./verifier-error.js";
export { readVerifierLog, type VerifierFailure } from "./verifier-log.js";
