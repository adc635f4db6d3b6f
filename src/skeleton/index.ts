// Public names of `bpfkit/skeleton`: what generated skeletons import, and the generator that writes them.

export type { Descriptor, Live, ValueInput } from "../btf/index.js";
export {
  type GenerateOptions,
  type GenerateTypesOptions,
  generateDeclarations,
  generateSkeleton,
  generateSubskeleton,
  generateTypes,
  type ObjectPlace,
} from "../generator/index.js";
export type { BpfLink } from "../link/index.js";
export type { BpfMap, BpfObject, BpfProgram } from "../loader/index.js";
export type { SkeletonLayout } from "./check.js";
export { Skeleton, type SkeletonOptions } from "./skeleton.js";
export { Subskeleton } from "./subskeleton.js";
